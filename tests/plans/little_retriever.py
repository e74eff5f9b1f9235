"""A retriever for tests: a real little server that writes down what it was asked."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any


class LittleRetriever:
    """Answers each POST with `answer` (JSON-able, or bytes as they are). status, delay_seconds: may be set at any time.

    asked: the bodies, parsed; heads: the heads, as text. left: how many clients went before they were answered.
    """

    def __init__(self, answer: Any = None, *, status: int = 200, delay_seconds: float = 0.0):
        self.answer: Any = {"passages": ["Staff have 30 days of leave a year."]} if answer is None else answer
        self.status, self.delay_seconds = status, delay_seconds
        self.asked: list[dict[str, Any]] = []
        self.heads: list[str] = []
        self.left = 0
        self.connections = 0

    @property
    def queries(self) -> Sequence[str]:
        return [body["query"] for body in self.asked]

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """Listens on the loopback while the block runs; gives the URL to ask."""
        tasks: set[asyncio.Task[None]] = set()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            self.connections += 1
            try:
                while True:
                    await self._answer_one(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                pass
            finally:
                tasks.discard(task)
                writer.transport.abort()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/search"
        finally:
            server.close()
            for task in list(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await server.wait_closed()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(line for line in head.lower().split("\r\n") if line.startswith("content-length:"))
        self.asked.append(json.loads(await reader.readexactly(int(length.partition(":")[2]))))
        self.heads.append(head)
        if self.delay_seconds:
            gone = asyncio.ensure_future(reader.read(1))
            done, _ = await asyncio.wait({gone}, timeout=self.delay_seconds)
            if done:
                self.left += 1
                raise ConnectionResetError
            gone.cancel()
        body = self.answer if isinstance(self.answer, bytes) else json.dumps(self.answer).encode()
        writer.write(b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\n" % self.status)
        writer.write(b"content-length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
