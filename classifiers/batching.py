"""One worker thread that takes what waits in batches: an encoder is cheaper by the dozen, and not for an event loop.

A batch begins as soon as the one before it is done; nothing waits for company. The newest items go first: where more
comes than can be done, the oldest miss their time anyway, and this way others do not.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

MOST = 16
"""Items in a batch."""
ROOM = 256
"""Items that may wait."""


class Full(Exception):
    """As much waits as may wait, or the batcher is closed."""


class Batcher(Generic[T, R]):
    """run(items) -> one result for each, in a thread of its own, at most `most` items and `heaviest` weight at a time.

    The weight of a batch is that of its heaviest item times their number, since encoders pad to the longest. seconds:
    how long a batch should take, by what the last ones took for their weight; one item alone may take longer. An item
    whose future was cancelled while it waited is not computed. What `run` raises, every item of its batch gets.
    prepare: called once, first, in the thread; `ready` has what came of it, and where it raised nothing is ever run.
    """

    def __init__(
        self,
        run: Callable[[Sequence[T]], Sequence[R]],
        *,
        weigh: Callable[[T], float] = lambda item: 1.0,
        heaviest: float = MOST,
        most: int = MOST,
        room: int = ROOM,
        seconds: float = math.inf,
        prepare: Callable[[], None] = lambda: None,
    ):
        self._prepare = prepare
        self.ready: Future[None] = Future()
        self._run, self._weigh = run, weigh
        self._heaviest, self._most, self._room, self._seconds = heaviest, most, room, seconds
        self._seconds_per_weight = 0.0
        self._waiting: deque[tuple[T, Future[R]]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="signalbox-encoder", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def submit(self, item: T) -> Future[R]:
        """The result to come. Raises Full."""
        future: Future[R] = Future()
        with self._changed:
            if self._closed or (len(self._waiting) >= self._room and not self._forget_cancelled()):
                raise Full
            self._waiting.append((item, future))
            self._changed.notify()
        return future

    def close(self, seconds: float = 5.0) -> bool:
        """Fails what waits with Full and ends the thread after the batch it is at; False where that took too long."""
        with self._changed:
            self._closed = True
            left = list(self._waiting)
            self._waiting.clear()
            self._changed.notify()
        for _, future in left:
            if future.set_running_or_notify_cancel():
                future.set_exception(Full())
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _forget_cancelled(self) -> bool:
        """Whether there is room again without those whose callers left."""
        self._waiting = deque(pair for pair in self._waiting if not pair[1].cancelled())
        return len(self._waiting) < self._room

    def _work(self) -> None:
        try:
            self._prepare()
        except BaseException as error:
            self.ready.set_exception(error)
            return
        self.ready.set_result(None)
        while batch := self._next():
            began = time.monotonic()
            try:
                results = self._run([item for item, _ in batch])
                if len(results) != len(batch):
                    raise RuntimeError(f"{len(results)} results for {len(batch)} items")
            except BaseException as error:  # the thread must outlive whatever it runs
                for _, future in batch:
                    future.set_exception(error)
            else:
                for (_, future), result in zip(batch, results, strict=True):
                    future.set_result(result)
                weight = max(1.0, *(self._weigh(item) for item, _ in batch)) * len(batch)
                self._seconds_per_weight += 0.2 * ((time.monotonic() - began) / weight - self._seconds_per_weight)
            batch.clear()  # texts are not kept until the next one comes

    def _next(self) -> list[tuple[T, Future[R]]]:
        """The next batch, none of it cancelled; empty once closed."""
        with self._changed:
            while True:
                heaviest = min(self._heaviest, self._seconds / max(self._seconds_per_weight, 1e-9))
                batch: list[tuple[T, Future[R]]] = []
                weight = 0.0
                while self._waiting and len(batch) < self._most:
                    item, future = self._waiting[-1]
                    heavier = max(weight, self._weigh(item))
                    if batch and heavier * (len(batch) + 1) > heaviest:
                        break
                    self._waiting.pop()
                    if future.set_running_or_notify_cancel():
                        batch.append((item, future))
                        weight = heavier
                if batch or self._closed:
                    return batch
                self._changed.wait()
