"""Where in the cache one request's answer would stand, and whether it may stand there at all."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from router.cache.contract import Cache, CachedAnswer
from router.cache.keys import key_for
from router.domain import Ask, CacheVerdict, ModelSpec
from router.policy.compiled import Policy, Route


@dataclass(slots=True)
class Shelf:
    """One place in the cache. `verdict` is what the caller is told; a shelf without a key holds nothing."""

    cache: Cache
    key: bytes | None = None
    ttl_seconds: float = 0.0
    look: bool = True
    verdict: CacheVerdict = "bypass"

    async def find(self) -> CachedAnswer | None:
        """The stored answer, if there is one."""
        if self.key is None or not self.look:
            return None
        found = await self.cache.get(self.key)
        self.verdict = "miss" if found is None else "hit"
        return found

    async def keep(self, answer: CachedAnswer) -> None:
        """Stores an answer that `router.cache.forms.storable` let through."""
        if self.key is not None:
            await self.cache.put(self.key, answer, self.ttl_seconds)


def shelf_for(
    cache: Cache,
    *,
    tenant: str,
    policy: Policy,
    target: Route | ModelSpec,
    ask: Ask,
    values: Mapping[str, Any],
    cache_control: str | None,
) -> Shelf:
    """The shelf of a request.

    None for models named outright, for routes without a cache, for private asks (unless the route says
    `private: true`) and under `cache-control: no-store`. `no-cache` asks for a fresh answer, which is then kept.
    """
    wanted = target.cache if isinstance(target, Route) else None
    if wanted is None or not isinstance(target, Route) or (ask.private and not wanted.private):
        return Shelf(cache)
    directives = cache_control.lower() if cache_control else ""
    if "no-store" in directives or cache.state != "ok":
        return Shelf(cache)
    key = key_for(cache.secret, tenant, target.name, policy.digest, values)
    return Shelf(cache, key, wanted.ttl_seconds, look="no-cache" not in directives)


def stored(body: bytes, model: str, complexity: float | None, usage: Any) -> CachedAnswer:
    """An answer as it is put on the shelf, now."""
    return CachedAnswer(body, model, complexity, usage, time.time())
