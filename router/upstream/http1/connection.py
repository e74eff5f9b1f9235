"""One connection: writes a request in one go, parses what comes back, and knows whether it may be used again.

The parser is llhttp, which refuses doubtful framing. One exchange at a time; what arrives without having been asked
for ends the connection, since it would be taken for the answer to the next request (RFC 9112 11.1).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import httptools

from router.upstream.http1.decoding import Decoder
from router.upstream.http1.dialing import Origin
from router.upstream.http1.failures import BadAnswer, ConnectionLost, HttpFailure
from router.upstream.http1.response import Response

MAX_HEAD_BYTES = 64 * 1024
"""Status lines, headers and trailers of one exchange."""

_AT_ONCE_BYTES = 256 * 1024
"""Larger bodies are written in pieces of this, each when the one before has left."""


class _Refused(Exception):
    """Out of a parser's callback: the head breaks a rule of ours."""


class Connection(asyncio.Protocol):
    """origin: whom it goes to. released: called when it is free for the next exchange. lost: when it is no more."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        origin: Origin,
        released: Callable[[Connection], None],
        lost: Callable[[Connection], None],
    ):
        self.origin = origin
        self.idle_since = 0.0
        self.closed: Final[asyncio.Future[None]] = loop.create_future()
        self._loop, self._released, self._lost = loop, released, lost
        self._transport: asyncio.Transport | None = None
        self._response: Response | None = None
        self._failure: HttpFailure | None = None
        self._exchanges = 0
        self._writable = True
        self._pieces: list[bytes] = []
        self.on_body = self._pieces.append
        self._headers: dict[bytes, bytes] = {}
        self._fresh()
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)

    def _fresh(self) -> None:
        """Nothing has come of the next answer yet."""
        self._began = self._headed = self._interim = self._done = self._stray = False
        self._keeps = self._until_close = False
        self._head_bytes = self._idle_bytes = 0

    @property
    def made(self) -> bool:
        """Whether it has ever been open; then `closed` tells when it is no more."""
        return self._transport is not None

    @property
    def usable(self) -> bool:
        """Whether the next exchange may begin."""
        transport = self._transport
        return transport is not None and self._failure is None and not transport.is_closing()

    def begin(self, head: bytes, body: bytes) -> Response:
        """Sends a request: head, with its blank line, and body. A large body's end is left to `send_rest`.

        Raises HttpFailure where the connection is gone already.
        """
        transport = self._transport
        if transport is None or self._failure is not None or transport.is_closing():
            raise self._failure or ConnectionLost("closed", began=False, reused=self._exchanges > 0)
        self._fresh()
        self._exchanges += 1
        self._response = response = Response(self._loop, transport)
        self._headers = response.headers
        self._sent = len(body) <= _AT_ONCE_BYTES
        transport.write(head + body if self._sent else head)
        return response

    async def send_rest(self, body: bytes) -> None:
        """The body that was too large for one go, as fast as it is taken; stops when the answer comes first."""
        response, transport = self._response, self._transport
        if self._sent or response is None or transport is None:
            return
        for start in range(0, len(body), _AT_ONCE_BYTES):
            while not self._writable and not response.status and not response.failed:
                await response.wait()
            if response.status or response.failed:
                return
            transport.write(body[start : start + _AT_ONCE_BYTES])
        self._sent = True

    def abort(self) -> None:
        """Closes at once; whoever reads hears of it, and that it was not the other side's doing."""
        self._failure = self._failure or ConnectionLost("closed here", began=self._began, reused=False)
        if self._transport is not None:
            self._transport.abort()

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        response = self._response
        if response is None or self._parser is None:
            self._failure = BadAnswer("an answer nobody asked for", began=False)
            self.abort()
            return
        self._began = True
        response.heard = self._loop.time()
        failure: HttpFailure | None = None
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if not self._done:
                failure = BadAnswer("not HTTP", began=self._headed)
            self._stray = True
        try:
            if pieces := self._pieces:
                body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
                pieces.clear()
                self._idle_bytes = 0
                response.add(body)
            else:
                self._idle_bytes += len(data)
                if self._idle_bytes > MAX_HEAD_BYTES and not self._done:
                    failure = BadAnswer("a head without end", began=self._headed)
            if failure is not None:
                raise failure
            if self._done:
                self._end(response)
            else:
                response.more_to_come()
        except HttpFailure as broken:
            self._response = None
            response.fail(broken)
            self.abort()

    def eof_received(self) -> None:
        """The transport closes itself, and calls `connection_lost`."""

    def connection_lost(self, exc: Exception | None) -> None:
        response, self._response = self._response, None
        if response is not None:
            try:
                if exc is None and self._failure is None and self._until_close:
                    response.finish()
                else:
                    cause = "closed" if exc is None else type(exc).__name__
                    response.fail(self._failure or ConnectionLost(cause, began=self._began, reused=self._exchanges > 1))
            except HttpFailure as broken:
                response.fail(broken)
        self._parser = None  # it refers back to this object
        self._lost(self)
        if not self.closed.done():
            self.closed.set_result(None)

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        if self._response is not None:
            self._response.wake()

    # What the parser calls.

    def on_message_begin(self) -> None:
        if self._done:  # its body would be taken for more of this one's
            raise _Refused

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > MAX_HEAD_BYTES:
            raise _Refused
        if self._headed:  # a trailer, or of an answer too many
            return
        name = name.lower()
        if name not in self._headers:
            self._headers[name] = value
        elif name == b"transfer-encoding":
            raise _Refused

    def on_headers_complete(self) -> None:
        response, parser = self._response, self._parser
        if response is None or parser is None or self._headed:
            return
        status, headers = parser.get_status_code(), self._headers
        if status < 200:
            self._interim = True
            headers.clear()
            return
        if (coding := headers.get(b"transfer-encoding")) is not None and coding.strip().lower() != b"chunked":
            raise _Refused
        self._headed = True
        self._keeps = parser.should_keep_alive()
        self._until_close = coding is None and b"content-length" not in headers
        encoding = headers.get(b"content-encoding")
        if encoding is not None and encoding.strip().lower() not in (b"", b"identity"):
            response.decoder = Decoder(encoding)
        response.status = status

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
        else:
            self._done = True

    def _end(self, response: Response) -> None:
        response.finish()
        self._response = None
        if self._keeps and self._sent and not self._stray and self.usable:
            self._released(self)
        else:
            self.abort()
