"""`signalbox policy diff OLD NEW`: what moves between two policies, on outcome files or on what the ledger logged."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router.cli.output import JSON_OPTION, OUT_OF_REACH, errors_as_exit, print_json, refuse
from router.cli.policy_trial import judge_of_settings, outcome_rows
from router.errors import ConfigError, RequestError, SettingsError, StoreAway

if TYPE_CHECKING:
    from router.judge import Judge
    from router.ledger.window import Window
    from router.policy.compiled import Policy
    from router.trial.moves import Placed

    Compared = tuple[list[Placed], list[Placed], list[str]]


def diff(
    old: Annotated[Path, typer.Argument(help="The policy as it is.", metavar="OLD")],
    new: Annotated[Path, typer.Argument(help="The policy as it would be.", metavar="NEW")],
    data: Annotated[list[Path] | None, typer.Option(help="An outcome file; repeatable.", metavar="FILE...")] = None,
    logs: Annotated[
        str | None, typer.Option(help="The ledger's requests of this time: a span such as 7d, or an RFC 3339 time.")
    ] = None,
    route: Annotated[str, typer.Option(help="The route that decides, with --data.")] = "auto",
    as_: Annotated[
        list[str] | None,
        typer.Option("--as", help="Which model of the data stands for one of a policy.", metavar="NAME=DATANAME"),
    ] = None,
    as_json: bool = JSON_OPTION,
) -> None:
    """Say what share moves from which model to which, and what that does to cost and quality."""
    from classifiers.errors import ClassifierError
    from router.ledger.window import read_window
    from router.policy.load import load_policy
    from router.trial import told_moves
    from router.trial.moves import moves

    if bool(data) == bool(logs):
        refuse("give either --data FILE or --logs SPAN")
    with errors_as_exit(ConfigError, ClassifierError, RequestError):
        policies = load_policy(old, os.environ), load_policy(new, os.environ)
        judge = judge_of_settings()
        if logs is not None:
            window = read_window(logs)
            with errors_as_exit(StoreAway, code=OUT_OF_REACH):
                before, after, notes = asyncio.run(_logged(policies, judge, window))
        else:
            before, after, notes = _from_data(policies, judge, data or [], route, as_ or [])
    found = moves(before, after)
    if as_json:
        print_json(told_moves.document(policies, found, notes, measured=logs is None))
    else:
        for line in told_moves.lines(policies, found, notes, measured=logs is None):
            typer.echo(line)


def _from_data(
    policies: tuple[Policy, Policy], judge: Judge, files: Sequence[Path], route: str, given: Sequence[str]
) -> Compared:
    from router.trial.moves import placed
    from router.trial.replayed import names_in, replay

    rows = outcome_rows(files)
    known = sorted({model for row in rows for model in row.scores})
    strangers = [pair for pair in given if not any(pair.partition("=")[0] in one.models for one in policies)]
    if strangers:
        raise SettingsError(f"--as names a model that neither policy has: {', '.join(strangers)}")
    names = [
        names_in(policy, [pair for pair in given if pair.partition("=")[0] in policy.models], known)
        for policy in policies
    ]
    wanted = {data for one in names for data in one.values()}
    both = [row for row in rows if wanted <= row.scores.keys()]
    replays = [replay(policy, route, both, judge, one) for policy, one in zip(policies, names, strict=True)]
    notes = [f"{one.policy.name}: {note}" for one in replays for note in one.notes]
    if len(both) < len(rows):
        notes.append(f"{len(rows) - len(both)} rows without an outcome of every model are left out")
    return placed(replays[0].rows), placed(replays[1].rows), notes


async def _logged(policies: tuple[Policy, Policy], judge: Judge, window: Window) -> Compared:
    from router.ledger.logged import judged_requests
    from router.ledger.store import SqlStore
    from router.settings import read_settings
    from router.trial.deciding_logged import LoggedDecider

    store = SqlStore(read_settings().store_url)
    deciders = [LoggedDecider(policy, judge) for policy in policies]
    sides: tuple[list[Placed], list[Placed]] = [], []
    try:
        await store.open()
        async for batch in judged_requests(store, window):
            for side, decider in zip(sides, deciders, strict=True):
                side += [decider.place(row) for row in batch]
        before, after = await _with_texts(store, *sides)
    finally:
        await store.aclose()
    notes = ["which models were unwell or spent then is not known: all are taken as well"]
    return before, after, notes + [note for decider in deciders for note in decider.notes()]


async def _with_texts(store: object, before: list[Placed], after: list[Placed]) -> tuple[list[Placed], list[Placed]]:
    """The texts of those that will be shown, where a policy kept them."""
    from dataclasses import replace

    from router.ledger.logged import texts_of
    from router.ledger.store import SqlStore
    from router.trial.moves import moves, said

    assert isinstance(store, SqlStore)
    found = moves(before, after, times=1)
    if found is None or not found.surprising:
        return before, after
    texts = await texts_of(store, [move.key for move in found.surprising])
    return [replace(one, text=said(texts[one.key])) if one.key in texts else one for one in before], after
