"""Chooses the cache that the settings ask for."""

from __future__ import annotations

import secrets

from router.cache.contract import Cache
from router.cache.memory import MemoryCache
from router.cache.off import NoCache
from router.settings import Settings


def make_cache(settings: Settings) -> Cache:
    """Redis where a URL is set, else in the process, else (`cache_bytes` 0) none. `start` it inside the event loop.

    Nothing is connected yet, and Redis being away never fails a start. Raises `SettingsError` for a URL that is none.
    """
    written = settings.cache_secret.get_secret_value() if settings.cache_secret else ""
    configured = written.encode() or None  # set but empty, as compose files leave it, is unset
    if settings.redis_url:
        from router.cache.redis_cache import RedisCache  # redis is not imported where nobody asked for it

        return RedisCache(settings.redis_url, configured)
    secret = configured or secrets.token_bytes(32)
    return MemoryCache(settings.cache_bytes, secret) if settings.cache_bytes else NoCache(secret)


async def connect_cache(settings: Settings) -> Cache:
    """The same, started."""
    cache = make_cache(settings)
    await cache.start()
    return cache
