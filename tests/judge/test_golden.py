"""The judge's numbers for fixed asks are those that were kept: the same features digest, the same values."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from classifiers.learned import LearnedClassifier
from tests.judge.golden import ASKS, GOLDEN, SETS, judged, rows_of, unpacked

ROUNDING = 1e-6


@pytest.fixture(scope="module")
def kept() -> dict[str, Any]:
    return json.loads(GOLDEN.read_text("utf-8"))  # type: ignore[no-any-return]


def test_the_golden_values_belong_to_the_artefact_that_ships(kept: dict[str, Any]) -> None:
    learned = LearnedClassifier.load()
    assert (kept["artefact"], kept["features_digest"]) == (learned.artefact.digest, learned.features_digest), (
        "a new artefact or a new feature function needs new golden values: python -m tests.judge.golden"
    )


@pytest.mark.parametrize("number", range(len(ASKS)), ids=lambda number: f"{number}-{ASKS[number].text[:16]!a}")
def test_an_ask_has_the_vector_it_always_had(number: int, kept: dict[str, Any]) -> None:
    featurise = LearnedClassifier.load().artefact.featurise
    assert len(ASKS) == len(kept["vectors"])
    np.testing.assert_allclose(featurise(ASKS[number]), unpacked(kept["vectors"][number]), rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("name", SETS)
def test_the_prompts_of_a_set_are_judged_as_they_always_were(name: str, kept: dict[str, Any]) -> None:
    before, now = kept["assessments"][name], judged(rows_of(name))
    assert len(before) == len(now)
    for was, is_now in zip(before, now, strict=True):
        assert is_now == [pytest.approx(value, abs=ROUNDING) if isinstance(value, float) else value for value in was]
