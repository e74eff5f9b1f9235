"""The kept figures of the learning loop's benchmarks are as good as its documentation says, and can be shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench import learning_tables

RESULTS = Path(__file__).parent.parent.parent / "bench" / "results"


@pytest.fixture(scope="module")
def off_policy() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / "off_policy.json").read_text("utf-8"))
    return found


@pytest.fixture(scope="module")
def drift() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / "drift.json").read_text("utf-8"))
    return found


MANY = 500
"""Logs with enough support, below which the share of intervals that held is itself too uncertain."""


@pytest.mark.parametrize("way", ["ips", "snips", "dr"])
@pytest.mark.parametrize(
    ("what", "least"), [("quality", 93), ("quality difference", 93), ("cost", 92), ("cost difference", 92)]
)
def test_intervals_hold_the_truth_in_93_to_97_of_100_logs(
    off_policy: dict[str, Any], what: str, least: int, way: str
) -> None:
    held = {
        (file, scene, one["candidate"]): one["figures"][what][way]["coverage_however_wide"]
        for file, of_file in off_policy["files"].items()
        for scene, candidates in of_file["scenes"].items()
        for one in candidates
        if one["supported"] >= MANY
    }
    assert len(held) >= 12 and off_policy["logs"] >= 2000
    assert not {where: share for where, share in held.items() if not least <= round(100 * share) <= 97}


def test_logs_that_cannot_say_were_refused_to_the_last(off_policy: dict[str, Any]) -> None:
    for of_file in off_policy["files"].values():
        for scene in ("thin: 1% audits", "nothing but labels"):
            assert [one["refused"] for one in of_file["scenes"][scene]] == [1.0] * 4
        explored = {one["candidate"]: one["refused"] for one in of_file["scenes"]["exploration alone, all labelled"]}
        assert explored["always small"] == explored["another judge"] == 1.0 > explored["more to large"]


def test_the_bound_of_the_loss_was_below_the_truth_in_at_most_5_of_100_logs(off_policy: dict[str, Any]) -> None:
    for of_file in off_policy["files"].values():
        assert max(one["missed_ever"] for one in of_file["risk"]) <= 0.05


def test_drift_was_hardly_ever_cried_and_new_domains_were_always_found(drift: dict[str, Any]) -> None:
    assert drift["quiet"]["windows"] >= 500 and drift["quiet"]["alarms"] <= 0.02
    whole = [one for one in drift["shifts"] if one["new_share"] == 1.0]
    assert len(whole) >= 5 and {one["within_1000"] for one in whole} == {1.0}


def test_tables_have_a_row_for_every_figure(off_policy: dict[str, Any], drift: dict[str, Any]) -> None:
    for table in (
        learning_tables.coverage(off_policy),
        learning_tables.refusals(off_policy),
        learning_tables.bounds(off_policy),
        learning_tables.drift(drift),
    ):
        lines = [line for line in table.splitlines() if line.startswith("|")]
        assert len(lines) > 6 and len({line.count("|") for line in lines}) == 1
