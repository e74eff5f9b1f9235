"""The arithmetic of the figures, on cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from classifiers.training import measures

RANDOM = np.random.default_rng(0)
SMALL = (RANDOM.random(2000) < 0.5).astype(float)
LARGE = np.maximum(SMALL, (RANDOM.random(2000) < 0.7).astype(float))


def test_random_routing_has_half_the_area_and_half_the_calls() -> None:
    score = RANDOM.random(2000)
    assert measures.apgr(score, SMALL, LARGE) == pytest.approx(0.5, abs=0.03)
    assert measures.cpt(score, SMALL, LARGE, 0.5) == pytest.approx(0.5, abs=0.06)


def test_no_score_beats_the_true_gain() -> None:
    oracle = measures.apgr(LARGE - SMALL, SMALL, LARGE)
    assert oracle is not None
    for score in (RANDOM.random(2000), -SMALL, LARGE):
        assert measures.apgr(score, SMALL, LARGE) <= oracle + 1e-12  # type: ignore[operator]


def test_ties_are_broken_at_random_and_not_by_the_order_of_the_rows() -> None:
    order = np.argsort(SMALL - LARGE, kind="stable")  # rows that gain most come first
    assert measures.apgr(np.zeros(2000), SMALL[order], LARGE[order]) == pytest.approx(0.5, abs=0.03)


def test_the_interval_of_a_ranking_is_that_of_sorting_every_resample_anew() -> None:
    score = RANDOM.random(300) + 0.3 * (LARGE - SMALL)[:300]
    small, large = SMALL[:300], LARGE[:300]
    quick = measures.apgr_of_draws(score[None, :], small, large, seed=3, times=400)
    slow = measures.bootstrap(lambda i: measures.apgr(score[i], small[i], large[i]), 300, seed=3, times=400)
    assert quick.value == pytest.approx(slow.value)
    assert quick.low == pytest.approx(slow.low) and quick.high == pytest.approx(slow.high)


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=30))
def test_the_area_under_the_roc_curve_agrees_with_scikit_learn(rows: list[tuple[int, bool]]) -> None:
    scores, good = (np.array(side) for side in zip(*rows, strict=True))
    if good.all() or not good.any():
        assert measures.auc(scores.astype(float), good) is None
    else:
        assert measures.auc(scores.astype(float), good) == pytest.approx(roc_auc_score(good, scores))


def test_a_gap_that_is_only_rounding_is_none() -> None:
    small, large = np.array([0.3, 0.1, 0.2]), np.array([0.1, 0.2, 0.3])
    assert measures.apgr(np.arange(3.0), small, large) is None
    assert measures.apgr_of_draws(np.arange(3.0)[None, :], small, large).value is None


def test_there_is_no_gap_to_recover_when_the_large_model_is_not_better() -> None:
    assert measures.apgr(RANDOM.random(2000), LARGE, SMALL) is None
    assert measures.cpt(RANDOM.random(2000), LARGE, SMALL, 0.5) is None


def test_shares_that_come_true_have_no_calibration_error() -> None:
    shares = np.repeat([0.2, 0.8], 1000)
    labels = np.concatenate([np.tile([1, 0, 0, 0, 0], 200), np.tile([1, 1, 1, 1, 0], 200)]).astype(float)
    assert measures.ece(shares, labels, bins=2) == pytest.approx(0.0, abs=1e-12)
    assert measures.ece(1.0 - shares, labels, bins=2) == pytest.approx(0.6)
    assert measures.brier(labels, labels) == 0.0


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=40))
def test_rank_correlation_agrees_with_scipy(pairs: list[tuple[int, int]]) -> None:
    first, second = (np.array(side, dtype=float) for side in zip(*pairs, strict=True))
    ours = measures.spearman(first, second)
    if ours is None:
        assert np.ptp(first) == 0 or np.ptp(second) == 0
    else:
        assert ours == pytest.approx(spearmanr(first, second).statistic)


def test_an_interval_holds_its_value_and_narrows_with_more_rows() -> None:
    def mean_of(values: np.ndarray) -> measures.Figure:
        return measures.bootstrap(lambda i: float(values[i].mean()), len(values), seed=1)

    few, many = mean_of(SMALL[:50]), mean_of(SMALL)
    for figure in (few, many):
        assert figure.low <= figure.value <= figure.high  # type: ignore[operator]
    assert many.high - many.low < few.high - few.low  # type: ignore[operator]
    assert mean_of(SMALL) == many
