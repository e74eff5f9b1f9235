"""A promise of quality, or of cost, kept by a threshold that data sets: arithmetic on what a routing plan would yield.

A plan gives every row a trust; rows at or above the threshold are served as the plan has them, the others by the large
model. The threshold is the boldest that a fixed-sequence test reaches, from the most cautious on and no further than
the first that fails (Angelopoulos et al., "Learn then Test", arXiv 2110.01052, section 3.1). Each is tested by the
paired difference to the promise, row by row: mean - z * s * sqrt(1 / n + 1 / m) >= 0, normal by the central limit
theorem. m rows are the traffic on which the promise is to hold, as many as the data where nothing else is said: the
large model's quality on them is chance too, so with a bound on the data alone the promise would hold less often than
said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifiers.training.fit import Floats
from classifiers.training.measures import Figure

NEVER: Final = float("inf")
"""The threshold at which nothing is trusted and the large model serves all."""
TIMES: Final = 200
"""Resamples for the interval of a threshold."""
_ROUNDING: Final = 1e-12


@dataclass(frozen=True)
class Plan:
    """What a routing plan would have yielded, row by row; arrays of shape (n,).

    trust: the higher, the sooner the plan's own answer goes out; below 0 it never does. ceiling: the highest trust that
    could come of asking, known beforehand (the trust itself where nothing is asked to find it); below the threshold
    only the large model is asked. kept, large: quality of the plan's own answer and of the large model's. asking:
    dollars of all that the plan asks before it answers. large_cost: dollars of the large model's answer.
    """

    trust: Floats
    ceiling: Floats
    kept: Floats
    large: Floats
    asking: Floats
    large_cost: Floats

    def __len__(self) -> int:
        return len(self.trust)

    def part(self, rows: NDArray[np.intp]) -> Plan:
        return Plan(
            self.trust[rows],
            self.ceiling[rows],
            self.kept[rows],
            self.large[rows],
            self.asking[rows],
            self.large_cost[rows],
        )

    def quality(self, threshold: float) -> Floats:
        return np.where(self.trust >= threshold, self.kept, self.large)

    def cost(self, threshold: float) -> Floats:
        asked = np.where(self.ceiling >= threshold, self.asking, 0.0)
        cost: Floats = asked + np.where(self.trust >= threshold, 0.0, self.large_cost)
        return cost

    def calls(self, threshold: float) -> float:
        """Share of the rows that the large model answers."""
        return float(np.mean(self.trust < threshold))

    def bill(self, threshold: float) -> float:
        """Share of always-large's bill."""
        return float(self.cost(threshold).sum() / self.large_cost.sum())

    def share_kept(self, threshold: float) -> float:
        """Share of the large model's quality."""
        return float(self.quality(threshold).sum() / self.large.sum())


@dataclass(frozen=True, slots=True)
class Reading:
    """How a promise fared on many random halves: threshold set on one, read on the other."""

    kept: float
    """Share of the splits on whose unseen half the promise held."""
    quality: Figure
    bill: Figure
    calls: Figure
    """Of the large model. Means over the splits; in brackets the 2.5 and 97.5 per cent points of the splits."""


def keeping_quality(plan: Plan, share: float, confidence: float = 0.95, ahead: int | None = None) -> float:
    """The boldest threshold at which `share` of the large model's quality is kept; NEVER where none is shown to.

    ahead: how many rows of traffic the promise is to hold on; default as many as there are.
    """
    order = np.argsort(-plan.trust, kind="stable")
    trust, count = plan.trust[order], len(plan)
    own = (plan.kept - share * plan.large)[order]
    other = (plan.large - share * plan.large)[order]
    # Sums where the k most trusted rows keep the plan's answer, k = 0..n.
    total, squares = (_first(own**power) + _last(other**power) for power in (1, 2))
    low = lower_bound(total / count, squares / count, count, confidence, ahead or count)
    low[0] = 0.0  # where the large model serves all, its quality is kept
    # Rows of the same trust go one way together.
    steps = np.flatnonzero(np.append(True, np.append(trust[1:] != trust[:-1], True)))
    steps = steps[steps <= int((trust >= 0.0).sum())]
    reached = steps[_until_first_failure(low[steps])]
    return NEVER if not len(reached) or reached[-1] == 0 else float(trust[reached[-1] - 1])


