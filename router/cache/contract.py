"""What every exact cache promises. It never raises and never takes longer than its budget: a lost cache is a miss."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from router.domain import Usage


class CachedAnswer(Struct, frozen=True):
    """One stored answer.

    body: the plain (not streamed) completion as JSON bytes; streams are assembled to it and replayed from it.
    model: the policy name of the model that answered. complexity: as judged then. usage: as billed then.
    stored_at: unix seconds.
    """

    body: bytes
    model: str
    complexity: float | None
    usage: Usage
    stored_at: float


class Cache(Protocol):
    """Keys are opaque bytes made by `router.cache.keys.key_for`; they hold the tenant already."""

    async def start(self) -> None:
        """Called once inside the event loop, before the first request. Takes half a second at most, never raises."""
        ...

    @property
    def secret(self) -> bytes:
        """For `key_for`. Ask anew for each request: gateways on one Redis agree on it when they first reach it."""
        ...

    @property
    def shared(self) -> bool:
        """Whether entries leave this process (a private ask may then pass the cache by)."""
        ...

    async def get(self, key: bytes) -> CachedAnswer | None: ...

    async def put(self, key: bytes, answer: CachedAnswer, ttl_seconds: float) -> None: ...

    @property
    def state(self) -> str:
        """`ok`, `off` or `degraded` (its breaker is open), for /readyz."""
        ...

    async def aclose(self) -> None: ...
