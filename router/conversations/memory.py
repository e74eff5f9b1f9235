"""Conversations remembered in the process: the oldest go first, each has its own end."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from router.conversations.contract import Remembered

MOST = 100_000
"""Conversations kept at a time; about 30 MB."""


class ProcessMemory:
    """`contract.Memory` in a dictionary. clock: seconds that never go back."""

    def __init__(self, most: int = MOST, clock: Callable[[], float] = time.monotonic):
        self._most, self._clock = most, clock
        self._turns: OrderedDict[str, tuple[Remembered, float]] = OrderedDict()

    async def recall(self, key: str) -> Remembered | None:
        """The last turn; None where there is none or its time is over."""
        found = self._turns.get(key)
        if found is None:
            return None
        turn, ends = found
        if ends <= self._clock():
            del self._turns[key]
            return None
        return turn

    async def remember(self, key: str, turn: Remembered, ttl_seconds: float) -> None:
        """Keeps a turn in place of the one before it."""
        self._turns[key] = (turn, self._clock() + ttl_seconds)
        self._turns.move_to_end(key)
        while len(self._turns) > self._most:
            self._turns.popitem(last=False)

    async def aclose(self) -> None:
        self._turns.clear()
