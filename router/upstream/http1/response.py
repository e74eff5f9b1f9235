"""One answer as it comes in: its head, then its body in pieces, to one reader that may be slower than the wire."""

from __future__ import annotations

import asyncio

from router.upstream.http1.decoding import Decoder
from router.upstream.http1.failures import TooLarge

UNREAD_BYTES = 256 * 1024
"""With more than this unread the connection is not read from, so that the sender has to wait."""


class Response:
    """Filled by its connection, read by one reader. Everything raised out of it is what `fail` was given.

    status: 0 until the head is here. headers: names in lower case; the first of several with one name. complete: the
    last byte is here, read or not. received: bytes of the body so far. heard: loop time of the last bytes.
    waiting_since: since when the reader waits.
    """

    __slots__ = (
        "_error",
        "_limit",
        "_loop",
        "_paused",
        "_pieces",
        "_transport",
        "_unread",
        "_waiter",
        "complete",
        "decoder",
        "headers",
        "heard",
        "received",
        "status",
        "waiting_since",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport):
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.complete = False
        self.received = 0
        self.heard = 0.0
        self.waiting_since: float | None = None
        self.decoder: Decoder | None = None
        self._loop, self._transport = loop, transport
        self._pieces: list[bytes] = []
        self._unread = 0
        self._limit = 0
        self._paused = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def failed(self) -> bool:
        return self._error is not None

    def header(self, name: str) -> str | None:
        """One header's value; name in lower case."""
        value = self.headers.get(name.encode())
        return None if value is None else value.decode("latin-1")

    async def head(self) -> None:
        """Waits for status and headers."""
        while not self.status:
            if self._error is not None:
                raise self._error
            await self.wait()

    def take(self) -> bytes:
        """All that is here and was not read yet, as one piece; empty where nothing is."""
        pieces = self._pieces
        if not pieces:
            return b""
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._unread = 0
        if self._paused:
            self._resume()
        return data

    async def read(self) -> bytes:
        """The same, waiting until there is something; empty at the end."""
        while not (data := self.take()):
            if self._error is not None:
                raise self._error
            if self.complete:
                return b""
            await self.wait()
        return data

    async def rest(self, limit: int) -> bytes:
        """All that is not read yet, to the end. Raises TooLarge beyond `limit` bytes."""
        self._limit = limit = max(limit, 1)
        if self._unread > limit:
            raise TooLarge
        if self._paused:
            self._resume()
        while not self.complete:
            if self._error is not None:
                raise self._error
            await self.wait()
        return self.take()

    async def wait(self) -> None:
        """Until something changes."""
        self.waiting_since = self._loop.time()
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = self.waiting_since = None

    def close(self) -> None:
        """Breaks the answer off at once, unless it is complete; its connection may serve somebody else by then."""
        if not self.complete:
            self._transport.abort()

    def add(self, piece: bytes) -> None:
        """The connection has more of the body. Raises BadAnswer for what cannot be decoded."""
        if self.decoder is not None and not (piece := self.decoder.decode(piece)):
            return
        self._pieces.append(piece)
        self._unread += len(piece)
        self.received += len(piece)
        if self._limit and self._unread > self._limit:
            raise TooLarge

    def more_to_come(self) -> None:
        """The connection has handed over what came: whoever waits goes on, and a reader left behind is waited for."""
        if self._limit and self._pieces:
            return
        if self._unread > UNREAD_BYTES and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self.wake()

    def finish(self) -> None:
        """The connection has it all. Raises BadAnswer where the encoding has no end."""
        if self._error is not None:
            return
        if self.decoder is not None:
            self.decoder.finish()
        self.complete = True
        if self._paused:
            self._resume()
        self.wake()

    def fail(self, error: Exception, *, at_once: bool = False) -> None:
        """Nothing more comes. What was read by then is still handed out, but not with `at_once`."""
        if self.complete or self._error is not None:
            return
        self._error = error
        if at_once:
            self._pieces.clear()
        self.wake()

    def break_off(self, error: Exception) -> None:
        """Fails at once, and closes the connection."""
        self.fail(error, at_once=True)
        self.close()

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _resume(self) -> None:
        self._paused = False
        if not self._transport.is_closing():
            self._transport.resume_reading()
