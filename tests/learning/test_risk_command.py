"""`signalbox risk`: exit codes, what it counts, and that it says what is missing."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from classifiers.tiers import load_classifier
from router.cli import app
from router.domain import RuleTrace
from router.learning.proving import Judging, proofs_of
from router.ledger.store import SqlStore
from router.policy.load import load_policy
from tests.ledger.outcomes import an_outcome

POLICY = """
version: 1
models:
  small: {tier: small, model: s, base_url: "http://s.test/v1", price: {input: 0.1, output: 0.2}}
  large: {tier: large, model: l, base_url: "http://l.test/v1", price: {input: 3, output: 15}}
  third: {tier: large, model: t, base_url: "http://t.test/v1", price: {input: 1, output: 4}}
default: small
routes:
  auto:
    baseline: large
    audit: {rate: 0.1, judge: third}
    rules:
      - {name: promise, choose: cheapest, among: [small, large], max_risk: 0.3}
"""


class Place:
    """A policy file, and a ledger with pairs that lost nothing."""

    def __init__(self, folder: Path):
        self.policy = folder / "policy.yaml"
        self.policy.write_text(POLICY)
        self.url = f"sqlite:///{folder / 'ledger.db'}"
        self.env = {"SIGNALBOX_DATABASE_URL": self.url, "SIGNALBOX_DATA_DIR": str(folder)}

    def risk(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, ["risk", str(self.policy), *arguments], env=self.env)

    def pairs(self, count: int, *, seen_seconds_ago: float | None) -> None:
        """Pairs of the last minute. seen: when a gateway first saw the rule."""

        async def write() -> None:
            store, policy = SqlStore(self.url), load_policy(self.policy)
            await store.open()
            judge, now = load_classifier("fast").name, time.time()
            if seen_seconds_ago is not None:
                await proofs_of(store, policy, Judging(judge, None), now - seen_seconds_ago, note=True)
            for number in range(count):
                row = an_outcome(
                    at_unix=now - 60 + number, policy=policy.label, rule="promise", classifier=judge, complexity=0.4,
                    quality=dict.fromkeys(policy.models, 0.5), rules=(RuleTrace("promise", True, "always"),),
                    model="large",
                )  # fmt: skip
                audit = an_outcome(
                    request_id=f"{row.request_id}.audit", parent_id=row.request_id, purpose="audit",
                    at_unix=row.at_unix, model="small",
                )  # fmt: skip
                await store.write([row, audit])
                for name in (row.request_id, audit.request_id):
                    await store.add_label(name, "acme", "audit", "judge", 0.9, known=True)
            await store.aclose()

        asyncio.run(write())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_what_is_proven_ends_with_0_and_says_by_what(place: Place) -> None:
    place.pairs(15, seen_seconds_ago=100)
    result = place.risk()
    assert result.exit_code == 0, result.output
    assert "auto, promise (judged by fast@" in result.output and "max_risk 0.3 proven: bound 0." in result.output
    assert "0 lost in 15 audited pairs since 20" in result.output


def test_what_is_not_proven_ends_with_1_and_says_how_many_more(place: Place) -> None:
    place.pairs(5, seen_seconds_ago=100)
    result = place.risk()
    assert result.exit_code == 1
    assert "not proven, large serves: bound " in result.output and " more would prove it" in result.output
    [row] = json.loads(place.risk("--json").stdout)["rows"]
    assert (row["pairs"], row["proven"], row["baseline"]) == (5, False, "large") and row["more"] > 0


def test_older_pairs_are_a_forecast_and_looking_notes_nothing(place: Place) -> None:
    place.pairs(15, seen_seconds_ago=None)
    assert "0 audited pairs" in place.risk().output
    forecast = place.risk("--since", "1d")
    assert forecast.exit_code == 0 and "would be proven by pairs like these" in forecast.output
    assert json.loads(place.risk("--since", "1d", "--json").stdout)["forecast"] is True
    assert "0 audited pairs" in place.risk().output


def test_bad_input_ends_with_2_and_a_ledger_out_of_reach_with_3(place: Place) -> None:
    assert place.risk("--since", "soon").exit_code == 2
    place.policy.write_text(POLICY.replace(", max_risk: 0.3", ""))
    without = place.risk()
    assert without.exit_code == 2 and "no rule of policy has a `max_risk`" in without.output
    place.policy.write_text(POLICY.replace("    audit: {rate: 0.1, judge: third}\n", ""))
    unprovable = place.risk()
    assert unprovable.exit_code == 2 and "give the route an `audit`" in unprovable.output
    place.policy.write_text(POLICY)
    place.env["SIGNALBOX_DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/nowhere"
    assert place.risk().exit_code == 3
