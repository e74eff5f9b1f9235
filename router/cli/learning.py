"""`signalbox retrain`, `promote`, `rollback` and `history`: the judge's next versions, from the ledger's database."""

from __future__ import annotations

import asyncio
import getpass
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from classifiers.errors import ClassifierError
from router.cli.output import FOUND, JSON_OPTION, OUT_OF_REACH, errors_as_exit, note, print_json, progress, refuse
from router.errors import BadRequest, ConfigError, NotFound, StoreAway, StoreBusy
from router.ledger.registry import Registry, Standing
from router.ledger.store import SqlStore
from router.ledger.window import read_window, timestamp
from router.settings import read_settings

if TYPE_CHECKING:
    from router.learning.retrain import Retraining
    from router.policy.compiled import Policy

T = TypeVar("T")


def retrain(
    since: Annotated[str, typer.Option(help="Learn from requests since then: a span or an RFC 3339 time.")] = "90d",
    policy: Annotated[
        Path | None, typer.Option(help="The policy that serves; default SIGNALBOX_POLICY.", metavar="FILE")
    ] = None,
    promote: Annotated[bool, typer.Option(help="Make the candidate current if the gate lets it through.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write an HTML page about it.", metavar="FILE")] = None,
    seed: Annotated[int, typer.Option(help="Fixes folds and resamples.")] = 0,
    as_json: bool = JSON_OPTION,
) -> None:
    """Train the judge on what was logged; a gate says whether the candidate may serve: 0 it may, 1 it may not."""
    from router.learning.page import page
    from router.learning.retrain import retrain as run

    say = progress()
    with errors_as_exit(ConfigError):
        serving = _policy_in_force(policy)
    if report is not None and not report.resolve().parent.is_dir():
        refuse(f"{report}: there is no such folder to write the page to.")

    async def work(store: SqlStore) -> Retraining:
        tier = "encoder" if read_settings().classifier == "encoder" else "fast"
        return await run(
            store,
            read_window(since),
            promote=promote,
            by=_who(),
            tier=tier,
            seed=seed,
            policy=serving,
            say=say,
        )

    done = _with_store(work)
    if report is not None:
        try:
            report.write_text(page(done.document()), "utf-8")
        except OSError as error:
            refuse(f"{report} cannot be written: {error}. The retraining itself is done and kept: {done.reason}")
    if as_json:
        print_json(done.document())
    else:
        for line in _told(done):
            typer.echo(line)
    if not done.passed or (promote and not done.promoted):
        raise typer.Exit(FOUND)


def _policy_in_force(file: Path | None) -> Policy | None:
    """The policy named, or the settings' own; one of the settings that does not load is remarked on and left out."""
    from router.policy.load import load_policy

    if file is not None:
        return load_policy(file, os.environ)
    own = read_settings().policy
    if own is None:
        return None
    try:
        return load_policy(own, os.environ)
    except ConfigError as error:
        note(f"note: {own} does not load, so what it would make of the candidate is not estimated: {error}")
        return None


def _told(done: Retraining) -> Iterator[str]:
    counts = done.counts
    yield f"labelled answers: {counts.labelled}, {done.held_out} of them held out; pairs: {counts.pairs}"
    yield (
        f"left out: {counts.repeats} repeats, {counts.private} private, {counts.unreadable} without features that the"
        f" judge reads; {counts.recomputed} made anew from their text"
    )
    for head in done.report.heads:
        yield f"  {head.head}: {head.step} on {head.labels} labels"
    for check in done.verdict.checks if done.verdict else ():
        word = ("holds" if check.passed else "FAILS") if check.measured else "-"
        yield f"{word:6} {check.name}: {check.why}"
    for remark in done.evidence.notes if done.evidence else ():
        yield f"note   {remark}"
    if done.verdict is None:
        yield done.reason
    if done.sha256:
        yield f"candidate {done.classifier}, artefact {done.sha256}"
    if done.passed and not done.promoted:
        yield done.reason
    yield "promoted: running gateways take it up within seconds" if done.promoted else "not promoted"


def promote(
    sha256: Annotated[
        str, typer.Argument(help="The artefact's sha256, or enough of its beginning to be the only one.")
    ],
    share: Annotated[
        float | None, typer.Option(help="Above 0 and below 1: judge only so many of the conversations, as a canary.")
    ] = None,
    as_json: bool = JSON_OPTION,
) -> None:
    """Make an artefact of the registry the current judge, of all conversations or of a share."""

    async def work(store: SqlStore) -> Standing:
        registry = Registry(store)
        matching = [kept.sha256 for kept in await registry.list() if kept.sha256.startswith(sha256.lower())]
        if len(matching) != 1 or len(sha256) < 6:
            raise NotFound(f"{len(matching)} artefacts of the registry begin with {sha256!r}; name one by 6 or more.")
        await registry.promote(matching[0], _who(), share=share)
        return await registry.standing()

    _say_current(_with_store(work), as_json)


def rollback(as_json: bool = JSON_OPTION) -> None:
    """End the canary where one runs, else go back to the judge that was current before the last promotion."""

    async def work(store: SqlStore) -> Standing:
        await Registry(store).rollback(_who())
        return await Registry(store).standing()

    _say_current(_with_store(work), as_json)


def history(as_json: bool = JSON_OPTION) -> None:
    """Show which judge was current from when, and who made it so."""

    async def work(store: SqlStore) -> list[dict[str, Any]]:
        return [
            {
                "at": timestamp(entry.at_unix),
                "action": entry.action,
                "sha256": entry.sha256,
                "by": entry.by,
                "share": entry.share,
                "reason": entry.reason,
            }
            for entry in await Registry(store).history()
        ]

    entries = _with_store(work)
    if as_json:
        print_json(entries)
        return
    for entry in entries:
        share = "" if entry["share"] is None else f"  to {entry['share']:g} of the conversations"
        reason = "" if entry["reason"] is None else f"  ({entry['reason']})"
        typer.echo(f"{entry['at']}  {entry['action']:8}  {entry['sha256'] or 'shipped'}  {entry['by']}{share}{reason}")
    if not entries:
        typer.echo("nothing was promoted yet: the artefact that ships is current")


def _with_store(work: Callable[[SqlStore], Awaitable[T]]) -> T:
    """Runs `work` on the ledger of the settings. Errors an operator can mend become exit codes."""

    async def run() -> T:
        store = SqlStore(read_settings().store_url)
        try:
            await store.open()
            return await work(store)
        finally:
            await store.aclose()

    with (
        errors_as_exit(BadRequest, ConfigError, ClassifierError),
        errors_as_exit(NotFound, code=FOUND),
        errors_as_exit(StoreAway, StoreBusy, code=OUT_OF_REACH),  # the innermost, for they are ConfigErrors too
    ):
        return asyncio.run(run())
    raise AssertionError("errors_as_exit never swallows")


def _say_current(standing: Standing, as_json: bool) -> None:
    if as_json:
        share = None if standing.canary is None else standing.share
        print_json({"current": standing.current, "canary": standing.canary, "share": share})
        return
    typer.echo(f"current: {standing.current or 'the artefact that ships'}")
    if standing.canary is not None:
        typer.echo(f"canary: {standing.canary} judges {standing.share:g} of the conversations")


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
