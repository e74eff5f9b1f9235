"""docs/cascades.md is made of the raw figures that are kept, and its promise holds by them."""

from __future__ import annotations

import json
import re
from pathlib import Path

from bench import promise_page
from classifiers.artefact import load_default

ROOT = Path(__file__).parent.parent
RAW = json.loads((ROOT / "bench/results/promise.json").read_text("utf-8"))
PAGE = (ROOT / "docs/cascades.md").read_text("utf-8")


def test_the_page_is_made_of_the_raw_figures() -> None:
    assert promise_page.page(RAW) == PAGE
    assert set(promise_page.SECTIONS) <= set(RAW)


def test_the_readme_begins_with_the_same_number() -> None:
    [claim] = re.findall(r"\*\*A promise.+?\*\*", " ".join(PAGE.split()))
    assert claim in " ".join((ROOT / "README.md").read_text("utf-8").split())


def test_every_plan_kept_its_promise_as_often_as_is_said() -> None:
    for figures in RAW["number"]:
        kept = {name: row["kept"] for name, row in figures["rows"].items()}
        assert min(kept.values()) >= 0.93, (figures["file"], kept)


def test_length_random_and_oracle_stand_beside_every_plan() -> None:
    assert {figures["file"] for figures in RAW["number"]} == {"routellm_mmlu", "mmlu_pro", "mixed_tasks"}
    for figures in RAW["number"]:
        rows = figures["rows"]
        assert {"random", "length", "task_type", "own", "own_linear", "oracle"} <= set(rows)
        assert rows["oracle"]["bill"]["value"] <= min(row["bill"]["value"] for row in rows.values())


def test_the_text_ranks_better_beside_the_vote_than_the_vote_alone_and_never_clearly_worse_on_a_new_domain() -> None:
    rows = RAW["agreement"]["rows"]
    assert rows["agree"]["above_vote"]["value"] >= 0.02
    assert rows["agree_unseen"]["above_vote"]["low"] > 0.0
    for name, domain in RAW["agreement"]["domains"].items():
        assert domain["agree_unseen"]["above_vote"]["high"] > 0.0, name


def test_the_judge_that_ships_was_measured() -> None:
    assert RAW["judge"] == f"fast@{load_default().digest}"


def test_estimated_prices_are_called_estimates() -> None:
    assert "are estimates" in PAGE
    assert "## Prices" in PAGE
