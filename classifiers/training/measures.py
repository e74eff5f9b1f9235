"""How good a judge is, as plain functions on arrays, each with a bootstrap interval where it is shown.

Routing measures are those of RouteLLM (arXiv 2406.18665): PGR = (r - r_small) / (r_large - r_small); APGR is the area
under PGR over the share of calls sent to the large model; CPT(x) is the smallest share with PGR >= x.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_NO_GAP: Final = 1e-9
"""A difference of means that is only rounding."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A value with its 95 per cent bootstrap interval; all None where it makes no sense."""

    value: float | None
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        if self.value is None:
            return "-"
        return f"{self.value:.3f}" if self.low is None else f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap(measure: Callable[[NDArray[np.intp]], float | None], size: int, seed: int, times: int = 300) -> Figure:
    """measure(indices) on all rows, and the 2.5 and 97.5 per cent points over `times` resamples of them."""
    value = measure(np.arange(size))
    if value is None:
        return Figure(None)
    random = np.random.default_rng(seed)
    again = (measure(random.integers(0, size, size)) for _ in range(times))
    kept = [figure for figure in again if figure is not None]
    if not kept:
        return Figure(value)
    low, high = np.quantile(kept, [0.025, 0.975])
    return Figure(value, float(low), float(high))


def auc(scores: Floats, good: NDArray[np.bool_]) -> float | None:
    """P(a good row scores above a bad one), ties half; None if only one kind is there."""
    if good.all() or not good.any():
        return None
    right = int(good.sum())
    beaten = float(ranks(scores)[good].sum()) - right * (right + 1) / 2
    return beaten / (right * (len(good) - right))


def brier(shares: Floats, labels: Floats) -> float:
    """Mean squared difference."""
    return float(np.mean((shares - labels) ** 2))


def ece(shares: Floats, labels: Floats, bins: int = 15) -> float:
    """Expected calibration error over bins of equal count (Nguyen and O'Connor 2015)."""
    order = np.argsort(shares, kind="stable")
    gaps = [
        abs(float(shares[part].mean() - labels[part].mean())) * len(part)
        for part in np.array_split(order, min(bins, len(order)))
        if len(part)
    ]
    return float(sum(gaps) / len(order))


def quality_curve(scores: Floats, small: Floats, large: Floats, seed: int = 0) -> Floats:
    """Mean quality after sending the k highest scores to the large model, k = 0..n; shape (n + 1,). Ties at random."""
    order = _ranking(scores, seed)
    curve: Floats = (small.sum() + np.concatenate([[0.0], np.cumsum((large - small)[order])])) / len(scores)
    return curve


def pgr_curve(scores: Floats, small: Floats, large: Floats, seed: int = 0) -> Floats | None:
    """PGR after sending the k highest scores to the large model, k = 0..n; shape (n + 1,). Ties at random.

    None if the large model is not better, for then there is no gap to recover.
    """
    gap = float(large.sum() - small.sum())
    if gap <= _NO_GAP * len(small):
        return None
    curve: Floats = np.concatenate([[0.0], np.cumsum((large - small)[_ranking(scores, seed)])]) / gap
    return curve


def _ranking(scores: Floats, seed: int) -> NDArray[np.intp]:
    return np.lexsort((np.random.default_rng(seed).random(len(scores)), -scores))


def apgr(scores: Floats, small: Floats, large: Floats, seed: int = 0) -> float | None:
    """Area under PGR, by trapezoids; random routing gives 0.5."""
    curve = pgr_curve(scores, small, large, seed)
    return None if curve is None else float((curve[:-1] + curve[1:]).mean() / 2)


def apgr_of_draws(draws: Floats, small: Floats, large: Floats, seed: int = 0, times: int = 1000) -> Figure:
    """Mean APGR of several rankings of the same rows, draws of shape (k, n), with its interval over resampled rows.

    Each ranking is sorted once: a resample only changes how often a row counts, and rows that are the same row stay
    neighbours, so the area is that of sorting anew (ties fall as they did at first).
    """
    if float(large.sum() - small.sum()) <= _NO_GAP * len(small):
        return Figure(None)
    random = np.random.default_rng(seed)
    count = len(small)
    orders = [_ranking(draw, seed) for draw in draws]
    gains = [(large - small)[order] for order in orders]
    areas = []
    for time in range(times + 1):
        counts = np.bincount(random.integers(0, count, count), minlength=count) if time else np.ones(count)
        figures = []
        for order, gain in zip(orders, gains, strict=True):
            often = counts[order]
            gained = often * gain
            reached = np.cumsum(gained)
            if reached[-1] > _NO_GAP * count:
                figures.append(float((often * (reached - gained / 2)).sum() / (count * reached[-1])))
        if figures:
            areas.append(sum(figures) / len(figures))
    low, high = np.quantile(areas[1:], [0.025, 0.975]) if len(areas) > 1 else (areas[0], areas[0])
    return Figure(areas[0], float(low), float(high))


def cpt(scores: Floats, small: Floats, large: Floats, goal: float, seed: int = 0) -> float | None:
    """Smallest share of large calls with PGR >= goal."""
    curve = pgr_curve(scores, small, large, seed)
    return None if curve is None else float(np.argmax(curve >= goal - 1e-12) / (len(curve) - 1))


def spearman(first: Floats, second: Floats) -> float | None:
    """Rank correlation, ties shared; None if one side does not vary."""
    both = [ranks(values) for values in (first, second)]
    if min(float(rank.std()) for rank in both) == 0.0:
        return None
    return float(np.corrcoef(both[0], both[1])[0, 1])


def ranks(values: Floats) -> Floats:
    """1..n, ties shared."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Floats = (last - (counts - 1) / 2.0)[inverse]
    return ranks
