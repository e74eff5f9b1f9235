"""A model in a process of its own that answers nobody until it is told to, so that a whole crowd is in flight at once.

`python -m tests.faults.held_model` says its port, then obeys lines on stdin: `count` (what it has heard, and what is
open now, as JSON) and `release`. Whoever asks after that is answered at once.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Coroutine
from typing import Any

from tests.faults.wire import open_many_files

PIECES, GAP_SECONDS = 8, 0.25

_CHUNK = b'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":['
_EVENT = _CHUNK + b'{"index":0,"delta":%s,%s}]}\n\n'
_WORD = _EVENT % (b'{"content":"word "}', b'"finish_reason":null')
_STOP = _EVENT % (b"{}", b'"finish_reason":"stop"')
_USAGE = b'"usage":{"prompt_tokens":5,"completion_tokens":8,"total_tokens":13}'
_LAST = _CHUNK + b"]," + _USAGE + b"}\n\n"
_PLAIN = (
    b'{"id":"1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"words"},"finish_reason":"stop"}],' + _USAGE + b"}"
)


class HeldModel:
    """calls: heard so far; busy: not yet done with; open: connections."""

    def __init__(self) -> None:
        self.calls = self.busy = self.open = 0
        self._released = asyncio.Event()

    def release(self) -> None:
        """Lets all answers go."""
        self._released.set()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, kept open from call to call."""
        self.open += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
                body = json.loads(await reader.readexactly(length))
                self.calls += 1
                self.busy += 1
                try:
                    await self._answer(body, reader, writer)
                finally:
                    self.busy -= 1
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            writer.transport.abort()

    async def _answer(self, body: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._wait(reader, self._released.wait())
        if not body.get("stream"):
            head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
            writer.write(head % len(_PLAIN) + _PLAIN)
            return await writer.drain()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(PIECES):
            writer.write(b"%x\r\n%s\r\n" % (len(_WORD), _WORD))
            await writer.drain()
            await self._wait(reader, asyncio.sleep(GAP_SECONDS))
        for event in (_STOP, _LAST, b"data: [DONE]\n\n"):
            writer.write(b"%x\r\n%s\r\n" % (len(event), event))
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    @staticmethod
    async def _wait(reader: asyncio.StreamReader, what: Coroutine[Any, Any, object]) -> None:
        """Waits for it, or raises ConnectionResetError as soon as the client has gone."""
        waiting, leaving = asyncio.create_task(what), asyncio.create_task(reader.read(1))
        try:
            await asyncio.wait({waiting, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if leaving.done():
                raise ConnectionResetError
        finally:
            waiting.cancel()
            leaving.cancel()
            await asyncio.gather(waiting, leaving, return_exceptions=True)


async def main() -> None:
    """Serves until stdin ends."""
    open_many_files()
    model, loop = HeldModel(), asyncio.get_running_loop()
    server = await asyncio.start_server(model.connected, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        if line == "release\n":
            model.release()
        print(json.dumps({"calls": model.calls, "busy": model.busy, "open": model.open}), flush=True)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
