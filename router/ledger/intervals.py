"""Means with their 95 per cent intervals, for reports that are made of sums."""

from __future__ import annotations

import math
from dataclasses import dataclass

_Z = 1.959964


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean of n scores in 0..1; all but n are None where there are none."""

    n: int = 0
    mean: float | None = None
    low: float | None = None
    high: float | None = None


def share_of(count: int, n: int) -> Estimate:
    """How many of n, with Wilson's interval (1927)."""
    return NOTHING if n == 0 else Estimate(n, count / n, *wilson(count / n, n))


def weighted(n: int, weights: float, squares: float, scores: float) -> Estimate:
    """Of n scores: sums of their weights, of the weights' squares, and of weight times score.

    Wilson's interval at the mean, at the effective number of them (Kish 1965). Scores in 0..1 spread no further than
    right and wrong of the same mean do, so the interval is never too narrow for want of their variance.
    """
    if n == 0 or weights <= 0.0:
        return NOTHING
    mean = min(1.0, max(0.0, scores / weights))
    return Estimate(n, mean, *wilson(mean, weights**2 / squares))


def wilson(mean: float, n: float) -> tuple[float, float]:
    """(low, high) of a share, by the score test of it; within 0..1, and never of no width."""
    middle = (mean + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    reach = _Z / (1 + _Z**2 / n) * math.sqrt(mean * (1 - mean) / n + _Z**2 / (4 * n**2))
    return max(0.0, min(mean, middle - reach)), min(1.0, max(mean, middle + reach))


NOTHING = Estimate()
