"""A stream that is being relayed: reads whatever is there, watches the clock, and knows whether the end was the end."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping

import aiohttp

from router.domain import ModelSpec
from router.errors import UpstreamBroken, UpstreamError, UpstreamTimeout, UpstreamUnreachable
from router.upstream.refusals import ran_out
from router.upstream.sse import ended_well

_TAIL_BYTES = 16 * 1024
"""How much of a stream's end is kept, to tell a whole stream from a truncated one: the finish, usage and `[DONE]`."""

_LINGER_SECONDS = 1.0
"""How long an upstream may take to end its response after `[DONE]`; longer, and the connection is not kept."""

_DONE = (b"[DONE]\n\n", b"[DONE]\r\n\r\n", b"[DONE]\n")


class RelayedStream:
    """`contract.Answer` over an aiohttp response whose first content is here. Its own iterator: one reader, once.

    One timer serves all chunks: it looks now and then whether somebody has waited for too long.
    """

    status = 200
    streamed = True

    def __init__(
        self, model: ModelSpec, response: aiohttp.ClientResponse, headers: Mapping[str, str], first: bytes, ends: float
    ):
        """first: all bytes read so far. ends: loop time at which the total timeout runs out."""
        self.headers = headers
        self._model, self._response, self._first, self._ends = model, response, first, ends
        self._loop = asyncio.get_running_loop()
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self._done = False
        self._waits_since: float | None = None
        self._timed_out: UpstreamTimeout | None = None
        self._timer = self._loop.call_at(min(self._loop.time() + model.timeouts.idle, ends), self._look_at_clock)

    def chunks(self) -> AsyncIterator[bytes]:
        return self

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._first:
            chunk, self._first = self._first, b""
        else:
            chunk = await self._read()
        if not chunk:
            raise StopAsyncIteration
        self._done = chunk.endswith(_DONE)
        self._tail.append(chunk)
        self._tail_size += len(chunk)
        while self._tail_size - len(self._tail[0]) >= _TAIL_BYTES:
            self._tail_size -= len(self._tail.popleft())
        return chunk

    async def aclose(self) -> None:
        """Closes the connection unless the response was read to its end; then it is in the pool already."""
        self._timer.cancel()
        self._response.close()

    async def _read(self) -> bytes:
        """The next bytes; empty at the end of a whole stream."""
        try:
            if self._done:
                async with asyncio.timeout(_LINGER_SECONDS):
                    chunk = await self._response.content.readany()
            else:
                self._waits_since = self._loop.time()
                chunk = await self._response.content.readany()
                self._waits_since = None
            if chunk:
                return chunk
            error: UpstreamError | None = None
        except (
            aiohttp.ClientError,
            OSError,
            RuntimeError,
            UpstreamTimeout,
        ) as foreign:  # RuntimeError: closed under us
            error = self._timed_out or broken_by(self._model, foreign, began=True)
        await self.aclose()
        if not ended_well(b"".join(self._tail)):
            raise error or UpstreamBroken(f"The upstream of model `{self._model.name}` broke off in mid-stream.")
        return b""

    def _look_at_clock(self) -> None:
        now, idle = self._loop.time(), self._model.timeouts.idle
        patience = (now if self._waits_since is None else self._waits_since) + idle
        if now < min(patience, self._ends):
            self._timer = self._loop.call_at(min(patience, self._ends), self._look_at_clock)
            return
        self._timed_out = ran_out(self._model, "total" if now >= self._ends else "idle")
        self._response.content.set_exception(self._timed_out)
        self._response.close()


def broken_by(model: ModelSpec, error: Exception, *, began: bool) -> UpstreamError:
    """Our error for one of aiohttp's. began: an answer had begun, so the place is there but did not keep its word."""
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return ran_out(model, "connect")
    if isinstance(error, aiohttp.InvalidURL):
        return UpstreamBroken(f"The base_url of model `{model.name}` cannot be used.")
    if isinstance(error, aiohttp.ClientConnectionError | OSError) and not began:
        return UpstreamUnreachable(f"The upstream of model `{model.name}` cannot be reached ({type(error).__name__}).")
    if began:
        return UpstreamBroken(f"The upstream of model `{model.name}` broke its answer off.")
    return UpstreamBroken(f"The upstream of model `{model.name}` does not speak HTTP as it should.")
