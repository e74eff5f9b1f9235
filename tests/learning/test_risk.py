"""Bounds of the quality lost: exact small cases, and hardly ever below the truth however often they are asked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.errors import TrainingError
from classifiers.training.risk import clopper_pearson, lost, risk


@pytest.mark.parametrize(
    ("count", "n", "bound"),
    [(0, 10, 1 - 0.05**0.1), (0, 149, 1 - 0.05 ** (1 / 149)), (1, 1, 1.0), (0, 0, 1.0), (1, 2, 0.95**0.5)],
)
def test_shares_are_bounded_exactly(count: int, n: int, bound: float) -> None:
    # None of n: (1 - p)^n = 0.05. One of two: at most one has the chance 1 - p^2 = 0.05.
    assert clopper_pearson(count, n) == pytest.approx(bound)


@given(st.integers(0, 60), st.integers(0, 60), st.floats(0.5, 0.999))
def test_the_bound_of_a_share_rises_with_what_was_harmed_and_with_confidence(
    count: int, rest: int, confidence: float
) -> None:
    n = count + rest
    bound = clopper_pearson(count, n, confidence=confidence)
    assert (count / n if n else 0.0) <= bound <= 1.0
    if count < n:
        assert clopper_pearson(count + 1, n, confidence=confidence) >= bound
    assert clopper_pearson(count, n, confidence=(1 + confidence) / 2) >= bound
    assert clopper_pearson(count, n + 1, confidence=confidence) <= bound


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1, 1), max_size=200), st.floats(0.5, 0.99))
def test_the_bound_of_the_loss_rises_with_confidence_and_is_a_loss(losses: list[float], confidence: float) -> None:
    sample = np.array(losses)
    bound = lost(sample, confidence=confidence)
    assert 0.0 <= bound <= 1.0
    assert lost(sample, confidence=(1 + confidence) / 2) >= bound - 1e-9
    assert bound >= min(1.0, sample.mean() if len(sample) else 1.0) - 1e-9


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1, 1), max_size=200))
def test_another_loss_of_all_there_is_never_lowers_the_bound(losses: list[float]) -> None:
    assert lost(np.array([*losses, 1.0])) >= lost(np.array(losses)) - 1e-9


def losses_of(random: np.random.Generator, n: int, worse: float, better: float) -> np.ndarray:
    drawn = random.random(n)
    return np.where(drawn < worse, 1.0, np.where(drawn < worse + better, -1.0, 0.0))


@pytest.mark.parametrize(("worse", "better"), [(0.02, 0.0), (0.1, 0.06), (0.3, 0.3)])
def test_asking_after_every_twenty_pairs_the_bound_is_hardly_ever_below_the_truth(worse: float, better: float) -> None:
    random = np.random.default_rng(0)
    missed = 0
    for _ in range(200):
        losses = losses_of(random, 1000, worse, better)
        missed += any(lost(losses[:look]) < worse - better for look in range(20, 1001, 20))
    assert missed <= 200 * 0.05


def test_a_bound_for_one_look_does_miss_where_it_is_asked_again_and_again() -> None:
    random = np.random.default_rng(0)
    missed = 0
    for _ in range(200):
        harmed = losses_of(random, 1000, 0.1, 0.0).cumsum()
        missed += any(clopper_pearson(int(harmed[look - 1]), look) < 0.1 for look in range(20, 1001, 20))
    assert missed > 200 * 0.1


def test_enough_pairs_that_lose_nothing_prove_a_small_risk() -> None:
    same = np.ones(150)
    assert not risk(same[:50], same[:50]).proves(0.02)
    assert risk(np.ones(300), np.ones(300)).proves(0.02)


def test_answers_that_got_better_make_up_for_the_loss_but_not_for_the_harm() -> None:
    baseline, served = np.tile([1.0, 0.0, 1.0, 1.0], 500), np.tile([0.0, 1.0, 1.0, 1.0], 500)
    found = risk(baseline, served)
    assert (found.lost, found.harmed) == (0.0, 0.25)
    assert found.bound < 0.08 < 0.25 < found.harmed_bound


def test_losses_that_come_later_raise_the_bound_again() -> None:
    fine = risk(np.ones(1000), np.ones(1000))
    worse = risk(np.ones(1200), np.concatenate([np.ones(1000), np.zeros(200)]))
    assert fine.proves(0.02) and not worse.proves(0.02) and worse.bound >= 200 / 1200


def test_it_says_how_many_more_pairs_it_would_take_and_that_is_about_right() -> None:
    few = np.ones(50)
    wanting = risk(few, few).more(0.02)
    assert wanting is not None and wanting > 0
    many = np.ones(50 + wanting)
    assert risk(many, many).proves(0.02) and risk(many, many).more(0.02) == 0
    random = np.random.default_rng(1)
    losses = losses_of(random, 20_000, 0.05, 0.04)
    start = risk(np.maximum(losses[:400], 0.0), np.maximum(-losses[:400], 0.0))
    more = start.more(0.05)
    assert more is not None and lost(losses[: 400 + more]) == pytest.approx(0.05, rel=0.1)


def test_a_loss_that_is_too_large_is_not_cured_by_more_pairs() -> None:
    assert risk(np.ones(100), np.tile([0.0, 1.0], 50)).more(0.02) is None


def test_before_any_pair_nothing_is_known() -> None:
    nothing = risk(np.zeros(0), np.zeros(0))
    assert (nothing.n, nothing.bound, nothing.harmed_bound) == (0, 1.0, 1.0)
    assert not nothing.proves(0.5) and nothing.more(0.02) == 149


def test_values_that_are_no_qualities_are_refused() -> None:
    one = np.ones(1)
    for baseline, served, why in (
        (one * 1.2, one, "not in 0..1"),
        (one, np.array([float("nan")]), "not in 0..1"),
        (one, np.ones(2), "qualities of the baseline"),
    ):
        with pytest.raises(TrainingError, match=why):
            risk(baseline, served)
    with pytest.raises(TrainingError, match="confidence"):
        risk(one, one, confidence=1.0)
    with pytest.raises(TrainingError, match="a loss"):
        lost(one * 2.0)
    with pytest.raises(TrainingError, match="no share"):
        clopper_pearson(3, 2)
