"""The replaying upstream: a raw little HTTP server that sends the answer whose name stands in the request.

Pieces of a stream go out one by one, so that they also arrive as pieces. It answers what it is asked for: usage in a
stream only where `stream_options.include_usage` says so. A request without such a name gets a 404.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httptools

from tests.clients.answers import Answer
from tests.clients.wire import Message, Reader

ASKED_BY = "Please replay the answer named {}."
_NAMED = re.compile(rb"replay the answer named ([a-z0-9-]+)")
_UNKNOWN = b'{"error":{"message":"No such answer.","type":"invalid_request_error","param":null,"code":null}}'
_PAUSE_SECONDS = 0.001
_MANY_PIECES = 40
"""A stream in more pieces than this pauses only now and then, so that it does not take seconds."""


def named_in(body: bytes) -> str | None:
    """The answer that this request asks for."""
    found = _NAMED.search(body)
    return found[1].decode() if found else None


class Replay:
    """Serves `answers` by name."""

    def __init__(self, answers: Mapping[str, Answer]):
        self._answers = answers
        self._open: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[tuple[str, int]]:
        """Listens on a free port of loopback; yields host and port."""
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        try:
            yield "127.0.0.1", server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for task in self._open:
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        gathered = Reader()
        parser = httptools.HttpRequestParser(gathered)
        answered = 0
        try:
            while piece := await reader.read(65536):
                parser.feed_data(piece)
                while answered < len(gathered.messages) and gathered.messages[answered].whole:
                    await self._answer(gathered.messages[answered], writer)
                    answered += 1
        except (asyncio.CancelledError, ConnectionError, httptools.HttpParserError):
            pass  # the caller left, or nobody is asking any more
        finally:
            writer.close()
            self._open.discard(task)

    async def _answer(self, request: Message, writer: asyncio.StreamWriter) -> None:
        answer = self._answers.get(named_in(request.body) or "")
        asked = json.loads(request.body) if request.body else {}
        if answer is None or not request.head.endswith("/chat/completions"):
            return await _send(writer, 404, "application/json", [_UNKNOWN])
        if not asked.get("stream") or answer.status != 200:
            assert answer.plain is not None, f"{answer.name} is only a stream"
            return await _send(writer, answer.status, "application/json", [answer.plain])
        usage = (asked.get("stream_options") or {}).get("include_usage") is True
        await _send(writer, 200, "text/event-stream; charset=utf-8", answer.stream(usage=usage), answer.lingers)


async def _send(
    writer: asyncio.StreamWriter, status: int, content_type: str, pieces: list[bytes], lingers: float | None = None
) -> None:
    """lingers: none for a body of known length."""
    chunked = lingers is not None
    framing = "transfer-encoding: chunked" if chunked else f"content-length: {sum(map(len, pieces))}"
    writer.write(f"HTTP/1.1 {status} Replayed\r\ncontent-type: {content_type}\r\n{framing}\r\n\r\n".encode())
    for number, piece in enumerate(pieces):
        writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        await writer.drain()
        if number % (1 + len(pieces) // _MANY_PIECES) == 0:
            await asyncio.sleep(_PAUSE_SECONDS)
    if lingers is not None:
        await asyncio.sleep(lingers)
        writer.write(b"0\r\n\r\n")
    await writer.drain()
