"""A rule at every threshold: the boldest that keeps a promise of quality, or the most cautious within a cost."""

from __future__ import annotations

import numpy as np
import pytest

from classifiers.training import curves, promise
from classifiers.training.curves import Curve, Promise
from tests.judge.test_promise import traffic

KEEP = Promise(keep_quality=0.9)


def reached(curve: Curve, wanted: Promise) -> int:
    place = curves.set_threshold(curve, wanted)
    assert place is not None
    return place


def test_a_plan_gets_the_threshold_that_it_gets_alone_but_for_the_steps_in_between() -> None:
    plan = traffic(3000, 0)
    curve = curves.of_plan(plan)
    exact = promise.keeping_quality(plan, 0.9)
    assert curve.bill(reached(curve, KEEP)) == pytest.approx(plan.bill(exact), abs=0.02)
    assert curve.bill(0) == 1.0 and curve.kept(0) == 1.0


def test_the_best_within_a_cost_stays_within_it_on_unseen_traffic_and_spends_most_of_it() -> None:
    curve, splits = curves.of_plan(traffic(3000, 1)), promise.halves([str(row) for row in range(3000)], 0, 100)
    held, bill = curves.kept_on_unseen(curve, Promise(max_cost=0.5), splits)
    assert held >= 0.9
    assert bill.value is not None and 0.44 < bill.value <= 0.5


def test_a_promise_of_quality_holds_on_unseen_traffic() -> None:
    curve, splits = curves.of_plan(traffic(3000, 2)), promise.halves([str(row) for row in range(3000)], 0, 100)
    held, bill = curves.kept_on_unseen(curve, KEEP, splits)
    assert held >= 0.9
    assert bill.value is not None and bill.value < 0.9


def test_a_cost_that_even_the_boldest_exceeds_is_not_promised() -> None:
    assert curves.set_threshold(curves.of_plan(traffic(500, 0)), Promise(max_cost=0.04)) is None


def test_more_money_buys_no_less_quality() -> None:
    curve = curves.of_plan(traffic(3000, 4))
    places = [reached(curve, Promise(max_cost=share)) for share in (0.2, 0.4, 0.6, 0.8)]
    assert places == sorted(places, reverse=True)


def test_of_several_models_the_cheapest_within_the_loss_serves_and_the_baseline_where_none_is() -> None:
    losses = np.array([[0.1, 0.05, 0.0], [0.5, 0.2, 0.0], [0.3, -0.1, 0.0]])
    quality = np.array([[0.1, 0.2, 0.3]] * 3)
    cost = np.array([[1.0, 2.0, 9.0]] * 3)
    curve = curves.of_losses(losses, quality, cost, quality[:, 2], cost[:, 2])
    at = {
        round(float(threshold), 3): costs.tolist()
        for threshold, costs in zip(curve.thresholds, curve.cost, strict=True)
    }
    assert at[0.1] == [1.0, 9.0, 2.0]
    assert at[0.5] == [1.0, 1.0, 1.0]
    assert curve.cost[0].tolist() == [9.0, 9.0, 9.0]


def test_the_interval_of_a_threshold_holds_it_and_narrows_with_rows() -> None:
    widths = []
    for count in (400, 8000):
        found = curves.spread(curves.of_plan(traffic(count, 5)), KEEP)
        assert found.low is not None and found.value is not None and found.high is not None
        assert found.low <= found.value <= found.high
        widths.append(found.high - found.low)
    assert widths[1] < widths[0]
