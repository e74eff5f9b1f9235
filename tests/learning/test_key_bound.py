"""One key that thumbs everything down moves what the judge predicts by less than its share of the labels."""

from __future__ import annotations

import numpy as np
import pytest

from classifiers.artefact import Artefact, load_default
from classifiers.contract import Label, LabelSource, LoggedDecision, ModelCard
from classifiers.learned import LearnedClassifier
from classifiers.training.dataset import seed_rows
from classifiers.training.labels import MOST_OF_A_KEY
from classifiers.training.retrain import retrain_from_logs

CURRENT = load_default()
SMALL = ModelCard("local", "acme/tiny-3b", "small")
VECTORS = np.stack([CURRENT.featurise(row.ask) for row in seed_rows()])
BOUND = MOST_OF_A_KEY / (1 + MOST_OF_A_KEY)
"""The share of all labels that a key may have, and so the most that a mean of scores in 0..1 can fall by."""


def labelled(name: str, score: float, source: LabelSource, key: str, vector: int) -> LoggedDecision:
    return LoggedDecision(
        name, float(name[1:]), "t", "chat", "en", SMALL, ("local",), {}, 1.0, None, 10, 10,
        VECTORS[vector].astype(np.float16).astype(np.float32), CURRENT.featurise.digest,
        (Label(name, score, source, 1.0, float(name[1:]), key),), key,
    )  # fmt: skip


def honest(count: int, random: np.random.Generator) -> list[LoggedDecision]:
    """Seven answers in ten are good; half of that a judge says, half users behind ten keys."""
    return [
        labelled(
            f"h{number}",
            float(random.random() < 0.7),
            "judge" if number % 2 else "user",
            f"k{number % 20 // 2}",
            int(random.integers(len(VECTORS))),
        )
        for number in range(count)
    ]


def all_down(count: int, key: str, random: np.random.Generator) -> list[LoggedDecision]:
    return [labelled(f"x{number}", 0.0, "user", key, int(random.integers(len(VECTORS)))) for number in range(count)]


def mean_quality(artefact: Artefact) -> float:
    judge = LearnedClassifier(artefact)
    return float(np.mean([judge.assess_features(vector, (SMALL,)).quality["local"] for vector in VECTORS[:500]]))


@pytest.mark.parametrize("count", [200, 600])
def test_ten_times_as_many_thumbs_down_as_labels_move_the_mean_by_less_than_the_bound(count: int) -> None:
    random = np.random.default_rng(count)
    labels = honest(count, random)
    lies = all_down(10 * count, "angry", random)
    without, _ = retrain_from_logs(labels, CURRENT)
    moved, _ = retrain_from_logs([*labels, *lies], CURRENT)
    assert mean_quality(without) - mean_quality(moved) < BOUND


def test_without_the_rule_it_would_move_further() -> None:
    random = np.random.default_rng(5)
    labels = honest(200, random)
    lies = all_down(2000, "", random)  # of nobody's key, so that no rule holds them
    without, _ = retrain_from_logs(labels, CURRENT)
    moved, _ = retrain_from_logs([*labels, *lies], CURRENT)
    assert mean_quality(without) - mean_quality(moved) > 2 * BOUND
