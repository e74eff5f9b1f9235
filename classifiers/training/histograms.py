"""Values as counts in bins, and how far two sets of counts lie apart. What is made of it is `drift`'s."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.integer[Any]]

BINS: Final = 10
FEWEST: Final = 5
"""Values that a bin must expect on either side, for a chi-squared test to hold."""
_DIGITS: Final = 4


@dataclass(frozen=True, slots=True)
class Histogram:
    """edges: rising, the upper ends of all bins but the last, which is open; a value on an edge is below it."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, values: NDArray[np.floating[Any]], bins: int = BINS) -> Histogram:
        """Bins of about equal counts; fewer where values repeat. No values: one empty bin."""
        if not len(values):
            return cls((), (0,))
        quantiles = np.quantile(values.astype(np.float64), np.arange(1, bins) / bins)
        edges = tuple(sorted({float(f"{edge:.{_DIGITS}g}") for edge in quantiles}))
        return cls(edges, tuple(_counted(edges, values).tolist()))

    @property
    def array(self) -> Counts:
        return np.array(self.counts, dtype=np.int64)

    def counted(self, values: NDArray[np.floating[Any]]) -> Counts:
        """How many of other values fall into the same bins."""
        return _counted(self.edges, values)

    def to_json(self) -> list[list[float]]:
        return [list(self.edges), list(self.counts)]

    @classmethod
    def from_json(cls, document: Any) -> Histogram:
        """Raises TypeError, ValueError."""
        edges, counts = (list(part) for part in document)
        found = cls(tuple(float(edge) for edge in edges), tuple(counts))
        whole = all(isinstance(count, int) and not isinstance(count, bool) and count >= 0 for count in counts)
        rising = bool(np.isfinite(found.edges).all()) and all(np.diff(found.edges) > 0)
        if len(found.counts) != len(found.edges) + 1 or not whole or not rising:
            raise ValueError(f"no histogram: {document!r}")
        return found


def moved(before: Counts, now: Counts) -> tuple[float, float, int]:
    """(stability index less what chance makes of it, at least 0; chi-squared statistic; its degrees of freedom)."""
    before, now = _merged(before, now)
    bins, n_before, n_now = len(before), int(before.sum()), int(now.sum())
    if bins < 2:
        return 0.0, 0.0, 0
    was, is_now = ((counts + 0.5) / (counts.sum() + 0.5 * bins) for counts in (before, now))
    index = float(((is_now - was) * np.log(is_now / was)).sum()) - (bins - 1) * (1.0 / n_before + 1.0 / n_now)
    pooled = (before + now) / (n_before + n_now)
    statistic = sum(
        float(((counts - pooled * counts.sum()) ** 2 / (pooled * counts.sum())).sum()) for counts in (before, now)
    )
    return max(0.0, index), statistic, bins - 1


def _merged(before: Counts, now: Counts) -> tuple[Counts, Counts]:
    """Neighbouring bins put together until each expects FEWEST values on the smaller side."""
    totals = before + now
    share = min(before.sum(), now.sum()) / max(int(totals.sum()), 1)
    starts, gathered = [0], 0.0
    for at, expected in enumerate((totals * share).tolist()):
        if gathered >= FEWEST:
            starts.append(at)
            gathered = 0.0
        gathered += expected
    if gathered < FEWEST and len(starts) > 1:
        starts.pop()
    return np.add.reduceat(before, starts), np.add.reduceat(now, starts)


def _counted(edges: tuple[float, ...], values: NDArray[np.floating[Any]]) -> Counts:
    places = np.searchsorted(np.array(edges), values.astype(np.float64), side="left")
    return np.bincount(places, minlength=len(edges) + 1)
