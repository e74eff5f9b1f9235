"""A stream that is being relayed: hands on whatever is there, and knows whether the end was the end.

The clock of a call is here too, and what a failed exchange means to the caller.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping

from router.domain import ModelSpec
from router.errors import UpstreamBroken, UpstreamClosed, UpstreamError, UpstreamUnreachable
from router.upstream.http1.failures import BadAnswer, ConnectionLost, HttpFailure, TooLarge
from router.upstream.http1.response import Response
from router.upstream.refusals import ran_out
from router.upstream.sse import ended_well

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""A plain answer, or what comes before a stream's first content, may have so many bytes."""

_TAIL_BYTES = 16 * 1024
"""How much of a stream's end is kept, to tell a whole stream from a truncated one: the finish, usage and `[DONE]`."""

_LINGER_SECONDS = 1.0
"""How long an upstream may take to end its response after `[DONE]`; longer, and the connection is not kept."""

_DONE = (b"[DONE]\n\n", b"[DONE]\r\n\r\n", b"[DONE]\n")


class Clock:
    """Watches one call with one timer: until `first_at` for an answer, then for silence; always for the total.

    All times are loop time, in seconds. When time runs out the response fails with UpstreamTimeout and is closed.
    """

    __slots__ = ("_ends", "_first_at", "_loop", "_model", "_response", "_timer")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, model: ModelSpec, response: Response, first_at: float, ends: float
    ):
        self._loop, self._model, self._response = loop, model, response
        self._first_at: float | None = first_at
        self._ends = ends
        self._timer = loop.call_at(first_at, self._look)

    def answer_began(self) -> None:
        """From now on it is silence that counts: how long the reader has waited since the last bytes."""
        if self._response.complete:
            self._timer.cancel()
        elif self._first_at is not None:
            self._first_at = None
            self._wait_until(min(self._loop.time() + self._model.timeouts.idle, self._ends))

    def stop(self) -> None:
        self._timer.cancel()

    def _wait_until(self, when: float) -> None:
        self._timer.cancel()
        self._timer = self._loop.call_at(when, self._look)

    def _look(self) -> None:
        now = self._loop.time()
        if (patience := self._first_at) is None:
            since = self._response.waiting_since
            patience = (now if since is None else max(since, self._response.heard)) + self._model.timeouts.idle
        if now < (until := min(patience, self._ends)):
            self._wait_until(until)
        elif until == self._ends:
            self._response.break_off(ran_out(self._model, "total"))
        else:
            self._response.break_off(ran_out(self._model, "first_token" if self._first_at is not None else "idle"))


class RelayedStream:
    """`contract.Answer` over a response whose first content is here. Its own iterator: one reader, once."""

    __slots__ = ("_clock", "_done", "_first", "_model", "_response", "_tail", "_tail_size", "headers")

    status = 200
    streamed = True

    def __init__(self, model: ModelSpec, response: Response, clock: Clock, headers: Mapping[str, str], first: bytes):
        """first: all bytes read so far, at least one."""
        self.headers = headers
        self._model, self._response, self._clock, self._first = model, response, clock, first
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self._done = False

    def chunks(self) -> AsyncIterator[bytes]:
        return self

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if chunk := self._first:
            self._first = b""
        elif not (chunk := self._response.take()):
            chunk = await self._read()
        self._done = chunk.endswith(_DONE) or (self._done and chunk.isspace())
        self._tail.append(chunk)
        self._tail_size += len(chunk)
        while self._tail_size - len(self._tail[0]) >= _TAIL_BYTES:
            self._tail_size -= len(self._tail.popleft())
        return chunk

    async def aclose(self) -> None:
        """Closes the connection unless the response came to its end; then it may serve another call already."""
        self._clock.stop()
        self._response.close()

    async def _read(self) -> bytes:
        """The next bytes. Raises StopAsyncIteration at the end of a whole stream."""
        error: UpstreamError | None = None
        try:
            if self._done and not self._response.complete:
                async with asyncio.timeout(_LINGER_SECONDS):
                    chunk = await self._response.read()
            else:
                chunk = await self._response.read()
            if chunk:
                return chunk
        except UpstreamError as timeout:
            error = timeout
        except HttpFailure as failure:
            error = broken_by(self._model, failure)
        except TimeoutError:
            pass
        await self.aclose()
        if not ended_well(b"".join(self._tail)):
            raise error or UpstreamBroken(f"The upstream of model `{self._model.name}` broke off in mid-stream.")
        raise StopAsyncIteration


def broken_by(model: ModelSpec, failure: HttpFailure | OSError) -> UpstreamError:
    """Our error for a failed exchange. Where an answer had begun, the place is there but did not keep its word."""
    if isinstance(failure, TooLarge):
        return UpstreamBroken(f"The answer of model `{model.name}` is larger than {MAX_ANSWER_BYTES >> 20} MB.")
    if isinstance(failure, OSError):
        return UpstreamUnreachable(
            f"The upstream of model `{model.name}` cannot be reached ({type(failure).__name__})."
        )
    if isinstance(failure, ConnectionLost) and not failure.began:
        if failure.reused:
            return UpstreamClosed(f"The upstream of model `{model.name}` had closed a kept connection.")
        return UpstreamUnreachable(f"The upstream of model `{model.name}` cannot be reached ({failure.cause}).")
    if isinstance(failure, BadAnswer) and not failure.began:
        return UpstreamBroken(f"The upstream of model `{model.name}` does not speak HTTP as it should.")
    return UpstreamBroken(f"The upstream of model `{model.name}` broke its answer off.")
