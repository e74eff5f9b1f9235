"""The line to Redis: operations go out together in one script call, and whoever waits does so within bounds.

One call is on its way, and all who come meanwhile share the next. When Redis is slow, full, read-only or gone, a
breaker opens and callers are told None at once, until a background probe has seen it answer quickly again. What was
only told, and nobody waits for, is kept meanwhile and sent then.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from hashlib import sha1
from pathlib import Path
from typing import Any

import orjson
from redis.exceptions import NoScriptError
from redis.exceptions import TimeoutError as RedisTimeout

from router.cache.patience import Patience
from router.cache.redis_client import open_client, where
from router.cache.redis_gets import idle_seconds

log = logging.getLogger("signalbox.limits")

Operation = list[Any]
"""As counts.lua has them."""

_SCRIPT = Path(__file__).with_name("counts.lua").read_text("utf-8")
_SHA = sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()

PATIENCE_SECONDS, QUICK_SECONDS = 0.25, 0.1
"""Longer than a cache is waited for: one that is passed by costs a little money, a limit that is costs its promise."""

_START_SECONDS = 0.5
_PROBE_SECONDS = 1.0
_CLOSE_SECONDS = 0.5
_TOLD_TOGETHER_SECONDS = 0.01
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.05, 1.0
_RELAPSE_WITHIN_SECONDS, _LONGEST_REST_SECONDS = 10.0, 30.0
_MOST_AT_ONCE = 64
_MOST_TOLD = 100_000


class RedisLine:
    """`ask` for an answer, `tell` for none. prefix: what all keys begin with, hash tag included.

    clock: milliseconds to use in place of the server's own time. on_back: called when Redis answers again.
    dropped: operations that were told and could not be kept. trips: how often the breaker opened.
    """

    def __init__(
        self, url: str, prefix: str, clock: Callable[[], int] | None = None, patience: Patience | None = None
    ) -> None:
        self._client = open_client(url)
        self._where = where(url)
        self._prefix = prefix
        self._clock = clock
        self._patience = patience or Patience(PATIENCE_SECONDS, QUICK_SECONDS)
        self._asked: deque[tuple[Operation, asyncio.Future[Any]]] = deque()
        self._told: deque[Operation] = deque()
        self._usable = False
        self._closed = False
        self._back_at = float("-inf")
        self._rest = _FIRST_PAUSE_SECONDS
        self._kick: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._probe: asyncio.Task[None] | None = None
        self.on_trip: Callable[[], None] = lambda: None
        self.dropped = 0
        self.trips = 0

    @property
    def usable(self) -> bool:
        """Whether the breaker is closed."""
        return self._usable

    @property
    def waiting(self) -> int:
        """How many operations were told and not yet sent."""
        return len(self._told)

    async def start(self) -> None:
        """Tries Redis for half a second at most; goes on trying in the background. Never raises."""
        try:
            await self._try_out(_START_SECONDS)
        except Exception as error:
            self._trip(error)

    async def ask(self, operation: Operation) -> tuple[int, Any] | None:
        """The server's time in milliseconds and the operation's reply; None where it did not come in time."""
        if not self._usable:
            self._look_after()
            return None
        future: asyncio.Future[tuple[int, Any] | None] = asyncio.get_running_loop().create_future()
        self._asked.append((operation, future))
        self._go()
        return await future

    def tell(self, operation: Operation) -> None:
        """Sends it soon, or once Redis is back. It must be one that changes nothing when it comes twice."""
        if len(self._told) >= _MOST_TOLD:
            self._told.popleft()
            self.dropped += 1
        self._told.append(operation)
        if not self._usable:
            self._look_after()
        elif self._kick is None and (self._task is None or self._task.done()):
            self._kick = asyncio.get_running_loop().call_later(_TOLD_TOGETHER_SECONDS, self._go)

    async def aclose(self) -> None:
        """Sends what was told, within half a second, and lets go of Redis."""
        if self._usable and self._told:
            self._go()
        self._closed = True
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=_CLOSE_SECONDS)
        if self._kick is not None:
            self._kick.cancel()
        tasks = [task for task in (self._task, self._probe) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._usable = False
        self._give_up()
        await self._let_go()

    def _go(self) -> None:
        if self._kick is not None:
            self._kick.cancel()
            self._kick = None
        if self._usable and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._send_all())

    async def _send_all(self) -> None:
        while self._usable and (self._asked or self._told):
            told = [self._told.popleft() for _ in range(min(len(self._told), _MOST_AT_ONCE))]
            most = 0 if self._told else _MOST_AT_ONCE  # whoever asks comes after all that was told
            asked = [self._asked.popleft() for _ in range(min(len(self._asked), most))]
            asked = [(operation, future) for operation, future in asked if not future.done()]  # others left
            replies: list[Any] | None = None
            try:
                # What was told goes first: money that comes back is there for those who ask.
                replies = await self._call([*told, *(operation for operation, _ in asked)])
            finally:
                if replies is None:
                    self._told.extendleft(reversed(told))
                for number, (_, future) in enumerate(asked, start=1 + len(told)):
                    if not future.done():
                        future.set_result(None if replies is None else (replies[0], replies[number]))

    async def _call(self, operations: list[Operation]) -> list[Any] | None:
        began, began_cpu = time.perf_counter(), time.process_time()
        try:
            async with asyncio.timeout(self._patience.left_seconds):
                replies = await self._run(operations)
        except (TimeoutError, RedisTimeout) as error:
            self._patience.gave_up(idle_seconds(began, began_cpu))
            if self._patience.over:
                self._trip(error)
            return None
        except Exception as error:  # whatever a client or a server comes up with
            self._trip(error)
            return None
        self._patience.answered(idle_seconds(began, began_cpu))
        if self._patience.over:
            self._trip(None)
        return replies

    async def _run(self, operations: list[Operation]) -> list[Any]:
        arguments = (self._prefix, orjson.dumps(operations), -1 if self._clock is None else self._clock())
        try:
            replies = await self._client.evalsha(_SHA, 1, *arguments)
        except NoScriptError:
            replies = await self._client.eval(_SCRIPT, 1, *arguments)
        if not isinstance(replies, list) or len(replies) != 1 + len(operations):
            raise ValueError("the script's answer is not as long as it should be")
        return replies

    # The breaker: `_usable` is its state, `_trip` opens it, `_mend` closes it.

    def _trip(self, error: BaseException | None) -> None:
        if self._usable or self._probe is None:
            self.trips += 1
            reason = (str(error) or "no answer in time") if error is not None else "it answers too slowly"
            log.warning("limits: Redis at %s is passed by, this process counts alone: %s", self._where, reason)
            relapsed = time.monotonic() - self._back_at < _RELAPSE_WITHIN_SECONDS
            self._rest = min(2 * self._rest, _LONGEST_REST_SECONDS) if relapsed else _FIRST_PAUSE_SECONDS
            self.on_trip()
        self._usable = False
        self._give_up()
        self._look_after()

    def _give_up(self) -> None:
        while self._asked:
            _, future = self._asked.popleft()
            if not future.done():
                future.set_result(None)

    def _look_after(self) -> None:
        if not self._closed and (self._probe is None or self._probe.done()):
            self._probe = asyncio.create_task(self._mend())

    async def _mend(self) -> None:
        pause = self._rest
        while True:
            await self._let_go()
            await asyncio.sleep(pause)
            pause = max(self._rest, min(2 * pause, _LONGEST_PAUSE_SECONDS))
            try:
                await self._try_out(_PROBE_SECONDS)
            except Exception as error:
                log.debug("limits: Redis at %s is still passed by: %s", self._where, error)
                continue
            log.info("limits: Redis at %s is back", self._where)
            return

    async def _try_out(self, seconds: float) -> None:
        """Sends what was told and waits, then sees an empty call answered quickly; raises where it is not so.

        Before anybody may ask again, Redis knows what this process spent without it.
        """
        async with asyncio.timeout(seconds):
            while self._told:
                waiting = [self._told[number] for number in range(min(len(self._told), _MOST_AT_ONCE))]
                await self._run(waiting)
                for _ in waiting:
                    self._told.popleft()
            began, began_cpu = time.perf_counter(), time.process_time()
            await self._run([["s", "probe", [], []]])
        if idle_seconds(began, began_cpu) > self._patience.quick_seconds:
            raise TimeoutError("it answers too slowly")
        self._patience.restore()
        self._usable, self._back_at = True, time.monotonic()

    async def _let_go(self) -> None:
        """Closes every connection: after a failure none can be trusted. The client opens new ones when asked."""
        try:
            await self._client.aclose()
        except Exception:
            log.debug("limits: closing connections to Redis at %s failed", self._where)
