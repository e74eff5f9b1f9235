"""Estimates from logs: small cases worked by hand, intervals that hold, and questions that are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from classifiers.errors import TrainingError
from classifiers.training.enough import LEAST, support
from classifiers.training.off_policy import Logs, Seen, difference, kish, see, value

NAN = float("nan")
SMALL, LARGE = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])


def logs(outcomes: Any, chosen: Any, probability: Any, covariates: Any = None) -> Logs:
    """Requests on which both models might have served; guesses have nothing to go by unless told."""
    outcomes = np.array(outcomes, float)
    n = len(outcomes)
    return Logs(
        outcomes,
        np.array(chosen),
        np.array(probability, float),
        np.ones(outcomes.shape, bool),
        np.zeros((n, 1)) if covariates is None else covariates,
    )


def always(choice: np.ndarray, n: int) -> np.ndarray:
    return np.repeat(choice, n, axis=0)


def drawn(
    seed: int, n: int = 1500, *, audits: float = 0.1, explore: float = 0.0, labelled: float = 0.0
) -> tuple[Logs, np.ndarray]:
    """Requests with a difficulty in 0..1: the small model is right with 0.9 - 0.8 of it, the large one with 0.8.

    The log sends the harder half to the large model, or explores.
    """
    random = np.random.default_rng(seed)
    hard = random.random(n)
    truth = (random.random((n, 2)) < np.column_stack([0.9 - 0.8 * hard, np.full(n, 0.8)])).astype(float)
    to_large = np.where(hard > 0.5, 1.0 - explore, explore)
    probability = np.column_stack([1.0 - to_large, to_large])
    chosen = (random.random(n) < to_large).astype(int)
    was_chosen = chosen[:, None] == np.arange(2)
    shown = (random.random(n) < audits)[:, None] | (was_chosen & (random.random(n) < labelled)[:, None])
    return logs(np.where(shown, truth, NAN), chosen, probability, hard[:, None]), hard


def above(hard: np.ndarray, bar: float) -> np.ndarray:
    return np.column_stack([hard <= bar, hard > bar]).astype(float)


def worth_of(bar: float) -> float:
    """The true mean quality where what is harder than `bar` goes to the large model."""
    return 0.9 * bar - 0.4 * bar**2 + 0.8 * (1.0 - bar)


def test_four_explored_requests_by_hand() -> None:
    seen = see(logs([[1, NAN], [NAN, 1], [NAN, 0], [0, NAN]], [0, 1, 1, 0], [[0.5, 0.5]] * 4))
    found = value(seen, always(LARGE, 4))
    assert found.ips.value == pytest.approx((1 / 0.5 + 0 / 0.5) / 4)
    assert found.snips.value == pytest.approx((2 * 1 + 2 * 0) / (2 + 2))
    assert found.effective == pytest.approx(4**2 / (2**2 + 2**2))


def test_self_normalising_divides_by_the_weights_that_were_really_drawn() -> None:
    seen = see(logs([[1, NAN], [NAN, 1], [1, NAN], [0, NAN]], [0, 1, 0, 0], [[0.8, 0.2]] * 4))
    found = value(seen, always(LARGE, 4))
    assert (found.ips.value, found.snips.value) == (pytest.approx(5 / 4), pytest.approx(1.0))


def test_audits_of_a_policy_that_never_explores_are_weighed_by_their_share() -> None:
    outcomes = [[1, 0], [0, 1], *[[NAN, NAN]] * 6]
    seen = see(logs(outcomes, [0] * 8, [[1.0, 0.0]] * 8))
    assert seen.propensity.tolist() == [[0.25, 0.25]] * 8
    assert seen.weights[:2].tolist() == [[4.0, 4.0]] * 2 and not seen.weights[2:].any()
    assert value(seen, always(SMALL, 8)).ips.value == pytest.approx((4 * 1 + 4 * 0) / 8)
    found = difference(seen, always(LARGE, 8), always(SMALL, 8))
    assert found.ips.value == pytest.approx(4 * ((0 - 1) + (1 - 0)) / 8)


def test_what_a_model_did_is_weighed_by_every_way_it_could_have_been_seen() -> None:
    # Model 1 is chosen for half of the requests and labelled on all of them; one of the two others was audited.
    outcomes = [[NAN, 1], [NAN, 1], [0, 0], [0, NAN]]
    seen = see(logs(outcomes, [1, 1, 0, 0], [[0.5, 0.5]] * 4))
    assert seen.propensity[:, 1].tolist() == [0.5 * 1.0 + 0.5 * 0.5] * 4


def test_good_guesses_make_up_for_what_was_not_seen() -> None:
    hard = np.array([0.0, 1.0] * 20)
    chosen = np.array([0, 0, 1, 1] * 10)
    truth = np.column_stack([1.0 - hard, hard])
    outcomes = np.where(chosen[:, None] == np.arange(2), truth, NAN)
    seen = see(logs(outcomes, chosen, [[0.5, 0.5]] * 40, hard[:, None]))
    found = value(seen, above(hard, 0.5))
    assert found.dr.value == pytest.approx(1.0, abs=0.02)
    assert found.dr.low is not None and found.ips.low is not None and found.dr.low > found.ips.low


@pytest.mark.parametrize("bar", [0.0, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("how", [{"audits": 0.1}, {"audits": 0.1, "explore": 0.1, "labelled": 0.3}])
def test_estimates_are_right_on_average_and_intervals_hold_the_truth(bar: float, how: dict[str, float]) -> None:
    truth = worth_of(bar)
    found, gaps = [], []
    for seed in range(200):
        sample, hard = drawn(seed, **how)
        seen = see(sample)
        found.append(value(seen, above(hard, bar), (0.0, 1.0)))
        gaps.append(difference(seen, above(hard, bar), above(hard, 0.5)))
    for way in ("ips", "snips", "dr"):
        figures = [getattr(one, way) for one in found]
        assert np.mean([figure.value for figure in figures]) == pytest.approx(truth, abs=0.012), way
        assert np.mean([figure.low <= truth <= figure.high for figure in figures]) >= 0.9, way
        apart = [getattr(one, way) for one in gaps]
        gap = truth - worth_of(0.5)
        assert np.mean([figure.low - 1e-12 <= gap <= figure.high + 1e-12 for figure in apart]) >= 0.9, way


def test_exploration_alone_answers_where_it_reached() -> None:
    sample, hard = drawn(3, 4000, audits=0.0, explore=0.2, labelled=1.0)
    found = value(see(sample), above(hard, 0.3))
    assert found.dr.low is not None and found.dr.high is not None
    assert found.dr.low <= worth_of(0.3) <= found.dr.high


def test_an_interval_reaches_further_to_where_the_tail_of_costs_is() -> None:
    random = np.random.default_rng(0)
    held = missed_above = 0
    truth = float(np.exp(0.5))
    for _ in range(400):
        costs = random.lognormal(size=100)
        outcomes = np.column_stack([costs, np.full(100, NAN)])
        found = value(see(logs(outcomes, [0] * 100, [[1.0, 0.0]] * 100)), always(SMALL, 100)).ips
        assert found.value is not None and found.low is not None and found.high is not None
        assert found.high - found.value > found.value - found.low
        held += found.low <= truth <= found.high
        missed_above += truth > found.high
    assert held >= 0.92 * 400 and missed_above <= 0.07 * 400


def test_the_same_choice_differs_by_nothing() -> None:
    sample, hard = drawn(1)
    seen = see(sample)
    found = difference(seen, above(hard, 0.5), above(hard, 0.5))
    assert [getattr(found, way).value for way in ("ips", "snips", "dr")] == [0.0, 0.0, 0.0]
    enough = support(seen, above(hard, 0.5), above(hard, 0.5), found)
    assert enough.enough and enough.differs == 0.0 and "alike" in enough.why


def test_a_log_without_exploration_or_audits_is_refused_with_the_number_it_would_take() -> None:
    sample, hard = drawn(1, audits=0.0, labelled=1.0)
    seen = see(sample)
    moved = above(hard, 0.3), above(hard, 0.5)
    enough = support(seen, *moved, difference(seen, *moved))
    assert not enough.enough and "never seen" in enough.why
    # A fifth differs, by as much as there is, as far as anybody knows; 1.96^2 / 0.05^2 = 1537.
    assert enough.more == pytest.approx(0.2 * 1537, rel=0.15)
    assert support(seen, *moved, difference(seen, *moved), half_width=0.1).more < enough.more


def test_a_handful_of_audits_is_refused_and_enough_of_them_are_not() -> None:
    asked = {}
    for audits in (0.01, 0.05, 0.2):
        sample, hard = drawn(2, 3000, audits=audits)
        seen = see(sample)
        moved = above(hard, 0.2), above(hard, 0.5)
        asked[audits] = support(seen, *moved, difference(seen, *moved))
    assert not asked[0.01].enough and asked[0.01].effective < LEAST
    assert asked[0.2].enough and asked[0.2].more == 0
    assert asked[0.01].more > asked[0.05].more >= 0


def test_as_many_audits_as_were_asked_for_are_about_enough() -> None:
    sample, hard = drawn(5, 1000, audits=0.02)
    seen = see(sample)
    moved = above(hard, 1.0), above(hard, 0.5)
    wanting = support(seen, *moved, difference(seen, *moved)).more
    assert wanting > 0
    audited = 20 + wanting
    told = 0
    for seed in range(20):
        sample, hard = drawn(seed, audited * 10, audits=0.1)
        seen = see(sample)
        moved = above(hard, 1.0), above(hard, 0.5)
        told += support(seen, *moved, difference(seen, *moved)).enough
    assert told >= 15


def test_requests_that_only_one_model_may_serve_say_nothing_of_the_share_of_audits() -> None:
    sample, hard = drawn(4, 2000, audits=0.1)
    alone = hard < 0.1
    outcomes = np.where(alone[:, None] & np.array([[False, True]]), NAN, sample.outcomes)
    eligible = np.column_stack([np.ones(2000, bool), ~alone])
    seen = see(Logs(outcomes, sample.chosen, sample.probability, eligible, sample.covariates))
    assert not seen.propensity[alone, 1].any()
    assert seen.propensity[~alone & (hard < 0.5), 1].min() == pytest.approx(0.1, abs=0.03)


def bad(**changes: Any) -> Logs:
    fine: dict[str, Any] = {
        "outcomes": np.array([[1.0, NAN], [NAN, 0.5]]),
        "chosen": np.array([0, 1]),
        "probability": np.full((2, 2), 0.5),
        "eligible": np.ones((2, 2), bool),
        "covariates": np.zeros((2, 1)),
    }
    return Logs(**{**fine, **changes})


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (bad(outcomes=np.zeros((0, 2)), chosen=np.zeros(0, int)), "no requests"),
        (bad(outcomes=np.array([[np.inf, NAN], [NAN, 0.5]])), "not finite"),
        (bad(covariates=np.array([[NAN], [0.0]])), "not finite"),
        (bad(probability=np.full((2, 2), NAN)), "not in 0..1"),
        (bad(probability=np.full((2, 2), 1.5)), "not in 0..1"),
        (bad(probability=np.array([[0.0, 1.0], [0.0, 1.0]])), "probability 0"),
        (bad(chosen=np.array([0, 2])), "none of the 2"),
        (bad(eligible=np.ones((2, 3), bool)), "do not fit"),
    ],
)
def test_logs_that_make_no_sense_are_refused_with_the_reason(broken: Logs, why: str) -> None:
    with pytest.raises(TrainingError, match=why):
        see(broken)


@st.composite
def some_logs(draw: st.DrawFn) -> tuple[Seen, np.ndarray]:
    n = draw(st.integers(1, 30))
    share = st.floats(0, 1, allow_subnormal=False)
    outcomes = draw(arrays(float, (n, 2), elements=share | st.just(NAN)))
    to_large = draw(arrays(float, n, elements=st.floats(0.01, 0.99)))
    chosen = draw(arrays(np.intp, n, elements=st.integers(0, 1)))
    covariates = draw(arrays(float, (n, 2), elements=st.floats(-5, 5, allow_subnormal=False)))
    choice = draw(arrays(float, n, elements=share))
    seen = see(logs(outcomes, chosen, np.column_stack([1 - to_large, to_large]), covariates))
    return seen, np.column_stack([1 - choice, choice])


@settings(max_examples=100, deadline=None)
@given(some_logs())
def test_estimates_stay_within_what_can_be(case: tuple[Seen, np.ndarray]) -> None:
    seen, choice = case
    found = value(seen, choice, (0.0, 1.0))
    assert 0.0 <= found.effective <= len(seen) + 1e-6
    for figure in (found.snips, found.dr):
        assert figure.value is not None and figure.low is not None and figure.high is not None
        assert 0.0 <= figure.low <= figure.value <= figure.high <= 1.0
    assert np.isfinite([found.ips.value, found.ips.low, found.ips.high]).all()


@given(arrays(float, st.integers(1, 40), elements=st.floats(0, 1e6, allow_subnormal=False)))
def test_an_effective_sample_is_no_larger_than_the_sample(weights: np.ndarray) -> None:
    assert 0.0 <= kish(weights) <= len(weights) * (1 + 1e-9)


@given(st.integers(1, 40), st.floats(0.001, 1000))
def test_equal_weights_lose_nothing(n: int, weight: float) -> None:
    assert kish(np.full(n, weight)) == pytest.approx(n)
