"""docs/learning-loop.md is made of the raw figures that are kept, and what it claims holds by them."""

from __future__ import annotations

import json
from pathlib import Path

from bench import learning_page

ROOT = Path(__file__).parent.parent
RAW = {name: json.loads((ROOT / f"bench/results/{name}.json").read_text("utf-8")) for name in learning_page.SOURCES}
PAGE = (ROOT / "docs/learning-loop.md").read_text("utf-8")
LOOP = RAW["learning_loop"]["scenes"]


def test_the_page_is_made_of_the_raw_figures() -> None:
    assert learning_page.page(RAW) == PAGE
    assert PAGE.count("SIMULATED") >= 3


def test_the_rehearsals_asked_for_were_played_with_five_seeds() -> None:
    for scene, requests in (("a tenth audited", 10_000), ("shift", 3_000)):
        runs = LOOP[scene]["runs"]
        assert sorted(run["seed"] for run in runs) == [0, 1, 2, 3, 4]
        assert {run["requests"] for run in runs} == {requests}


def test_length_random_the_shipped_judge_and_the_oracle_stand_beside_the_loop() -> None:
    for scene in learning_page.SCENES.keys() & LOOP.keys():
        for run in LOOP[scene]["runs"]:
            found = run["second_half"]["hindsight"]
            assert {"learned", "default", "length", "random", "oracle"} <= set(found)
            assert found["oracle"]["bill"]["value"] <= min(one["bill"]["value"] for one in found.values())


def test_drift_was_found_within_a_thousand_requests_and_not_before_it_was_there() -> None:
    for run in LOOP["shift"]["runs"]:
        half = len(run["parts"]) // 2
        assert not any(part["drifted"] for part in run["parts"][:half])
        seen = [part["requests"] for part in run["parts"][half:] if not part["drifted"]]
        assert sum(seen) < 1_000 and any(part["drifted"] for part in run["parts"][half:])


def test_the_gate_let_at_most_a_twentieth_of_noise_through_and_nothing_that_was_made_worse() -> None:
    gate = RAW["gate"]
    assert gate["noise"]["retrainings"] >= 200 and gate["noise"]["share_high"] <= 0.05
    assert gate["worse"]["retrainings"] >= 50 and gate["worse"]["passed"] == 0


def test_one_key_moves_mean_predicted_quality_by_less_than_is_stated() -> None:
    alone = [
        one
        for found in RAW["key_bound"]["files"].values()
        for one in found
        if one["attack"].startswith("everything") and "," not in one["attack"] and "20 keys" not in one["attack"]
    ]
    assert len(alone) >= 12
    assert max(one[side]["most"] for one in alone for side in ("lower_small", "lower_large")) < 1 / 11
