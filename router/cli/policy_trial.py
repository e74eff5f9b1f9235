"""`signalbox policy test|replay|diff`: trying a policy before it rules. Calls no model; reads files, or the ledger."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from msgspec import to_builtins

from router.cli.output import FOUND, JSON_OPTION, errors_as_exit, print_json, progress
from router.errors import ConfigError

if TYPE_CHECKING:
    from classifiers.training.dataset import OutcomeRow
    from router.judge import Judge
    from router.trial.testing import Held

POLICY = Annotated[Path, typer.Argument(help="The policy file.", metavar="POLICY")]


def try_cases(
    file: POLICY,
    cases: Annotated[
        list[Path] | None,
        typer.Argument(help="Files of cases; default POLICY.cases.yaml beside it.", metavar="CASES..."),
    ] = None,
    as_json: bool = JSON_OPTION,
) -> None:
    """Decide the cases of a policy: 0 all are as expected, 1 some are not, 2 a file cannot be read."""
    from router.policy.load import load_policy
    from router.trial.cases import default_cases, read_cases
    from router.trial.testing import hold

    with errors_as_exit(ConfigError):
        policy = load_policy(file, os.environ)
        groups = {path: read_cases(path, policy) for path in cases or [default_cases(file)]}
        held = {path: hold(policy, group, judge_of_settings, _checked) for path, group in groups.items()}
    failed = sum(not one.holds for group in held.values() for one in group)
    count = sum(map(len, held.values()))
    if as_json:
        told = {str(path): [_told(one) for one in group] for path, group in held.items()}
        print_json({"policy": policy.label, "cases": count, "failed": failed, "files": told})
    else:
        for path, group in held.items():
            for one in group:
                _print_case(path, one)
        typer.echo(f"{policy.label}: {count - failed} of {count} cases hold")
    if failed:
        raise typer.Exit(FOUND)


def judge_of_settings() -> Judge:
    """The judge that a gateway with these settings would start with; the encoder's stand-in where that is chosen."""
    from router.judge import Judge
    from router.learning.uptake import load_judge
    from router.settings import read_settings

    with errors_as_exit(ConfigError):
        return Judge(load_judge(read_settings()), slow_seconds=float("inf"))


def _checked(body: dict[str, Any]) -> dict[str, Any]:
    from router.api.chat import chat_request

    return dict(chat_request("none", orjson.dumps(body), {}).body.values)


def _told(one: Held) -> Mapping[str, Any]:
    return {
        "name": one.name,
        "holds": one.holds,
        "differences": [
            {"what": found.what, "expected": found.expected, "seen": found.seen} for found in one.differences
        ],
        "decision": None if one.decision is None else to_builtins(one.decision),
        "route": one.route,
        "refused": one.refused,
        "rules": [to_builtins(rule) for rule in one.rules],
    }


def _print_case(path: Path, one: Held) -> None:
    if one.holds:
        typer.echo(f"ok    {one.name}")
        return
    typer.echo(f"FAIL  {one.name} ({path})")
    for found in one.differences:
        typer.echo(f"      {found.what}: expected {_shown(found.expected)}, seen {_shown(found.seen)}")
    for rule in one.rules:
        typer.echo(f"      {'*' if rule.matched else ' '} {rule.name}: {rule.why}")
    if one.message is not None:
        typer.echo(f"      refused: {one.message}")


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def replay(
    file: POLICY,
    data: Annotated[list[Path], typer.Option(help="An outcome file; repeatable.", metavar="FILE...")],
    route: Annotated[str, typer.Option(help="The route that decides.")] = "auto",
    as_: Annotated[
        list[str] | None,
        typer.Option(
            "--as", help="Which model of the data stands for one of the policy; repeatable.", metavar="NAME=DATANAME"
        ),
    ] = None,
    as_json: bool = JSON_OPTION,
) -> None:
    """Say what a policy would have done with the rows of outcome files, what it would have cost and been worth."""
    from classifiers.errors import ClassifierError
    from router.errors import RequestError
    from router.policy.load import load_policy
    from router.trial import told
    from router.trial.replayed import names_in
    from router.trial.replayed import replay as run
    from router.trial.worth import worth

    with errors_as_exit(ConfigError, ClassifierError):
        policy = load_policy(file, os.environ)
        rows = outcome_rows(data)
        names = names_in(policy, as_ or (), sorted({model for row in rows for model in row.scores}))
        judge = judge_of_settings()
    with errors_as_exit(RequestError):
        replayed = run(policy, route, rows, judge, names)
    figures = worth(replayed, route)
    if as_json:
        print_json(told.replay_document(replayed, figures, judge.name))
    else:
        for line in told.replay_lines(replayed, figures, judge.name):
            typer.echo(line)


def outcome_rows(files: Sequence[Path]) -> list[OutcomeRow]:
    """All rows of some outcome files. Raises TrainingError naming file and line."""
    from classifiers.training.dataset import read_outcomes

    say = progress()
    rows = []
    for file in files:
        say(f"reading {file}")
        rows += read_outcomes(file)
    return rows
