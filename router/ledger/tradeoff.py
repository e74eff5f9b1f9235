"""What cost buys in quality, on requests that both sides answered: all thresholds, and where routing stands today.

The curve sends the requests of the highest predicted gain to the large model, from none to all of them; beside it the
same by prompt length, and by chance, which is a straight line. Predictions are those that were logged when the request
came: nothing here was fitted on these labels.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from classifiers.training.measures import Figure, Floats, apgr_of_draws, bootstrap
from router.ledger.contract import Store
from router.ledger.filters import Filters
from router.ledger.twofold import Twofold, twofold
from router.ledger.window import Window

POINTS = 20
"""A curve has one more: every twentieth of the requests."""
_RESAMPLES = 200
_NO_FIGURE = Figure(None)


@dataclass(frozen=True, slots=True)
class Point:
    """share_large: of requests that the large model serves. usd: mean cost of a request. quality: mean score."""

    share_large: float
    usd: float
    quality: float


@dataclass(frozen=True, slots=True)
class Promised:
    """A rule's threshold: which pairs of its route it would send to the large model."""

    route: str
    rule: str
    kind: str
    value: float
    sends: Callable[[Twofold], bool]


@dataclass(frozen=True, slots=True)
class Threshold:
    """Today's threshold of a rule on the curve. pairs: of its route; point: None where there are none.

    kind: `threshold` (the predicted loss that is allowed) or `keep_quality` (the share of predicted quality to keep).
    """

    route: str
    rule: str
    kind: str
    value: float
    pairs: int
    point: Point | None


@dataclass(frozen=True, slots=True)
class Tradeoff:
    """pairs: those drawn. left_out: pairs without a price or a prediction. today: what really was served.

    by_gain_area, by_length_area: APGR, 0.5 is chance; None where the large model was not better on these requests.
    """

    window: Window
    pairs: int
    left_out: int
    capped: bool
    by_gain: tuple[Point, ...] = ()
    by_length: tuple[Point, ...] = ()
    by_chance: tuple[Point, ...] = ()
    by_gain_area: Figure = _NO_FIGURE
    by_length_area: Figure = _NO_FIGURE
    today: Point | None = None
    today_quality: Figure = _NO_FIGURE
    thresholds: tuple[Threshold, ...] = ()


async def tradeoff_report(
    store: Store, window: Window, filters: Filters | None = None, promised: Sequence[Promised] = ()
) -> Tradeoff:
    """The curve over the audited requests of a span, and the thresholds of today's policy on it."""
    page = await twofold(store, window, filters)
    usable = [
        pair
        for pair in page.pairs
        if pair.gain is not None and pair.small_usd is not None and pair.large_usd is not None
    ]
    left_out = len(page.pairs) - len(usable)
    if not usable:
        return Tradeoff(window, 0, left_out, page.capped, thresholds=_thresholds([], promised))
    return await asyncio.to_thread(_tradeoff, window, usable, left_out, page.capped, promised)


def _tradeoff(
    window: Window, pairs: Sequence[Twofold], left_out: int, capped: bool, promised: Sequence[Promised]
) -> Tradeoff:
    # The oldest first, so that ties fall the same however many newer ones there are.
    pairs = sorted(pairs, key=lambda pair: (pair.at_unix, pair.request_id))
    small, large = _of(pairs, "small_score"), _of(pairs, "large_score")
    gain, length = _of(pairs, "gain"), _of(pairs, "input_tokens")
    served = np.array([pair.large_score if pair.served_large else pair.small_score for pair in pairs])
    by_gain = _curve(pairs, gain)
    return Tradeoff(
        window,
        len(pairs),
        left_out,
        capped,
        by_gain,
        _curve(pairs, length),
        (by_gain[0], by_gain[-1]),
        _area(gain, small, large),
        _area(length, small, large),
        _point(pairs, [pair.served_large for pair in pairs]),
        bootstrap(lambda rows: float(served[rows].mean()), len(pairs), 0, _RESAMPLES),
        _thresholds(pairs, promised),
    )


def _curve(pairs: Sequence[Twofold], scores: Floats) -> tuple[Point, ...]:
    """Ties in the order of time."""
    n, order = len(pairs), np.argsort(-scores, kind="stable")
    usd, quality = (
        np.concatenate([[base.sum()], base.sum() + np.cumsum((whole - base)[order])]) / n
        for base, whole in (
            (_of(pairs, "small_usd"), _of(pairs, "large_usd")),
            (_of(pairs, "small_score"), _of(pairs, "large_score")),
        )
    )
    reached = [round(n * step / POINTS) for step in range(POINTS + 1)]
    return tuple(Point(at / n, float(usd[at]), float(quality[at])) for at in reached)


def _of(pairs: Sequence[Twofold], name: str) -> Floats:
    return np.array([getattr(pair, name) for pair in pairs], dtype=np.float64)


def _point(pairs: Sequence[Twofold], to_large: Sequence[bool]) -> Point:
    n = len(pairs)
    chosen = list(zip(pairs, to_large, strict=True))
    usd = sum((pair.large_usd if large else pair.small_usd) or 0.0 for pair, large in chosen) / n
    quality = sum(pair.large_score if large else pair.small_score for pair, large in chosen) / n
    return Point(sum(to_large) / n, usd, quality)


def _area(scores: Floats, small: Floats, large: Floats) -> Figure:
    return apgr_of_draws(scores[np.newaxis], small, large, times=_RESAMPLES)


def _thresholds(pairs: Sequence[Twofold], promised: Sequence[Promised]) -> tuple[Threshold, ...]:
    found = []
    for one in promised:
        there = [pair for pair in pairs if pair.route == one.route]
        point = _point(there, [one.sends(pair) for pair in there]) if there else None
        found.append(Threshold(one.route, one.rule, one.kind, one.value, len(there), point))
    return tuple(found)
