"""`signalbox risk`: how far the rules of a policy with a `max_risk` are from their proof, by the ledger."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router.cli.output import FOUND, JSON_OPTION, OUT_OF_REACH, errors_as_exit, print_json, refuse
from router.errors import BadRequest, ConfigError, StoreAway

if TYPE_CHECKING:
    from router.policy.compiled import Policy


def risk(
    file: Annotated[Path, typer.Argument(help="The policy file.", metavar="POLICY")],
    since: Annotated[
        str | None,
        typer.Option(help="Count requests from then on (30d, or an RFC 3339 time), older than the rule too: no proof."),
    ] = None,
    as_json: bool = JSON_OPTION,
) -> None:
    """Say what audits have proven of each `max_risk`: 0 all of them, 1 not all, 2 bad input."""
    from classifiers.errors import ClassifierError
    from router.policy.load import load_policy
    from router.policy.proofs import to_prove

    with errors_as_exit(ConfigError, ClassifierError, BadRequest), errors_as_exit(StoreAway, code=OUT_OF_REACH):
        policy = load_policy(file, os.environ)
        if not any(to_prove(policy)):
            refuse(f"no rule of {policy.name} has a `max_risk`")
        rows = asyncio.run(_rows(policy, since))
    if as_json:
        print_json({"forecast": since is not None, "rows": rows})
    else:
        for row in rows:
            typer.echo(_line(row, forecast=since is not None))
    if not all(row["proven"] for row in rows):
        raise typer.Exit(FOUND)


async def _rows(policy: Policy, since: str | None) -> list[dict[str, Any]]:
    """By the judge that a gateway with these settings would judge with: the registry's, else the one that is set."""
    from router.judge import Judge
    from router.learning.proving import judgings, proofs_of, risk_rows
    from router.learning.uptake import Uptake, load_judge
    from router.ledger.registry import Registry
    from router.ledger.store import SqlStore
    from router.ledger.window import read_moment
    from router.settings import read_settings

    settings, now = read_settings(), time.time()
    begin = None if since is None else read_moment(since, now, "since")
    judge, store = Judge(load_judge(settings)), SqlStore(settings.store_url)
    try:
        await store.open()
        if settings.classifier == "fast" and not settings.artefact:
            await Uptake(Registry(store), judge).poll()
        proven = await proofs_of(store, policy, judgings(judge)[0], now, since_unix=begin)
        return risk_rows(policy, judge.name, proven)
    finally:
        await store.aclose()


def _line(row: dict[str, Any], *, forecast: bool) -> str:
    head = f"{row['route']}, {row['rule']} (judged by {row['judge']}): max_risk {row['max_risk']:g} "
    shown = f"bound {row['bound']:.3g}, {row['lost']:.3g} lost in {row['pairs']} audited pairs since {row['since']}"
    left_out = f", {row['left_out']} left out" if row["left_out"] else ""
    if row["proven"]:
        return head + (
            f"would be proven by pairs like these: {shown}{left_out}" if forecast else f"proven: {shown}{left_out}"
        )
    needed = "pairs like these never prove it" if row["more"] is None else f"about {row['more']} more would prove it"
    return f"{head}not proven, {row['baseline']} serves: {shown}{left_out}; {needed}"
