"""The exact cache in the process: least recently used goes first, bounded in bytes, each entry with its own end."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from sys import getsizeof
from typing import NamedTuple

from router.cache.contract import CachedAnswer

_ENTRY_BYTES = 768
"""What one entry takes besides its key, body and model name: the ordered dict's slot and link, the entry, the answer,
its usage and their numbers. Measured with tracemalloc (a test holds the whole cache to its bound)."""
_LARGEST_SHARE = 8
"""An entry above this fraction of the bound is not kept: one huge answer should not push out all the others."""


class _Entry(NamedTuple):
    answer: CachedAnswer
    expires_at: float
    cost: int


class MemoryCache:
    """LRU with a time to live. O(1) a call; never holds more than `max_bytes`, its own bookkeeping included.

    clock: seconds that never go back, whatever is done to the time of day. secret: for the keys of this process.
    """

    def __init__(self, max_bytes: int, secret: bytes = b"", clock: Callable[[], float] = time.monotonic) -> None:
        self.secret = secret
        self._max_bytes, self._clock = max_bytes, clock
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._bytes = 0

    async def start(self) -> None:
        """Nothing to start."""

    async def get(self, key: bytes) -> CachedAnswer | None:
        """The answer, and it counts as used; None where there is none or its time is over."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.expires_at <= self._clock():
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return entry.answer

    async def put(self, key: bytes, answer: CachedAnswer, ttl_seconds: float) -> None:
        """Keeps the answer for `ttl_seconds`, in place of an older one; forgets one that is too big."""
        self._drop(key)
        cost = _ENTRY_BYTES + getsizeof(key) + getsizeof(answer.body) + getsizeof(answer.model)
        if ttl_seconds <= 0 or cost * _LARGEST_SHARE > self._max_bytes:
            return
        self._entries[key] = _Entry(answer, self._clock() + ttl_seconds, cost)
        self._bytes += cost
        while self._bytes > self._max_bytes:
            self._bytes -= self._entries.popitem(last=False)[1].cost

    @property
    def shared(self) -> bool:
        """False: nothing leaves the process."""
        return False

    @property
    def state(self) -> str:
        """`ok`, always."""
        return "ok"

    @property
    def size_bytes(self) -> int:
        """What the entries take now, as counted."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._entries)

    async def aclose(self) -> None:
        """Lets go of every entry."""
        self._entries.clear()
        self._bytes = 0

    def _drop(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= entry.cost
