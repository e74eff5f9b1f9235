"""Conversations remembered in Redis, so that every replica keeps them alike. Redis lost: this process remembers alone.

What a process saw itself it also keeps, and reads where Redis has no answer. After a failure Redis is left alone for a
few seconds; nobody waits for it meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable

import msgspec

from router.cache.redis_client import open_client, where
from router.conversations.contract import Remembered
from router.conversations.memory import ProcessMemory

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 0.05
REST_SECONDS = 5.0
_CLOSE_SECONDS = 0.5


class RedisMemory:
    """`contract.Memory` under `PREFIX:conversation:KEY`."""

    def __init__(self, url: str, prefix: str = "signalbox", clock: Callable[[], float] = time.monotonic):
        self._client = open_client(url)
        self._where, self._prefix, self._clock = where(url), prefix, clock
        self._own = ProcessMemory(clock=clock)
        self._rests_until = -math.inf

    async def recall(self, key: str) -> Remembered | None:
        """The last turn that any replica saw, else the last that this one did."""
        if self._clock() >= self._rests_until:
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    found = await self._client.get(f"{self._prefix}:conversation:{key}")
                if isinstance(found, bytes):
                    return msgspec.msgpack.decode(found, type=Remembered)
            except msgspec.MsgspecError:
                log.warning("conversations: Redis at %s holds a turn that cannot be read", self._where)
            except Exception as error:  # whatever the client raises: a lost memory must never fail a request
                self._rest(error)
        return await self._own.recall(key)

    async def remember(self, key: str, turn: Remembered, ttl_seconds: float) -> None:
        """Keeps a turn here and in Redis."""
        await self._own.remember(key, turn, ttl_seconds)
        if self._clock() < self._rests_until:
            return
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                name, ends = f"{self._prefix}:conversation:{key}", max(1, int(ttl_seconds * 1000))
                await self._client.set(name, msgspec.msgpack.encode(turn), px=ends)
        except Exception as error:
            self._rest(error)

    async def aclose(self) -> None:
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._client.aclose()
        except Exception:
            log.debug("conversations: closing connections to Redis at %s failed", self._where)

    def _rest(self, error: Exception) -> None:
        if self._clock() >= self._rests_until:
            log.warning("conversations: Redis at %s is left alone: %s", self._where, error or "no answer in time")
        self._rests_until = self._clock() + REST_SECONDS
