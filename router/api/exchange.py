"""One chat request and its answer straight on the connection, past ASGI: the way nearly every chat request goes.

`router.api.connection` opens an exchange for requests with a known key and a body of known length; all others, and
every other path, take the ASGI way. What a request means is `router.api.chat`'s on both.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Protocol

from router.answer_headers import Headers
from router.api.errors import error_answer
from router.entry import new_request_id
from router.errors import RequestError

log = logging.getLogger(__name__)

CHAT_URL = b"/v1/chat/completions"
DIRECT_BYTES = 1_000_000
"""Larger bodies take the ASGI way, where reading pauses while they come in."""

_UNUSUAL = frozenset({b"transfer-encoding", b"content-encoding", b"expect"})

_STATUS_LINES = {status: b"HTTP/1.1 %d %s\r\n" % (status, status.phrase.encode()) for status in HTTPStatus}

Answer = Callable[["Exchange"], Awaitable[None]]


class Connection(Protocol):
    """What an exchange needs of `BoundedConnection`."""

    transport: asyncio.Transport
    flow: Any

    def on_response_complete(self) -> None: ...


def goes_directly(url: bytes, method: bytes, version: str, headers: Headers) -> bool:
    """Whether this head begins a chat request that an exchange may take."""
    if url != CHAT_URL or method != b"POST" or version != "1.1":
        return False
    length = b""
    for name, value in headers:
        if name in _UNUSUAL:
            return False
        if name == b"content-length":
            length = value
    return length.isdigit() and int(length) <= DIRECT_BYTES


class Exchange:
    """`router.pipeline.Wire` on a connection of its own. Stands where uvicorn keeps its request-response cycle.

    The head of an answer goes out together with its first bytes, in one write.
    """

    def __init__(self, connection: Connection, answer: Answer, scope: Any, date: Headers, keep_alive: bool):
        self.request_id = new_request_id()
        self._answer = answer
        self._connection = connection
        self._transport = connection.transport
        self._date = date
        self._pieces: list[bytes] = []
        self._head = b""
        self._chunked = False
        self._journey: asyncio.Task[Any] | None = None
        self.gone = False
        # What uvicorn's connection reads and sets:
        self.scope = scope
        self.keep_alive = keep_alive
        self.response_started = False
        self.response_complete = False
        self.disconnected = False

    # --- the request coming in

    def take(self, piece: bytes) -> None:
        """A piece of the body, of which there is no more than its announced length."""
        self._pieces.append(piece)

    @property
    def body(self) -> bytes:
        """The whole body; `run` is called once it is there."""
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)

    async def run(self) -> None:
        """Answers; whatever happens, the connection is either ready for the next request or closed after it."""
        try:
            await self._answer(self)
        except ConnectionAbortedError as error:
            log.warning("%s: %s", self.request_id, error)
        except Exception:
            log.exception("request %s broke the gateway", self.request_id)
        finally:
            self._journey = None
            self._pieces.clear()
            if not self.response_complete:
                self._transport.close()

    @property
    def message_event(self) -> Exchange:
        """What uvicorn's connection calls `set` of."""
        return self

    def set(self) -> None:
        """How uvicorn's connection tells that it was lost, or that the server wants to end."""
        if self.disconnected and not self.response_complete:
            self.gone = True
            if self._journey is not None:
                self._journey.cancel()

    # --- the answer going out

    def watch(self) -> None:
        """From now on the journey is cancelled when the caller leaves."""
        self._journey = asyncio.current_task()
        if self.gone and self._journey is not None:
            self._journey.cancel()

    def close(self) -> None:
        """Ends the watch: whoever has the whole answer does not break it off by hanging up."""
        self._journey = None

    async def start(self, status: int, headers: Headers) -> None:
        self.response_started = True
        lines = [_STATUS_LINES[status]]  # type: ignore[index]
        self._chunked = True
        for name, value in (*self._date, *headers):
            lines += (name, b": ", value, b"\r\n")
            if name == b"content-length":
                self._chunked = False
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        if self._chunked:
            lines.append(b"transfer-encoding: chunked\r\n")
        lines.append(b"x-request-id: %b\r\n\r\n" % self.request_id.encode())
        self._head = b"".join(lines)

    async def write(self, chunk: bytes) -> None:
        flow = self._connection.flow
        if flow.write_paused and not self.disconnected:
            await flow.drain()
        if self.disconnected:
            return
        if self._chunked and chunk:
            chunk = b"%b%x\r\n%b\r\n" % (self._head, len(chunk), chunk)
        elif self._head:
            chunk = self._head + chunk
        self._head = b""
        self._transport.write(chunk)

    async def end(self, chunk: bytes = b"") -> None:
        self._journey = None
        flow = self._connection.flow
        if flow.write_paused and not self.disconnected:
            await flow.drain()
        if self.disconnected:
            return
        if not self._chunked:
            chunk = self._head + chunk
        elif chunk:
            chunk = b"%b%x\r\n%b\r\n0\r\n\r\n" % (self._head, len(chunk), chunk)
        else:
            chunk = self._head + b"0\r\n\r\n"
        self._head = b""
        self._transport.write(chunk)
        self.response_complete = True
        if not self.keep_alive:
            self._transport.close()
        self._connection.on_response_complete()

    async def fail(self, error: RequestError, headers: Headers) -> None:
        """Answers with the error; once an answer has begun, breaks it off so that it cannot pass for a whole one."""
        if self.response_started:
            raise ConnectionAbortedError("the answer broke off after it had begun")
        heads, body = error_answer(error)
        await self.start(error.status, [*headers, *heads])
        await self.end(body)
