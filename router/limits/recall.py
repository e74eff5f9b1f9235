"""Tells a store what the ledger has in writing: at the start, and when a policy brings limits that were not there.

So a budget outlives the process that counted it, and a Redis that was emptied. What a process that was killed had
under way is in no ledger, and in no budget either.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from router.domain import Caller
from router.ledger.contract import Store as Ledger
from router.ledger.spent import Spent, spent
from router.limits.book import Book
from router.limits.contract import Counter, Known, Store
from router.limits.memory import unix_ms
from router.limits.windows import DAY_MS, day_of, month_began_ms, month_of
from router.policy.compiled import Policy

log = logging.getLogger("signalbox.limits")


class Recall:
    """Looks whether the policy's limits were told of already. `poll` it every second."""

    def __init__(
        self, store: Store, ledger: Ledger, policy: Callable[[], Policy], clock: Callable[[], int] = unix_ms
    ) -> None:
        self._store, self._ledger, self._policy, self._clock = store, ledger, policy, clock
        self._told: str | None = None

    async def poll(self) -> None:
        """Reads the ledger where something is new. Raises StoreError, and tries again at the next poll."""
        policy = self._policy()
        if policy.digest == self._told:
            return
        if policy.limits and self._store.state == "off":
            await self._store.start()
        if any(limit.dollars_per_day is not None or limit.dollars_per_month is not None for limit in policy.limits):
            now = self._clock()
            for model in policy.models.values():
                if model.price is None:
                    log.warning("limits: model %s has no price, so limits of dollars do not hold for it", model.name)
            rows = await spent(self._ledger, day_of(now) * DAY_MS / 1000, month_began_ms(now) / 1000)
            for counter, known in recalled(policy, rows, now).items():
                self._store.learn(counter, known)
            log.info("limits: the ledger has %d sums of this month", len(rows))
        self._told = policy.digest


def recalled(policy: Policy, rows: list[Spent], now_ms: int) -> dict[Counter, Known]:
    """What the ledger says was spent of each counter that it has rows for."""
    book, day, month = Book(policy), day_of(now_ms), month_of(now_ms)
    sums: dict[Counter, Known] = {}
    for row in rows:
        counters = book.of_caller(Caller(row.tenant, row.key), row.route)
        if row.model is not None:
            counters = (*counters, *book.by_model.get(row.model, ()))
        for counter in counters:
            before = sums.get(counter, Known(day, 0, month, 0))
            sums[counter] = Known(day, before.day_spent + row.day_nano, month, before.month_spent + row.month_nano)
    return sums
