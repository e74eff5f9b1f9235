"""A stand-in for Redis that gives any reply at any pace, for faults that a real one cannot be brought to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class FixedReply:
    """Answers every command with the same bytes, after `delay_seconds`; with None it hangs up instead."""

    def __init__(self, reply: bytes | None, delay_seconds: float = 0.0) -> None:
        self.reply, self.delay_seconds = reply, delay_seconds
        self.commands = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readline():
                for _ in range(int(head[1:])):
                    size = await reader.readline()
                    await reader.readexactly(int(size[1:]) + 2)
                self.commands += 1
                await asyncio.sleep(self.delay_seconds)
                if self.reply is None:
                    return
                writer.write(self.reply)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def fixed_reply(reply: bytes | None, delay_seconds: float = 0.0) -> AsyncIterator[FixedReply]:
    """A `FixedReply` that listens for the time of a block."""
    standin = FixedReply(reply, delay_seconds)
    server = await asyncio.start_server(standin.serve, "127.0.0.1", 0)
    standin.url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield standin
    finally:
        server.close()
