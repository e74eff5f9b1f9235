"""Whether logs can say how two ways of choosing differ, and if not, how many more audited requests it would take.

An audited request on which the two differ shows the difference itself. Over all requests it has the variance
v = share that differs * mean squared difference there, so that m audited requests give a 95 per cent interval of half
width 1.96 sqrt(v / m), and exploration and audits so far, with the half width h, are worth v (1.96 / h)^2 of them. The
mean squared difference is read off the audited requests, as if one more had differed by all there is; before there are
any it is 1, the most there can be. Beside that LEAST of the requests that differ must have been seen, for what an
interval assumes of a mean holds of no handful.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from classifiers.training.measures import Floats
from classifiers.training.off_policy import Estimates, Mask, Seen

LEAST: Final = 50
"""Requests, by effective size, on which two choices differ and the candidate's model was seen.

With 30, `bench.off_policy` found intervals of costs with long tails that held the truth in 90 of 100 logs only."""
HALF_WIDTH: Final = 0.05
"""The widest interval, to either side, that still says something of a difference in quality."""
OUT_OF_SIGHT: Final = 0.01
"""The share of requests that may be left out because nobody ever sees what was chosen there."""
_Z: Final = 1.96


@dataclass(frozen=True, slots=True)
class Support:
    """What the logs can bear. differs: share of requests on which the choices differ. unseen: share on which either
    choice is never seen. more: audited requests that are wanting, 0 where there is enough. why: in words."""

    differs: float
    unseen: float
    effective: float
    more: int
    why: str

    @property
    def enough(self) -> bool:
        return self.more == 0


def support(
    seen: Seen, candidate: Floats, current: Floats, found: Estimates, *, half_width: float = HALF_WIDTH
) -> Support:
    """Whether `found`, the difference in quality of two choices, may be told. Qualities are in 0..1."""
    count = len(seen)
    moved = np.abs(candidate - current).sum(axis=1) > 1e-9
    differs, unseen = float(moved.mean()), float(out_of_sight(seen, candidate, current).mean())
    effective = found.effective
    if not moved.any():
        return Support(0.0, unseen, effective, 0, "both choose alike on every request")
    pairs = _pairs(seen, candidate, current, moved)
    squared = (float((pairs**2).sum()) + 1.0) / (len(pairs) + 1)
    variance = differs * squared
    needed = variance * (_Z / half_width) ** 2
    half = _half(found)
    worth = variance * (_Z / half) ** 2 if half > 0.0 and unseen <= OUT_OF_SIGHT and effective >= 2.0 else 0.0
    wanting = LEAST / differs * max(0.0, 1.0 - effective / LEAST)
    if unseen > OUT_OF_SIGHT:
        more = max(1, math.ceil(max(needed, LEAST / differs)))
        why = f"on {unseen:.1%} of {count} requests what one of them chooses is never seen"
    elif effective < LEAST:
        more = max(1, math.ceil(max(needed - worth, wanting)))
        why = f"where they differ {math.floor(effective)} were seen, by effective size, and {LEAST} are needed"
    elif half > half_width:
        more = max(1, math.ceil(needed - worth))
        why = f"the interval of the difference is {half:.3f} to either side, wider than {half_width:g}"
    else:
        return Support(differs, unseen, effective, 0, "enough")
    return Support(differs, unseen, effective, more, why)


def out_of_sight(seen: Seen, *choices: Floats) -> Floats:
    """By request the greatest share of a choice that falls on models which are never seen there, (n,)."""
    hidden = seen.propensity <= 0.0
    worst: Floats = np.max([(choice * hidden).sum(axis=1) for choice in choices], axis=0)
    return worst


def _pairs(seen: Seen, candidate: Floats, current: Floats, moved: Mask) -> Floats:
    """The differences that requests showed by themselves: every model was seen on which the choices differ."""
    contrast = candidate - current
    whole = moved & ((seen.weights > 0.0) | (np.abs(contrast) < 1e-9)).all(axis=1)
    shown: Floats = (contrast * seen.outcomes).sum(axis=1)[whole]
    return shown


def _half(found: Estimates) -> float:
    low, high = found.dr.low, found.dr.high
    return math.inf if low is None or high is None else (high - low) / 2.0
