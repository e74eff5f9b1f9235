"""A promise is kept about as often as it says, no more cautiously than it must, and never on what cannot be shown."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from classifiers.training import promise
from classifiers.training.agreement import before_asking
from classifiers.training.promise import NEVER, Plan


def traffic(count: int, seed: int, *, small: float = 0.6, large: float = 0.8) -> Plan:
    """Questions of which some are harder: both models fail more often there, and trust knows it roughly."""
    random = np.random.default_rng(seed)
    ease = random.random(count)
    kept = (random.random(count) < small + 0.6 * (ease - 0.5)).astype(float)
    best = (random.random(count) < large + 0.2 * (ease - 0.5)).astype(float)
    trust = np.clip(ease + random.normal(0, 0.2, count), 0, 1)
    return before_asking(trust, kept, best, np.full(count, 0.05), np.full(count, 1.0))


def test_a_threshold_set_on_one_half_keeps_its_promise_on_the_other_about_as_often_as_it_says() -> None:
    kept = []
    for seed in range(400):
        plan = traffic(2000, seed)
        threshold = promise.keeping_quality(plan.part(np.arange(1000)), 0.9)
        kept.append(plan.part(np.arange(1000, 2000)).share_kept(threshold) >= 0.9)
    assert 0.92 <= np.mean(kept) <= 0.985


def test_without_a_margin_it_is_kept_every_other_time() -> None:
    kept = []
    for seed in range(400):
        plan = traffic(2000, seed)
        threshold = promise.keeping_quality(plan.part(np.arange(1000)), 0.9, 0.5)
        kept.append(plan.part(np.arange(1000, 2000)).share_kept(threshold) >= 0.9)
    assert 0.4 <= np.mean(kept) <= 0.6


def test_more_rows_need_less_margin() -> None:
    bills = [traffic(count, 7).bill(promise.keeping_quality(traffic(count, 7), 0.9)) for count in (500, 50_000)]
    assert bills[1] < bills[0] - 0.03


def test_more_traffic_ahead_needs_less_margin_than_little() -> None:
    plan = traffic(2000, 3)
    soon, later = (plan.bill(promise.keeping_quality(plan, 0.9, ahead=rows)) for rows in (100, 100_000))
    assert later < soon


def test_what_cannot_be_shown_is_not_promised() -> None:
    plan = traffic(2000, 1, small=0.2)
    few = plan.part(np.arange(8))
    assert promise.keeping_quality(few, 0.99) == NEVER
    assert plan.bill(NEVER) == 1.0
    assert plan.share_kept(NEVER) == 1.0


def test_a_small_model_that_is_as_good_serves_everything() -> None:
    plan = traffic(2000, 2, small=0.95, large=0.7)
    assert plan.calls(promise.keeping_quality(plan, 0.95)) == 0.0


@given(some.integers(0, 50), some.sampled_from([0.8, 0.9, 0.95]))
def test_a_bolder_promise_is_never_dearer(seed: int, share: float) -> None:
    plan = traffic(600, seed)
    cautious, bold = (promise.keeping_quality(plan, kept) for kept in (share, share - 0.05))
    assert plan.calls(bold) <= plan.calls(cautious)


def test_rows_of_the_same_trust_go_one_way_together() -> None:
    random = np.random.default_rng(0)
    trust = np.repeat([0.0, 0.5, 1.0], 300)
    kept = (random.random(900) < np.repeat([0.1, 0.5, 0.95], 300)).astype(float)
    plan = before_asking(trust, kept, np.ones(900), np.zeros(900), np.ones(900))
    threshold = promise.keeping_quality(plan, 0.9)
    assert threshold == 1.0
    assert plan.calls(threshold) == pytest.approx(2 / 3)


def test_who_is_asked_in_vain_is_billed() -> None:
    asked, kept, vain = np.array([0.9, 0.1, 0.9]), np.array([0.9, 0.1, 0.2]), np.ones(3)
    plan = Plan(kept, asked, vain, vain, np.full(3, 0.25), vain)
    # Kept; not even asked, since it could not have been trusted; asked and not trusted.
    assert plan.cost(0.5).tolist() == [0.25, 1.0, 1.25]


def test_the_interval_of_a_threshold_holds_it() -> None:
    plan = traffic(1500, 4)
    found = promise.spread(plan, 0.9, times=60)
    assert found.low is not None and found.value is not None and found.high is not None
    assert found.low <= found.value <= found.high
    assert found.low < found.high


def test_rows_of_a_group_are_never_on_both_sides() -> None:
    groups = [f"question {number // 3}" for number in range(300)]
    for learned_on, read_on in promise.halves(groups, 0, 5):
        assert {groups[row] for row in learned_on}.isdisjoint(groups[row] for row in read_on)
        assert sorted([*learned_on, *read_on]) == list(range(300))


def test_of_several_plans_the_cheapest_on_the_first_half_is_read_on_the_second() -> None:
    good = traffic(2000, 5)
    blind = before_asking(np.random.default_rng(1).random(2000), good.kept, good.large, good.asking, good.large_cost)
    splits = promise.halves([str(row) for row in range(2000)], 0, 20)
    alone, both = promise.read_on_unseen([good], splits, 0.9), promise.read_on_unseen([blind, good], splits, 0.9)
    assert both.bill.value == alone.bill.value
