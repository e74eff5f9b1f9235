"""Paired bootstrap over asks: two judges on the same rows, resampled together, rows of one ask always together."""

from __future__ import annotations

from collections.abc import Callable
from math import erfc, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifiers.training.measures import Figure, Floats

TIMES: Final = 1000
_CELLS: Final = 4_000_000
"""Counts that are held at once."""


def interval(measure: Callable[[Floats], Floats], size: int, seed: int, times: int = TIMES) -> Figure:
    """measure(counts of shape (k, size)) -> (k,): on every row once, and its 2.5 and 97.5 per cent points.

    counts: how often each row, or ask, stands in a resample.
    """
    if size == 0:
        return Figure(None)
    value = float(measure(np.ones((1, size)))[0])
    random = np.random.default_rng(seed)
    at_once = max(1, _CELLS // size)
    times = min(times, max(200, 20_000_000 // size))  # of many rows a few resamples tell as much
    found = []
    for start in range(0, times, at_once):
        number = min(at_once, times - start)
        drawn = random.integers(0, size, (number, size)) + size * np.arange(number)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=number * size).reshape(number, size)
        found.append(measure(counts.astype(np.float64)))
    low, high = np.nanquantile(np.concatenate(found), [0.025, 0.975])
    return Figure(value, float(low), float(high))


def mean(values: Floats, weights: Floats, groups: NDArray[np.intp], seed: int, times: int = TIMES) -> Figure:
    """The weighted mean of values, (n,). groups: (n,), 0..k-1, the ask of each row."""
    if len(values) == 0:
        return Figure(None)
    size = int(groups.max()) + 1
    top = np.bincount(groups, weights * values, size)
    bottom = np.bincount(groups, weights, size)
    return interval(lambda counts: (counts @ top) / np.maximum(counts @ bottom, 1e-12), size, seed, times)


def one_sided(values: Floats, weights: Floats, groups: NDArray[np.intp]) -> float:
    """P(a weighted mean this high or higher, were the true one 0), by the normal law, groups together."""
    size = int(groups.max()) + 1
    bottom = np.bincount(groups, weights, size)
    total = bottom.sum()
    middle = float((weights * values).sum() / total)
    influence = (np.bincount(groups, weights * values, size) - middle * bottom) / total
    return above_zero(middle, float(np.sqrt((influence**2).sum())))


def above_zero(value: float, error: float) -> float:
    """The same for an estimate with its standard error."""
    if error <= 0.0:
        return 1.0 if value <= 0.0 else 0.0
    return 0.5 * erfc(value / error / sqrt(2.0))


def holm(chances: list[float]) -> list[float]:
    """Chances of several tests at once, corrected (Holm 1979), in the order they were given."""
    order = sorted(range(len(chances)), key=lambda at: chances[at])
    corrected, most = [1.0] * len(chances), 0.0
    for rank, at in enumerate(order):
        most = max(most, min(1.0, (len(chances) - rank) * chances[at]))
        corrected[at] = most
    return corrected
