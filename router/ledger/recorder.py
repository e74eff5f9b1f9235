"""Takes outcomes off the request path and writes them behind it, in batches; what cannot be written is counted.

`record` only appends to a queue. Everything slow (rows, float16, the database) happens in one background task, which
outlives a lost database: rows wait up to a bound and are tried again. Rows written and rows dropped always add up to
the outcomes recorded. How rows are stored is the store's business.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from itertools import chain
from typing import Literal

from router.domain import Outcome
from router.errors import RowsRefused, StoreAway, StoreError
from router.ledger.contract import Writer

log = logging.getLogger(__name__)

BATCH = 200
FLUSH_SECONDS = 0.2
RETRY_FIRST_SECONDS, RETRY_MOST_SECONDS = 0.25, 5.0


class Recorder:
    """The one writer of a gateway process.

    capacity: outcomes that may wait, in the queue and in the batch being written; beyond it new ones are dropped.
    on_drop: told how many were dropped, each time.
    """

    def __init__(self, store: Writer, *, capacity: int = 10_000, on_drop: Callable[[int], object] | None = None):
        self.dropped = 0
        """Outcomes given up so far."""
        self.written = 0
        """Outcomes that the database has."""
        self._store = store
        self._capacity = capacity
        self._on_drop = on_drop
        self._queue: deque[Outcome] = deque()
        self._chunks: deque[list[Outcome]] = deque()
        """The batch being written; more than one chunk only while a row at fault is looked for."""
        self._wake = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._opened = False
        self._well = True
        self._ending = False

    @property
    def state(self) -> Literal["ok", "degraded"]:
        """Whether the last write went well, for `/readyz`."""
        return "ok" if self._well else "degraded"

    @property
    def waiting(self) -> int:
        """Outcomes not yet written."""
        return len(self._queue) + sum(map(len, self._chunks))

    def record(self, outcome: Outcome) -> None:
        """Takes one finished outcome. Never raises, never waits."""
        if self._ending or self.waiting >= self._capacity:
            self._drop(1)
            return
        self._queue.append(outcome)
        self._wake.set()

    def knows(self, request_id: str, tenant: str) -> bool:
        """Whether a tenant's request waits to be written: feedback on it may come before its row is there."""
        waiting = chain(*self._chunks, self._queue)
        return any(outcome.request_id == request_id and outcome.tenant == tenant for outcome in waiting)

    def waiting_of(self, tenant: str) -> set[str]:
        """The ids of all requests of a tenant that wait to be written."""
        return {outcome.request_id for outcome in chain(*self._chunks, self._queue) if outcome.tenant == tenant}

    async def start(self) -> None:
        """Opens the store and begins to write. A database out of reach is tried again later; a foreign or newer one
        raises StoreError."""
        try:
            await self._open()
        except StoreAway as error:
            self._well = False
            self._wake.set()
            log.warning("the ledger waits for its database: %s", error)
        self._task = asyncio.create_task(self._run())

    async def flush(self) -> None:
        """Writes everything that waits now. Raises StoreAway where the database is away; the rows then wait on."""
        async with self._one_at_a_time:
            await self._open()
            while self._queue or self._chunks:
                if not self._chunks:
                    self._chunks.append([self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))])
                await self._write_first()
        self._well = True

    async def drain(self, timeout_seconds: float) -> None:
        """Takes nothing more and writes what waits; what is left after the timeout is dropped."""
        self._ending = True
        self._wake.set()
        task = self._task or asyncio.create_task(self._run())
        await asyncio.wait([task], timeout=timeout_seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if left := self.waiting:
            log.warning("%d outcomes were dropped at the end: the database did not take them", left)
            self._queue.clear()
            self._chunks.clear()
            self._drop(left)

    async def _run(self) -> None:
        pause = RETRY_FIRST_SECONDS
        while True:
            await self._wake.wait()
            if not self._ending:
                await asyncio.sleep(FLUSH_SECONDS)
            self._wake.clear()
            try:
                await self.flush()
                pause = RETRY_FIRST_SECONDS
            except Exception as error:
                if not isinstance(error, StoreError):  # no thread to be had, say: the rows wait all the same
                    log.exception("the ledger could not be written; it is tried again")
                elif self._well:
                    log.warning("the ledger waits for its database: %s", error)
                self._well = False
                self._wake.set()
                await asyncio.sleep(pause)
                pause = min(pause * 2, RETRY_MOST_SECONDS)
            if self._ending and not self.waiting:
                return

    async def _open(self) -> None:
        if not self._opened:
            await self._store.open()
            self._opened = True

    async def _write_first(self) -> None:
        """Writes the first chunk; where a row is at fault the chunk is halved, until that row goes alone."""
        chunk = self._chunks[0]
        try:
            await self._store.write(chunk)
        except RowsRefused as error:
            self._chunks.popleft()
            if len(chunk) == 1:
                log.error("outcome %s cannot be written: %s", chunk[0].request_id, error)
                self._drop(1)
            else:
                half = len(chunk) // 2
                self._chunks.extendleft((chunk[half:], chunk[:half]))
        else:
            self._chunks.popleft()
            self.written += len(chunk)

    def _drop(self, count: int) -> None:
        self.dropped += count
        if self._on_drop is not None:
            self._on_drop(count)
