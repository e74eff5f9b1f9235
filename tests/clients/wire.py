"""A byte-level recorder: passes TCP bytes on as they come, keeps both directions, and reads them as HTTP afterwards.

It stands before a server and knows nothing of what is said. What of it must be the same is for `laws`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import zip_longest

import httptools


@dataclass
class Message:
    """One HTTP message as it was on the wire. head: the request target, or the status. body: without its framing."""

    head: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    whole: bool = False


@dataclass(frozen=True)
class Exchange:
    """A request and what was answered."""

    request: Message
    answer: Message


class Wire:
    """What passed, connection by connection."""

    def __init__(self, host: str, port: int):
        self._to = (host, port)
        self._connections: list[tuple[bytearray, bytearray]] = []
        self._open: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """Listens on a free port of loopback; yields `http://host:port`."""
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            for task in self._open:
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)

    def exchanges(self) -> list[Exchange]:
        """All exchanges so far, connection by connection; what was never answered has an empty answer."""
        found: list[Exchange] = []
        for up, down in self._connections:
            both = zip_longest(read_requests(bytes(up)), read_answers(bytes(down)), fillvalue=Message())
            found += [Exchange(request, answer) for request, answer in both]
        return found

    def bytes_up(self) -> bytes:
        """All that callers sent, as it was."""
        return b"".join(bytes(up) for up, _ in self._connections)

    def bytes_down(self) -> bytes:
        """All that callers were sent, as it was."""
        return b"".join(bytes(down) for _, down in self._connections)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        kept = (bytearray(), bytearray())
        self._connections.append(kept)
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._to)
            ways = (_pass_on(reader, far_writer, kept[0]), _pass_on(far_reader, writer, kept[1]))
            await asyncio.gather(*ways, return_exceptions=True)
        except (asyncio.CancelledError, ConnectionError):
            pass  # the recording is over
        finally:
            writer.close()
            self._open.discard(task)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bytearray) -> None:
    try:
        while piece := await reader.read(65536):
            kept += piece
            writer.write(piece)
            await writer.drain()
    finally:
        writer.close()


class Reader:
    """Callbacks of httptools: gathers messages."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._pieces: list[bytes] = []

    def on_message_begin(self) -> None:
        self.messages.append(Message())
        self._pieces = []

    def on_url(self, url: bytes) -> None:
        self.messages[-1].head += url.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        self.messages[-1].headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self.messages[-1].body = b"".join(self._pieces)

    def on_message_complete(self) -> None:
        self.messages[-1].whole = True


def read_requests(raw: bytes) -> list[Message]:
    """The requests on one connection, pipelined or one after the other."""
    reader = Reader()
    httptools.HttpRequestParser(reader).feed_data(raw)
    return reader.messages


def read_answers(raw: bytes) -> list[Message]:
    """The answers on one connection; each `head` is the status."""

    class Answers(Reader):
        def on_headers_complete(self) -> None:
            self.messages[-1].head = str(parser.get_status_code())

    reader = Answers()
    parser = httptools.HttpResponseParser(reader)
    parser.feed_data(raw)
    return reader.messages
