"""How full every limit is, subject by subject, for the people who run the gateway."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from router.domain import Caller
from router.limits.book import Book
from router.limits.contract import Counter, Standing, Store
from router.policy.compiled import Policy
from router.prices import NANO_PER_DOLLAR

_AT_ONCE = 200


async def report(store: Store, policy: Policy, callers: Iterable[Caller]) -> list[dict[str, Any]]:
    """One document for each subject of each limit, the fullest first. callers: everybody there is a key for."""
    book = Book(policy)
    counters = {
        counter.key: counter
        for caller in callers
        for route in (None, *policy.routes)
        for counter in book.of_caller(caller, route)
    }
    counters.update({counter.key: counter for counter in book.of_models})
    wanted = list(counters.values())
    rows = []
    for start in range(0, len(wanted), _AT_ONCE):
        some = wanted[start : start + _AT_ONCE]
        rows += [_row(*pair) for pair in zip(some, await store.peek(some), strict=True)]
    return sorted(rows, key=lambda row: (-row["full"], row["limit"], row["subject"]))


def _row(counter: Counter, standing: Standing) -> dict[str, Any]:
    bounds = [
        (counter.requests, standing.requests),
        (counter.tokens, standing.tokens),
        (counter.day, standing.day_spent + standing.day_held),
        (counter.month, standing.month_spent + standing.month_held),
    ]
    shares = [used / most if most else 1.0 for most, used in bounds if most is not None]
    return {
        "limit": counter.name,
        "per": counter.per,
        "subject": counter.subject,
        "full": round(min(1.0, max(shares, default=0.0)), 6),
        "minute": {
            "requests": standing.requests if counter.requests is not None else None,
            "requests_most": counter.requests,
            "tokens": standing.tokens if counter.tokens is not None else None,
            "tokens_most": counter.tokens,
        },
        "day": _money(counter.day, standing.day_spent, standing.day_held),
        "month": _money(counter.month, standing.month_spent, standing.month_held),
    }


def _money(most: int | None, spent: int, held: int) -> dict[str, float] | None:
    if most is None:
        return None
    return {
        "spent_usd": spent / NANO_PER_DOLLAR,
        "reserved_usd": held / NANO_PER_DOLLAR,
        "most_usd": most / NANO_PER_DOLLAR,
    }
