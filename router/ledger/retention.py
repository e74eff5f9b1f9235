"""Forgets what the ledger has kept long enough: a look every hour, in every gateway, harmless when done twice."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from router.ledger.contract import Store

log = logging.getLogger(__name__)

DAY_SECONDS = 86_400.0
EVERY_SECONDS = 3600.0


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
        gone = await self._store.prune(
            now - self._days * DAY_SECONDS, features_before_unix=now - self._features_days * DAY_SECONDS
        )
        self._next = now + EVERY_SECONDS
        if gone:
            log.info("the ledger forgot %d requests older than %g days", gone, self._days)
