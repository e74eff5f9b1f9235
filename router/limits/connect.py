"""Chooses the store of counts that the settings ask for."""

from __future__ import annotations

from router.limits.contract import Store
from router.limits.memory import MemoryStore
from router.settings import Settings


def make_store(settings: Settings) -> Store:
    """Redis where a URL is set, else the process. Nothing is connected yet. Raises `SettingsError` for no URL."""
    if settings.redis_url:
        from router.limits.redis_store import RedisStore  # redis is not imported where nobody asked for it

        return RedisStore(settings.redis_url)
    return MemoryStore()
