"""Asks Redis for many keys at once: one MGET is on its way, and all who come meanwhile share the next.

Alone a GET costs redis-py 150 to 200 us of CPU, most of it system calls and the hand-over of connections; 20 callers
at once pay some 30 us each this way (`bench/cache.py`), and 170 us each with a GET of their own. Besides, a caller who
leaves in the middle cancels nothing: the connection keeps its place in the conversation.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from redis.asyncio import RedisCluster
from redis.exceptions import TimeoutError as RedisTimeout

from router.cache.patience import Patience
from router.cache.redis_client import Client

_MOST_AT_ONCE = 32


class Gets:
    """Values by name; None for a miss and for all trouble. `on_trouble` hears of what should open the breaker."""

    def __init__(self, client: Client, on_trouble: Callable[[BaseException | None], None]) -> None:
        self._ask: Callable[[list[str]], Any] = (
            client.mget_nonatomic if isinstance(client, RedisCluster) else client.mget
        )
        self._on_trouble = on_trouble
        self.patience = Patience()
        self._asked: list[tuple[str, asyncio.Future[bytes | None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def get(self, name: str) -> bytes | None:
        """The value under `name`, as soon as the answer of its batch is there."""
        future: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._asked.append((name, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._ask_all())
        return await future

    def give_up(self) -> None:
        """Whoever waits for a batch that has not left yet goes on without an answer."""
        for _, future in self._asked:
            if not future.done():
                future.set_result(None)
        self._asked.clear()

    async def aclose(self) -> None:
        """Lets everybody go."""
        self.give_up()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _ask_all(self) -> None:
        while self._asked:
            batch, self._asked = self._asked[:_MOST_AT_ONCE], self._asked[_MOST_AT_ONCE:]
            values: list[Any] = []
            try:
                values = await self._answers([name for name, _ in batch])
            finally:
                values += [None] * (len(batch) - len(values))
                for (_, future), value in zip(batch, values, strict=False):
                    if not future.done():
                        future.set_result(value if isinstance(value, bytes) else None)

    async def _answers(self, names: list[str]) -> list[Any]:
        began, began_cpu = time.perf_counter(), time.process_time()
        try:
            async with asyncio.timeout(self.patience.left_seconds):
                values = await self._ask(names)
        except (TimeoutError, RedisTimeout) as error:
            self.patience.gave_up(idle_seconds(began, began_cpu))
            if self.patience.over:
                self._on_trouble(error)
            return []
        except Exception as error:  # whatever a client or a server comes up with, a lost cache is a miss
            self._on_trouble(error)
            return []
        self.patience.answered(idle_seconds(began, began_cpu))
        if self.patience.over:
            self._on_trouble(None)
        return values if isinstance(values, list) else []


def idle_seconds(began: float, began_cpu: float) -> float:
    """Wall time less our own CPU time: a busy gateway must not take its own slowness for Redis's."""
    return (time.perf_counter() - began) - (time.process_time() - began_cpu)
