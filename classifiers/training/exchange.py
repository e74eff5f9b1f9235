"""What two judges' predicted gains are worth on requests that both models answered: quality against the bill.

gained: (n,), score of the dear model less that of the cheap one, in -1..1. extra: (n,), what the dear one costs more.
gains: (n,), the gain that a judge predicted; whoever has the highest goes to the dear model first.

`worth` is minus half the squared error of the predicted gain. Who asks the dear model where the predicted gain g is
above a price t loses (d - t)(1[d > t] - 1[g > t]) against who knows the gain d, and over all t of -1..1 that adds up to
(d - g)^2 / 2: proper scores are mixtures of the losses of decisions (Schervish 1989). It credits ranking and
calibration alike, for thresholds stand in units of quality. `at_equal_cost` credits ranking only.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from classifiers.training.measures import Figure, Floats
from classifiers.training.resampled import interval

POINTS: Final = 51


class Curve:
    """Quality gained over always-cheap, by share of the extra bill, when asks are sent by one judge's gains.

    Rows with the same gain are sent together, so that a judge who says always the same is worth what chance is.
    """

    def __init__(self, gains: Floats, gained: Floats, extra: Floats):
        rounded = np.round(gains, 9)
        self._order = np.argsort(-rounded, kind="stable")
        ordered = rounded[self._order]
        first = np.concatenate([[True], np.diff(ordered) != 0.0])[: len(ordered)]
        self._starts = np.flatnonzero(first)
        self._gained, self._extra = gained[self._order], extra[self._order]

    def reached(self, counts: Floats) -> tuple[Floats, Floats]:
        """(share of the bill, quality) after each step, both (k, steps + 1), for each of k resamples' counts (k, n)."""
        often = counts[:, self._order]
        gained = np.add.reduceat(often * self._gained, self._starts, axis=1).cumsum(axis=1)
        spent = np.add.reduceat(often * self._extra, self._starts, axis=1).cumsum(axis=1)
        none = np.zeros((len(counts), 1))
        quality = np.hstack([none, gained]) / counts.sum(axis=1, keepdims=True)
        return np.hstack([none, spent]) / np.maximum(spent[:, -1:], 1e-300), quality

    def area(self, counts: Floats) -> Floats:
        """Mean quality over all shares of the bill, (k,)."""
        bill, quality = self.reached(counts)
        areas: Floats = (np.diff(bill, axis=1) * (quality[:, 1:] + quality[:, :-1]) / 2.0).sum(axis=1)
        return areas

    def at(self, counts: Floats, share: float) -> Floats:
        """Quality at one share of the bill, (k,)."""
        bill, quality = self.reached(counts)
        return np.array([np.interp(share, own, of) for own, of in zip(bill, quality, strict=True)])

    def points(self) -> list[float]:
        """Quality at POINTS shares of the bill, for drawing."""
        bill, quality = self.reached(np.ones((1, len(self._order))))
        return [float(value) for value in np.interp(np.linspace(0.0, 1.0, POINTS), bill[0], quality[0])]


def worth(current: Floats, candidate: Floats, gained: Floats, seed: int) -> Figure:
    """How much more the candidate's predicted gains are worth; above 0 is better."""
    more = ((gained - current) ** 2 - (gained - candidate) ** 2) / 2.0
    return interval(lambda counts: (counts @ more) / counts.sum(axis=1), len(more), seed)


def at_equal_cost(current: Floats, candidate: Floats, gained: Floats, extra: Floats, seed: int) -> Figure:
    """Quality of the candidate less that of the current judge at the same bill, averaged over all bills."""
    ours, theirs = Curve(candidate, gained, extra), Curve(current, gained, extra)
    return interval(lambda counts: ours.area(counts) - theirs.area(counts), len(gained), seed)


def at_one_bill(current: Floats, candidate: Floats, gained: Floats, extra: Floats, share: float, seed: int) -> Figure:
    """The same at one share of the extra bill."""
    ours, theirs = Curve(candidate, gained, extra), Curve(current, gained, extra)
    return interval(lambda counts: ours.at(counts, share) - theirs.at(counts, share), len(gained), seed, times=300)
