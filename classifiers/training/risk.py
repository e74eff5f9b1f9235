"""How much quality is lost against a baseline, at most: upper confidence bounds from requests that both answered.

Two, for two questions. `clopper_pearson` bounds a share (of answers that were harmed, say) once, from a sample whose
size did not hang on what it showed (Clopper and Pearson 1934; exact). `lost` bounds the mean loss, where answers that
got better make up for some that got worse, and may be looked at after every new pair: a gate that asks again and again
until it hears yes would sooner or later hear it from a bound that holds but once. It is the wealth of a bet against
"the loss is at least m", which grows beyond 1 / alpha with chance alpha at most however long it is played (Ville's
inequality; Waudby-Smith and Ramdas 2024, arXiv 2010.09686, with their predictable stakes); the bound is the largest m
that the wealth of now does not rule out. So later losses raise it again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import betaincinv

from classifiers.errors import TrainingError
from classifiers.training.measures import Floats

CONFIDENCE: Final = 0.95
_MOST_STAKE: Final = 0.75
"""Of the wealth: a stake of 1 would lose all of it with one answer."""
_STAKE_FOR: Final = 0.05
"""The alpha that stakes are made for. One for all, so that more confidence never means a lower bound."""


@dataclass(frozen=True, slots=True)
class Risk:
    """What `n` pairs say. lost: mean loss, below 0 where the served answers were better. bound: of it, never below 0.

    harmed: share of answers worse than the baseline's. harmed_bound: of it (exact for a sample of a size set before).
    """

    n: int
    lost: float
    bound: float
    harmed: float
    harmed_bound: float
    confidence: float

    def proves(self, max_risk: float) -> bool:
        """Whether the mean loss is shown to be at most `max_risk`."""
        return self.bound <= max_risk

    def more(self, max_risk: float) -> int | None:
        """About how many more pairs would prove it, were they like those seen; None where more of them never would.

        The bound comes near to the mean as 1 / sqrt(n), or as 1 / n where no two answers differed; a tenth for luck.
        """
        if self.proves(max_risk):
            return 0
        if max_risk <= max(self.lost, 0.0):
            return None
        if self.n == 0:
            return math.ceil(math.log(1.0 - self.confidence) / math.log1p(-max_risk))
        nearer = (self.bound - self.lost) / (max_risk - self.lost)
        needed = 1.1 * self.n * (nearer if self.lost == self.harmed == 0.0 else nearer**2)
        return max(1, math.ceil(needed) - self.n)


def risk(baseline: Floats, served: Floats, *, confidence: float = CONFIDENCE) -> Risk:
    """The bounds for qualities in 0..1 of the same requests, in order of time, shapes (n,).

    Where the baseline itself served, both are the same. Raises TrainingError for qualities that are none.
    """
    if baseline.shape != served.shape or baseline.ndim != 1:
        raise TrainingError(f"{baseline.shape} qualities of the baseline, {served.shape} of what was served")
    for qualities in (baseline, served):
        if not ((qualities >= 0.0) & (qualities <= 1.0)).all():  # NaN too
            raise TrainingError("a quality is not in 0..1")
    _check(confidence)
    losses = baseline - served
    n, worse = len(losses), int((losses > 0.0).sum())
    return Risk(
        n=n,
        lost=float(losses.mean()) if n else 0.0,
        bound=lost(losses, confidence=confidence),
        harmed=worse / n if n else 0.0,
        harmed_bound=clopper_pearson(worse, n, confidence=confidence),
        confidence=confidence,
    )


def clopper_pearson(count: int, n: int, *, confidence: float = CONFIDENCE) -> float:
    """The upper bound of a share of which `count` of `n` were seen; 1 where nothing was."""
    _check(confidence)
    if not 0 <= count <= n:
        raise TrainingError(f"{count} of {n} is no share")
    return 1.0 if count == n else float(betaincinv(count + 1, n - count, confidence))


def lost(losses: Floats, *, confidence: float = CONFIDENCE) -> float:
    """The upper bound of the mean of losses in -1..1, given in order of time; in 0..1, and 1 where there are none.

    Holds at all times at once with probability `confidence`, for losses that are independent and alike; never below
    the mean that was seen. Where traffic changes, give the pairs of a window of time.
    """
    _check(confidence)
    n = len(losses)
    if n == 0:
        return 1.0
    if not (np.abs(losses) <= 1.0).all():  # NaN too
        raise TrainingError("a loss is not in -1..1")
    goal = -math.log(1.0 - confidence)
    stakes = _stakes(losses)

    def ruled_out(mean: float) -> bool:
        return float(_won(losses, stakes, mean).sum()) >= goal

    if not ruled_out(1.0):
        return 1.0
    low, high = max(0.0, float(losses.mean())), 1.0  # wealth grows with the mean that is bet against
    if ruled_out(low):
        return low
    for _ in range(40):
        middle = (low + high) / 2.0
        low, high = (low, middle) if ruled_out(middle) else (middle, high)
    return high


def wealth(losses: Floats, mean: float) -> Floats:
    """Logarithm of the wealth after each loss of a bet against "the mean loss is at least `mean`", which is in 0..1."""
    won: Floats = np.cumsum(_won(losses, _stakes(losses), mean))
    return won


def _won(losses: Floats, stakes: Floats, mean: float) -> Floats:
    won: Floats = np.log1p(stakes * (mean - losses))
    return won


def _stakes(losses: Floats) -> Floats:
    """What is bet on each pair, known before it is seen: sqrt(2 log(1 / alpha) / (variance t log(1 + t)))."""
    n = len(losses)
    times = np.arange(1, n + 1)
    means = np.cumsum(losses) / (times + 1.0)  # as if one loss of 0 had come before, and a spread of 1 / 2 with it
    variances = (0.25 + np.cumsum((losses - means) ** 2)) / (times + 1.0)
    before = np.concatenate([[0.25], variances[:-1]])
    wanted = np.sqrt(-2.0 * math.log(_STAKE_FOR) / (before * times * np.log1p(times)))
    stakes: Floats = np.minimum(wanted, _MOST_STAKE)
    return stakes


def _check(confidence: float) -> None:
    if not 0.0 < confidence < 1.0:
        raise TrainingError(f"a confidence of {confidence} is not between 0 and 1")
