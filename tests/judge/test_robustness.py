"""Robustness: what is measured of judges whose weakness is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from typer.testing import CliRunner

from classifiers.artefact import load_default
from classifiers.contract import AskText, Assessment, ModelCard
from classifiers.errors import TrainingError
from classifiers.learned import LearnedClassifier
from classifiers.training import attacks, robustness
from classifiers.training.dataset import seed_rows

DEFAULT = load_default()
TEXTS = [row.ask.text for row in seed_rows() if row.language == "en" and not row.ask.earlier][:160]


class Judge:
    """A judge that looks at one thing only."""

    name = "one-eyed"
    features_digest = None

    def __init__(self, hard: object) -> None:
        self.hard = hard

    def assess(self, ask: AskText, models: Sequence[ModelCard]) -> Assessment:
        complexity = 0.9 if self.hard(ask.text) else 0.1  # type: ignore[operator]
        return Assessment(complexity, {}, 0.0, 1.0, "chat", "en", self.name)


def test_a_judge_that_says_always_the_same_cannot_be_pushed() -> None:
    found = robustness.measure(Judge(lambda text: False), DEFAULT, TEXTS)
    assert found["unchanged"] == 1.0
    assert len(found["attacks"]) == 6
    assert all(row["uplift_undefended"] == row["uplift_defended"] == 0.0 for row in found["attacks"])


def test_a_judge_that_looks_at_the_first_letters_case_is_caught_by_case_alone() -> None:
    found = robustness.measure(Judge(lambda text: text.lstrip()[:1].isupper()), DEFAULT, TEXTS)
    unchanged = {row["kind"]: row["unchanged"] for row in found["perturbations"]}
    assert unchanged["whitespace"] == 1.0 > unchanged["lower case"]


def test_the_search_finds_the_word_that_a_judge_falls_for() -> None:
    def judge(texts: Sequence[str]) -> np.ndarray:
        return np.array([0.1 + 0.08 * text.split().count("fig") for text in texts])

    found = attacks.searched(judge, TEXTS[:10], ["apple", "pear", "plum", *["fig"] * 20], "prefix", 0)
    assert found.text.split().count("fig") > 5 and len(found.text.split()) == attacks.TOKENS


def test_the_shipped_judge_is_defended_against_a_string_searched_without_knowing_of_the_defence() -> None:
    found = robustness.measure(LearnedClassifier(DEFAULT), DEFAULT, TEXTS)
    rows = {row["attack"]: row for row in found["attacks"]}
    for place in ("prefix", "suffix"):
        assert rows[f"searched {place}"]["uplift_undefended"] > 50.0
        assert rows[f"searched {place}"]["uplift_defended"] <= 10.0


def test_too_few_asks_for_the_small_model_give_no_attack_and_no_error() -> None:
    assert robustness.measure(Judge(lambda text: True), DEFAULT, TEXTS)["attacks"] == []
    with pytest.raises(TrainingError):
        robustness.measure(Judge(lambda text: True), DEFAULT, [])


def test_evaluate_tells_it_as_json_and_as_a_table(tmp_path) -> None:
    import json

    from router.cli import app

    path = tmp_path / "asks.jsonl"
    outcomes = {"a": {"score": 0.0}, "b": {"score": 1.0}}
    lines = [
        json.dumps({"query_id": n, "domain": "d", "query": text, "outcomes": outcomes})
        for n, text in enumerate(TEXTS[:30])
    ]
    path.write_text("\n".join(lines), "utf-8")
    command = ["evaluate", str(path), "--small", "a", "--large", "b", "--robustness"]
    found = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)["robustness"]
    assert {"unchanged", "perturbations", "attacks"} <= set(found)
    assert "polite wrapper" in CliRunner().invoke(app, command).stdout
