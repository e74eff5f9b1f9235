"""Forgets what the ledger has kept long enough: a look every hour, in every gateway, harmless when done twice.

A clock that is years ahead would make everything look old. So nothing is forgotten where the requests that would go
and those that came next lie further apart than any quiet time should: that gap is the clock's, not the callers'.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

import sqlalchemy as sa

from router.ledger.contract import Store
from router.ledger.tables import outcomes

log = logging.getLogger(__name__)

DAY_SECONDS = 86_400.0
EVERY_SECONDS = 3600.0

QUIET_MOST_DAYS = 366.0
"""A ledger that nothing was written to for longer is not pruned: a person must say whether the clock is right."""


class Retention:
    """Prunes a store. days: for requests, texts and labels; features_days: for features. `clock` gives unix seconds."""

    def __init__(self, store: Store, days: float, features_days: float, clock: Callable[[], float] = time.time):
        self._store = store
        self._days, self._features_days = days, features_days
        self._clock = clock
        self._next = clock() + EVERY_SECONDS

    async def poll(self) -> None:
        """Prunes when an hour has gone by. Raises StoreAway; the next look tries again."""
        now = self._clock()
        if 0 < self._next - now <= EVERY_SECONDS:  # more than that, and the clock was set back
            return
        before, before_features = (now - days * DAY_SECONDS for days in (self._days, self._features_days))
        for edge in {before, max(before, before_features)}:
            if (gap := await self._gap(edge, now)) is not None:
                self._next = now + EVERY_SECONDS
                log.error(
                    "nothing is forgotten: this machine's clock says %s, and the ledger has no request between %s and "
                    "%s; set the clock right, or delete by hand what is too old",
                    *map(_day, (now, *gap)),
                )
                return
        gone = await self._store.prune(before, features_before_unix=before_features)
        self._next = now + EVERY_SECONDS
        if gone:
            log.info("the ledger forgot %d requests older than %g days", gone, self._days)

    async def _gap(self, edge: float, now: float) -> tuple[float, float] | None:
        """The quiet time around an edge, from the last request before it to the next one, where it is too long."""
        at = outcomes.c.at_unix
        [row] = await self._store.rows(
            sa.select(
                sa.select(sa.func.max(at)).where(at < edge).scalar_subquery().label("last"),
                sa.select(sa.func.min(at)).where(at >= edge).scalar_subquery().label("next"),
            )
        )
        last, following = row["last"], row["next"] if row["next"] is not None else now
        too_long = last is not None and following - last > QUIET_MOST_DAYS * DAY_SECONDS
        return (last, following) if too_long else None


def _day(unix: float) -> str:
    try:
        return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%d")
    except (ValueError, OverflowError, OSError):
        return f"{unix:.0f}"