def spread(plan: Plan, share: float, confidence: float = 0.95, *, seed: int = 0, times: int = TIMES) -> Figure:
    """The threshold of `keeping_quality`, and between which it falls in 95 of 100 resamples of the rows."""
    random = np.random.default_rng(seed)
    count = len(plan)
    again = [keeping_quality(plan.part(random.integers(0, count, count)), share, confidence) for _ in range(times)]
    low, high = np.quantile(again, [0.025, 0.975], method="nearest")
    return Figure(keeping_quality(plan, share, confidence), float(low), float(high))


def halves(groups: Sequence[str], seed: int, times: int) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Random halves of the rows, so many times; rows of a group are never on both sides."""
    _, numbers = np.unique(np.array(groups), return_inverse=True)
    count = int(numbers.max()) + 1
    random = np.random.default_rng(seed)
    sides = (random.permutation(count)[numbers] < count // 2 for _ in range(times))
    return [(np.flatnonzero(side), np.flatnonzero(~side)) for side in sides]


def read_on_unseen(
    plans: Sequence[Plan],
    splits: Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]],
    share: float,
    confidence: float | None = 0.95,
) -> Reading:
    """The promise on each split: threshold set on the first part, everything read on the second.

    plans: of the same rows; with several, the one whose bill is least on the first part is taken along with its
    threshold. confidence: None leaves out the margin, so that the promise is kept as often as not.
    """
    found = []
    for learned_on, read_on in splits:
        here = [plan.part(learned_on) for plan in plans]
        thresholds = [keeping_quality(plan, share, confidence or 0.5, len(read_on)) for plan in here]
        bills = [plan.bill(threshold) for plan, threshold in zip(here, thresholds, strict=True)]
        best = int(np.argmin(bills))
        there, threshold = plans[best].part(read_on), thresholds[best]
        reached = there.share_kept(threshold)
        found.append((reached >= share - _ROUNDING, reached, there.bill(threshold), there.calls(threshold)))
    table = np.array(found, dtype=np.float64)
    quality, bill, calls = (_over_splits(table[:, column]) for column in (1, 2, 3))
    return Reading(float(table[:, 0].mean()), quality, bill, calls)


def _over_splits(values: Floats) -> Figure:
    low, high = np.quantile(values, [0.025, 0.975])
    return Figure(float(values.mean()), float(low), float(high))


def _first(values: Floats) -> Floats:
    return np.concatenate([[0.0], np.cumsum(values)])


def _last(values: Floats) -> Floats:
    return np.concatenate([np.cumsum(values[::-1])[::-1], [0.0]])


def lower_bound(mean: Floats, square: Floats, count: int, confidence: float, ahead: int, worst: float = 1.0) -> Floats:
    """Lower bounds of the means that `ahead` more rows will have, at one-sided confidence.

    worst: the most that one row can lose. The variance counts one such row more than was seen, or a handful of rows
    that happened to lose nothing would prove that none ever will: their bound is about the rule of three.
    """
    variance = np.maximum(square - mean**2, 0.0) * count / max(count - 1, 1) + worst**2 / count
    low: Floats = mean - NormalDist().inv_cdf(confidence) * np.sqrt(variance * (1.0 / count + 1.0 / ahead))
    return low


def _until_first_failure(low: Floats) -> NDArray[np.intp]:
    failed = np.flatnonzero(low < -_ROUNDING)
    return np.arange(failed[0] if len(failed) else len(low))
