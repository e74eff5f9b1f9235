"""What a rule would have come to at every threshold, row by row, and the boldest threshold that keeps a promise.

For rules of any number of models, where `promise` knows a plan before one large model; the test is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifiers.training.fit import Floats
from classifiers.training.measures import Figure
from classifiers.training.promise import Plan, lower_bound

STEPS: Final = 200
"""Thresholds that are tried."""
RESAMPLES: Final = 200


@dataclass(frozen=True)
class Curve:
    """thresholds: (t,), the most cautious first. quality, cost: (t, n). best, whole: what always the baseline gives and
    costs, (n,)."""

    thresholds: Floats
    quality: Floats
    cost: Floats
    best: Floats
    whole: Floats

    def __len__(self) -> int:
        return len(self.best)

    def part(self, rows: NDArray[np.intp]) -> Curve:
        return Curve(self.thresholds, self.quality[:, rows], self.cost[:, rows], self.best[rows], self.whole[rows])

    def kept(self, place: int) -> float:
        """Share of the baseline's quality."""
        return float(self.quality[place].sum() / self.best.sum())

    def bill(self, place: int) -> float:
        """Share of the baseline's bill."""
        return float(self.cost[place].sum() / self.whole.sum())


@dataclass(frozen=True, slots=True)
class Promise:
    """keep_quality: this share of the baseline's quality at the least. max_cost: this share of its bill at the most.
    Exactly one is given."""

    keep_quality: float | None = None
    max_cost: float | None = None
    confidence: float = 0.95

    def slack(self, curve: Curve) -> Floats:
        """By how much every row does better than promised at every threshold, the safest first; (t, n)."""
        if self.keep_quality is not None:
            return curve.quality - self.keep_quality * curve.best
        assert self.max_cost is not None
        slack: Floats = (self.max_cost * curve.whole - curve.cost)[::-1]
        return slack

    def worst(self, curve: Curve) -> float:
        """The most that one row can do worse."""
        return 1.0 if self.keep_quality is not None else float(curve.cost.max())

    def place(self, curve: Curve, reached: int) -> int:
        return reached if self.keep_quality is not None else len(curve.thresholds) - 1 - reached

    def holds(self, curve: Curve, place: int) -> bool:
        if self.keep_quality is not None:
            return curve.kept(place) >= self.keep_quality - 1e-12
        assert self.max_cost is not None
        return curve.bill(place) <= self.max_cost + 1e-12


def of_plan(plan: Plan) -> Curve:
    """A plan before one large model. A threshold above every trust is among them: nothing is trusted."""
    values = _steps(np.maximum(plan.trust, 0.0))[::-1]
    thresholds = np.append(np.nextafter(values[0], np.inf), values)
    quality = np.stack([plan.quality(value) for value in thresholds])
    cost = np.stack([plan.cost(value) for value in thresholds])
    return Curve(thresholds, quality, cost, plan.large, plan.large_cost)


def of_losses(losses: Floats, quality: Floats, cost: Floats, best: Floats, whole: Floats) -> Curve:
    """The cheapest model whose predicted loss is at most the threshold, else the baseline.

    losses, quality, cost: (n, m), of the models to choose from. A threshold below every loss is among them.
    """
    values = _steps(losses)
    thresholds = np.append(np.nextafter(values[0], -np.inf), values)
    rows = np.arange(len(best))
    qualities, costs = [], []
    for value in thresholds:
        allowed = np.where(losses <= value, cost, np.inf)
        cheapest = allowed.argmin(axis=1)
        nobody = np.isinf(allowed[rows, cheapest])
        qualities.append(np.where(nobody, best, quality[rows, cheapest]))
        costs.append(np.where(nobody, whole, cost[rows, cheapest]))
    return Curve(thresholds, np.stack(qualities), np.stack(costs), best, whole)


def set_threshold(curve: Curve, promise: Promise, ahead: int | None = None) -> int | None:
    """Where in the curve the boldest threshold stands at which the promise holds; None where it holds at none.

    The boldest is the last one of a sequence of tests from the safest on, before the first that fails.
    """
    slack = promise.slack(curve)
    reached = _reached(slack.mean(axis=1), (slack**2).mean(axis=1), curve, promise, ahead)
    return None if reached is None else promise.place(curve, reached)


def spread(curve: Curve, promise: Promise, seed: int = 0) -> Figure:
    """The threshold, and between which it falls in 95 of 100 resamples of the rows."""
    slack, count = promise.slack(curve), len(curve)
    squares, random = slack**2, np.random.default_rng(seed)
    found = []
    for _ in range(RESAMPLES):
        often = np.bincount(random.integers(0, count, count), minlength=count) / count
        reached = _reached(slack @ often, squares @ often, curve, promise, None)
        if reached is not None:
            found.append(curve.thresholds[promise.place(curve, reached)])
    at = set_threshold(curve, promise)
    if at is None or not found:
        return Figure(None)
    low, high = np.quantile(found, [0.025, 0.975], method="nearest")
    return Figure(float(curve.thresholds[at]), float(low), float(high))


def kept_on_unseen(
    curve: Curve, promise: Promise, splits: Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]]
) -> tuple[float, Figure]:
    """(share of the splits on whose second part the promise held, the bill there): thresholds set on the first part.

    Where no threshold keeps it on the first part, the safest one stands.
    """
    held, bills = [], []
    for learned_on, read_on in splits:
        at = set_threshold(curve.part(learned_on), promise, len(read_on))
        there, place = curve.part(read_on), promise.place(curve, 0) if at is None else at
        held.append(promise.holds(there, place))
        bills.append(there.bill(place))
    low, high = np.quantile(bills, [0.025, 0.975])
    return float(np.mean(held)), Figure(float(np.mean(bills)), float(low), float(high))


def share_of(above: Floats, below: Floats) -> Callable[[NDArray[np.intp]], float]:
    """The ratio of two sums, for `measures.bootstrap`."""
    return lambda rows: float(above[rows].sum() / below[rows].sum())


def _reached(mean: Floats, square: Floats, curve: Curve, promise: Promise, ahead: int | None) -> int | None:
    count = len(curve)
    low = lower_bound(mean, square, count, promise.confidence, ahead or count, promise.worst(curve))
    if promise.keep_quality is not None:
        low[0] = 0.0  # the baseline keeps its own quality
    failed = np.flatnonzero(low < -1e-12)
    last = int(failed[0]) - 1 if len(failed) else len(low) - 1
    return None if last < 0 else last


def _steps(values: Floats) -> Floats:
    steps: Floats = np.unique(np.quantile(values, np.linspace(0.0, 1.0, STEPS), method="nearest"))
    return steps
