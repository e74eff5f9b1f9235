"""docs/routing-quality.md is made of the raw figures that are kept, and those are of the judge that ships."""

from __future__ import annotations

import json
from pathlib import Path

from bench import quality_page
from bench.quality_chat import prompts
from classifiers.artefact import load_default
from classifiers.training.dataset import seed_rows

ROOT = Path(__file__).parent.parent
RAW = json.loads((ROOT / "bench/results/routing_quality.json").read_text("utf-8"))
PAGE = (ROOT / "docs/routing-quality.md").read_text("utf-8")


def test_the_page_is_made_of_the_raw_figures() -> None:
    assert quality_page.page(RAW) == PAGE


def test_every_part_was_measured_on_the_judge_that_ships() -> None:
    measured = {part: name for part, name in RAW["artefacts"].items() if part != "encoder"}
    assert {*measured, "encoder"} == set(quality_page.SECTIONS)
    assert set(measured.values()) == {f"fast@{load_default().digest}"}


def test_looks_at_the_published_test_sets_are_counted() -> None:
    assert set(RAW["looks"]) == {"routellm_mmlu", "routellm_gsm8k", "routellm_mtbench"}
    assert all(f"{count}" in PAGE for count in RAW["looks"].values())


def test_no_prompt_that_is_measured_was_trained_on() -> None:
    trained = {(row.ask.earlier, row.ask.text.lower()) for row in seed_rows()}
    measured = prompts()
    assert len(measured) > 400
    assert [prompt.text for prompt in measured if (prompt.earlier, prompt.text.lower()) in trained] == []
