"""Chooses the memory that the settings ask for."""

from __future__ import annotations

from router.conversations.contract import Memory
from router.conversations.memory import ProcessMemory
from router.settings import Settings


def make_memory(settings: Settings) -> Memory:
    """Redis where a URL is set, else the process. Nothing is connected yet. Raises `SettingsError` for no URL."""
    if settings.redis_url:
        from router.conversations.redis_memory import RedisMemory  # redis is not imported where nobody asked for it

        return RedisMemory(settings.redis_url)
    return ProcessMemory()
