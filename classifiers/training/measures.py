"""How good a judge is, as plain functions on arrays, each with a bootstrap interval where it is shown.

Routing measures are those of RouteLLM (arXiv 2406.18665): PGR = (r - r_small) / (r_large - r_small); APGR is the area
under PGR over the share of calls sent to the large model; CPT(x) is the smallest share with PGR >= x.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

Floats = NDArray[np.float64]


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
    again = [measure(random.integers(0, size, size)) for _ in range(times)]
    low, high = np.quantile([figure for figure in again if figure is not None], [0.025, 0.975])
    return Figure(value, float(low), float(high))


def auc(scores: Floats, good: NDArray[np.bool_]) -> float | None:
    """P(a good row scores above a bad one), ties half; None if only one kind is there."""
    if good.all() or not good.any():
        return None
    return float(roc_auc_score(good, scores))


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


def pgr_curve(scores: Floats, small: Floats, large: Floats, seed: int = 0) -> Floats | None:
    """PGR after sending the k highest scores to the large model, k = 0..n; shape (n + 1,). Ties at random.

    None if the large model is not better, for then there is no gap to recover.
    """
    gap = float(large.sum() - small.sum())
    if gap <= 0:
        return None
    order = np.lexsort((np.random.default_rng(seed).random(len(scores)), -scores))
    curve: Floats = np.concatenate([[0.0], np.cumsum((large - small)[order])]) / gap
    return curve


def apgr(scores: Floats, small: Floats, large: Floats, seed: int = 0) -> float | None:
    """Area under PGR, by trapezoids; random routing gives 0.5."""
    curve = pgr_curve(scores, small, large, seed)
    return None if curve is None else float((curve[:-1] + curve[1:]).mean() / 2)


def cpt(scores: Floats, small: Floats, large: Floats, goal: float, seed: int = 0) -> float | None:
    """Smallest share of large calls with PGR >= goal."""
    curve = pgr_curve(scores, small, large, seed)
    return None if curve is None else float(np.argmax(curve >= goal - 1e-12) / (len(curve) - 1))


def spearman(first: Floats, second: Floats) -> float | None:
    """Rank correlation, ties shared; None if one side does not vary."""
    ranks = [_ranks(values) for values in (first, second)]
    if min(float(rank.std()) for rank in ranks) == 0.0:
        return None
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _ranks(values: Floats) -> Floats:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Floats = (last - (counts - 1) / 2.0)[inverse]
    return ranks
