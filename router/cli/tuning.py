"""`signalbox policy tune`: the threshold by which a rule keeps a promise, found on data and, if asked, written."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router.cli.output import FOUND, JSON_OPTION, OUT_OF_REACH, errors_as_exit, print_json, refuse
from router.cli.policy_trial import judge_of_settings, outcome_rows
from router.errors import BadRequest, ConfigError, StoreAway

if TYPE_CHECKING:
    from router.judge import Judge
    from router.policy.compiled import Policy, Route, Rule
    from router.trial.tuning import Judged, Tuned


def tune(
    file: Annotated[Path, typer.Argument(help="The policy file.", metavar="POLICY")],
    data: Annotated[list[Path] | None, typer.Option(help="An outcome file; repeatable.", metavar="FILE...")] = None,
    logs: Annotated[bool, typer.Option("--logs", help="Audited requests of the ledger instead.")] = False,
    since: Annotated[str, typer.Option(help="With --logs: a span such as 30d, or an RFC 3339 time.")] = "30d",
    keep_quality: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Share of the baseline's quality to keep; default the rule's."),
    ] = None,
    max_cost: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Share of the baseline's bill to stay within, instead.")
    ] = None,
    route: Annotated[str, typer.Option(help="The route that holds the rule.")] = "auto",
    rule: Annotated[str | None, typer.Option(help="The rule; default the only one that has a threshold.")] = None,
    as_: Annotated[
        list[str] | None,
        typer.Option("--as", help="Which model of the data stands for one of the policy.", metavar="NAME=DATANAME"),
    ] = None,
    confidence: Annotated[
        float, typer.Option(min=0.5, max=0.999, help="How surely it holds on as many rows again.")
    ] = 0.95,
    write: Annotated[bool, typer.Option("--write", help="Put it into the policy file.")] = False,
    as_json: bool = JSON_OPTION,
) -> None:
    """Find the threshold that keeps a promise: 0 found, 1 none can be shown to keep it, 2 the data cannot say."""
    from classifiers.errors import ClassifierError
    from router.policy.load import load_policy
    from router.trial.tuning import promise_of, rule_to_tune
    from router.trial.tuning import tune as run

    if bool(data) == logs:
        refuse("give either --data FILE or --logs")
    with (
        errors_as_exit(ConfigError, ClassifierError, BadRequest),
        errors_as_exit(StoreAway, code=OUT_OF_REACH),  # the inner one, for it is a ConfigError too
    ):
        policy = load_policy(file, os.environ)
        on, tuned_rule = rule_to_tune(policy, route, rule)
        promise = promise_of(tuned_rule, keep_quality, max_cost, confidence)
        judge = judge_of_settings()
        if logs:
            rows, notes = asyncio.run(_logged(policy, on, tuned_rule, judge, since))
            names = {name: name for name in policy.models}
        else:
            rows, names = _from_data(policy, on, tuned_rule, judge, data or [], as_ or [])
            notes = ()
        found = run(policy, on, tuned_rule, rows, promise, names)
        written = write and found.written is not None
        if written:
            _write(
                file, tuned_rule, found, f"logs since {since}" if logs else ", ".join(one.name for one in data or [])
            )
    if as_json:
        print_json({**_document(found), "judge": judge.name, "notes": [*found.notes, *notes], "written": written})
    else:
        for line in (*_lines(found, judge.name), *(f"note: {text}" for text in (*found.notes, *notes))):
            typer.echo(line)
        typer.echo(f"written to {file}" if written else "nothing was written" + ("" if write else "; --write does"))
    if found.written is None:
        raise typer.Exit(FOUND)


def _from_data(
    policy: Policy, route: Route, rule: Rule, judge: Judge, files: Sequence[Path], given: Sequence[str]
) -> tuple[list[Judged], dict[str, str]]:
    from router.trial.replayed import names_in
    from router.trial.tuning import judged_rows

    rows = outcome_rows(files)
    names = names_in(policy, given, sorted({model for row in rows for model in row.scores}))
    return judged_rows(policy, route, rule, rows, judge, names), names


async def _logged(
    policy: Policy, route: Route, rule: Rule, judge: Judge, since: str
) -> tuple[list[Judged], tuple[str, ...]]:
    from router.ledger.store import SqlStore
    from router.ledger.window import read_window
    from router.settings import read_settings
    from router.trial.tuning_logged import logged_rows

    window, store = read_window(since), SqlStore(read_settings().store_url)
    try:
        await store.open()
        return await logged_rows(store, window, policy, route, rule, judge)
    finally:
        await store.aclose()


def _write(file: Path, rule: Rule, found: Tuned, source: str) -> None:
    from router.policy.compiled import Agree, Cascade
    from router.policy.setting import set_number

    inside = "cascade" if isinstance(rule.act, Cascade) else "agree" if isinstance(rule.act, Agree) else None
    assert found.written is not None
    remark = (
        f"{datetime.now(UTC):%Y-%m-%d}: {found.key} {found.written:g}, {_interval(found)}, {_promised(found)}, "
        f"by {found.rows} rows of {source}"
    )
    set_number(file, found.route, found.rule, inside, found.key, found.written, " ".join(remark.split()), os.environ)


def _document(found: Tuned) -> dict[str, Any]:
    from dataclasses import asdict

    told = asdict(found)
    return {**told, "value": told.pop("written")}


def _lines(found: Tuned, judge: str) -> list[str]:
    from router.trial.told import shown

    lines = [f"rule {found.rule} of route {found.route}, {found.rows} rows, judged by {judge}"]
    if found.written is None:
        lines.append(
            f"no {found.key} can be shown to {_promised(found)}: {found.baseline} must serve all, or more rows"
        )
    else:
        lines.append(f"{found.key} {found.written:g}, {_interval(found)}: {_promised(found)}")
        lines.append(
            f"here it keeps {shown(found.kept)} of {found.baseline}'s quality for {shown(found.bill)} of its bill"
        )
    lines.append(
        f"set on one half and read on the other, the promise held in {found.unseen:.0%} of random halves, for "
        f"{shown(found.unseen_bill)} of the bill"
    )
    others = ", ".join(f"{name} {'-' if bill is None else f'{bill:.3f}'}" for name, bill in found.beside.items())
    what = "bill" if found.promise.keep_quality is not None else "quality"
    return [*lines, f"share of the {what} with other rankings that keep the promise: {others}"]


def _interval(found: Tuned) -> str:
    figure = found.threshold
    return f"95% interval {figure.low:.4f} to {figure.high:.4f}" if figure.low is not None else "no interval"


def _promised(found: Tuned) -> str:
    promise = found.promise
    what = (
        f"keep {promise.keep_quality:.1%} of {found.baseline}'s quality"
        if promise.keep_quality is not None
        else f"spend {promise.max_cost:.1%} of {found.baseline}'s bill at most"
    )
    return f"{what} ({promise.confidence:.0%} sure)"
