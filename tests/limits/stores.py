"""A clock that tests move by hand, and the stores that count by it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from router.cache.patience import Patience
from router.limits.contract import Charge, Counter, Granted, Store
from router.limits.memory import MemoryStore
from router.limits.redis_store import RedisStore

DOLLAR = 1_000_000_000
NOON_MS = 1_767_614_400_000
"""2026-01-05 12:00 UTC."""
HOUR_MS = 3_600_000


class HandClock:
    """Milliseconds since 1970, as far as somebody moved them."""

    def __init__(self, now_ms: int = NOON_MS) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms

    def pass_by(self, *, ms: int = 0, seconds: float = 0) -> None:
        self.now_ms += ms + int(seconds * 1000)


@asynccontextmanager
async def store_of(kind: str, clock: HandClock, redis_url: str | None) -> AsyncIterator[Store]:
    """One that is started and empty."""
    store: Store = MemoryStore(clock)
    if kind == "redis":  # a shared machine may stand still for a second, which is not what is tested
        store = RedisStore(redis_url or "", clock=clock, patience=Patience(10, 5))
    await store.start()
    try:
        yield store
    finally:
        await store.aclose()


async def flushed(store: Store) -> None:
    """Waits until what the store was told has arrived where it counts."""
    await store.peek([Counter("nothing", "all", "nothing")])


def granted(answer: object) -> Granted:
    assert isinstance(answer, Granted), answer
    return answer


def of(counter: Counter, tokens: int = 0, dollars: float = 0.0, requests: int = 1) -> Charge:
    return Charge(counter, requests, tokens, round(dollars * DOLLAR))
