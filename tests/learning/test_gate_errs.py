"""How the gate errs, in small: noise hardly ever passes, harm never, and what helps does. In full: bench/gate.py."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from bench import gate
from classifiers.training.fit import Floats


def signal(seed: int, size: int = 300) -> gate.World:
    """The small model is right on the asks that the shipped judge holds for easier, the large one nearly always."""
    _, vectors, believed = gate.shipped_judge()
    random = np.random.default_rng((seed, 14))
    drawn = random.choice(len(vectors), size, replace=False)
    easy = believed[drawn, 0] > np.median(believed[:, 0])
    shares: Floats = np.column_stack([np.where(easy, 0.95, 0.15), np.full(size, 0.9)])
    return gate.World(vectors[drawn], (random.random((size, 2)) < shares).astype(np.float64))


def test_of_ten_retrainings_on_noise_at_most_one_passes() -> None:
    kinds = list(gate.NOISE)
    passed = [
        gate.noise_of(kinds[seed % len(kinds)], 150, 1000 + seed, audited=seed % 3 != 2)["passed"] for seed in range(10)
    ]
    assert sum(passed) <= 1


@pytest.mark.parametrize("way", gate.WORSE)
def test_a_candidate_that_was_made_worse_never_passes(way: str) -> None:
    current, _, _ = gate.shipped_judge()
    for seed in range(2):
        data = gate.data_of(signal(seed), current.featurise.digest, audited=True)
        tried, verdict = gate.retrained(data, current, seed, partial(gate.WORSE[way], current=current, seed=seed))
        assert tried and verdict is not None and not verdict.passed


def test_a_spoilt_judge_that_learned_passes() -> None:
    current, _, _ = gate.shipped_judge()
    data = gate.data_of(signal(9, 500), current.featurise.digest, audited=True)
    tried, verdict = gate.retrained(data, gate.spoilt(current, np.random.default_rng(9)), 9)
    assert tried and verdict is not None and verdict.passed, verdict
