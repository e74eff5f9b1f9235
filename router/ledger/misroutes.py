"""Where routing went wrong, on requests that both sides answered: cheap and bad, dear and not needed.

Audits draw requests by chance, so shares of them are shares of all that could be audited; dollars and quality are sums
over the audited ones alone, and said to be.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from classifiers.training.measures import Figure, bootstrap
from router.ledger.contract import Store
from router.ledger.filters import Filters
from router.ledger.intervals import Estimate, share_of
from router.ledger.twofold import Twofold, TwofoldPage, twofold
from router.ledger.window import Window

WORSE = 0.2
"""By so much the small answer must score below the large one to be called bad."""
ALIKE = 0.05
"""By so much it may score below and the large one still was not needed."""
LISTED_MOST = 50
_RESAMPLES = 300
NOTHING_LOST = Figure(None)
"""Where the large one served, or nobody did."""


@dataclass(frozen=True, slots=True)
class Misroute:
    """One request that went wrong. lost: quality. wasted_usd: None where a price is not known."""

    pair: Twofold
    lost: float
    wasted_usd: float | None


@dataclass(frozen=True, slots=True)
class Kind:
    """The requests that one side served. wrong: the share of them that should have gone to the other side.

    lost: mean quality that these `served` lost by it. wasted_usd: over the wrong ones of known prices, of spent_usd,
    what all `served` cost; unpriced: the wrong ones whose prices are not known. listed: the worst of them first.
    """

    served: int
    wrong_requests: int
    wrong: Estimate
    lost: Figure
    wasted_usd: float
    spent_usd: float
    unpriced: int
    listed: tuple[Misroute, ...]


@dataclass(frozen=True, slots=True)
class MisrouteReport:
    """capped: there are more pairs than were read."""

    window: Window
    pairs: int
    capped: bool
    worse: float
    alike: float
    cheap_and_bad: Kind
    dear_and_not_needed: Kind


async def misroute_report(
    store: Store, window: Window, filters: Filters | None = None, *, worse: float = WORSE, alike: float = ALIKE
) -> MisrouteReport:
    """Both kinds over the audited requests of a span."""
    page = await twofold(store, window, filters)
    return await asyncio.to_thread(_report, window, page, worse, alike)


def _report(window: Window, page: TwofoldPage, worse: float, alike: float) -> MisrouteReport:
    small = [pair for pair in page.pairs if not pair.served_large]
    large = [pair for pair in page.pairs if pair.served_large]
    bad = [Misroute(pair, pair.lost, None) for pair in small if pair.lost >= worse]
    needless = [Misroute(pair, 0.0, _saved(pair)) for pair in large if pair.lost <= alike]
    bad.sort(key=lambda one: (-one.lost, -one.pair.at_unix))
    needless.sort(key=lambda one: (-(one.wasted_usd or 0.0), -one.pair.at_unix))
    return MisrouteReport(
        window, len(page.pairs), page.capped, worse, alike, _kind(small, bad, False), _kind(large, needless, True)
    )


def _kind(served: Sequence[Twofold], wrong: Sequence[Misroute], large: bool) -> Kind:
    lost = {one.pair.request_id: one.lost for one in wrong}
    losses = np.array([lost.get(pair.request_id, 0.0) for pair in served])
    mean = NOTHING_LOST
    if served and not large:
        mean = bootstrap(lambda rows: float(losses[rows].mean()), len(losses), 0, _RESAMPLES)
    known = [one.wasted_usd for one in wrong if one.wasted_usd is not None]
    return Kind(
        len(served),
        len(wrong),
        share_of(len(wrong), len(served)),
        mean,
        sum(known),
        sum((pair.large_usd if large else pair.small_usd) or 0.0 for pair in served),
        len(wrong) - len(known) if large else 0,
        tuple(wrong[:LISTED_MOST]),
    )


def _saved(pair: Twofold) -> float | None:
    if pair.large_usd is None or pair.small_usd is None:
        return None
    return max(0.0, pair.large_usd - pair.small_usd)
