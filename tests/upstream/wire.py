"""Servers of bytes for the tests of the HTTP client: each connection is a function over its reader and writer."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from router.upstream.http1.connection import Connection
from router.upstream.http1.dialing import Origin
from router.upstream.http1.pool import Pool
from router.upstream.http1.response import Response

HEAD = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
ENOUGH = 64 * 1024 * 1024

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Served:
    """A server that listens. connections: how many came; open: how many are there now."""

    origin: Origin = field(default_factory=lambda: Origin(False, "", 0))
    connections: int = 0
    open: int = 0

    async def until_left(self) -> None:
        """Waits until every client is gone, a second at most."""
        async with asyncio.timeout(1.0):
            while self.open:  # noqa: ASYNC110
                await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def serving(talk: Talk, tls: ssl.SSLContext | None = None) -> AsyncIterator[Served]:
    """`talk` for every connection; those that are open at the end are cut."""
    served, talks = Served(), set[asyncio.Task[None]]()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        served.connections += 1
        served.open += 1
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
            pass
        finally:
            served.open -= 1
            writer.transport.abort()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    served.origin = Origin(tls is not None, "127.0.0.1", server.sockets[0].getsockname()[1])
    try:
        yield served
    finally:
        server.close()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
        await server.wait_closed()
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def a_pool() -> AsyncIterator[Pool]:
    pool = Pool(asyncio.get_running_loop())
    try:
        yield pool
    finally:
        await pool.aclose()


async def request(reader: asyncio.StreamReader) -> bytes:
    """Reads one request, and gives its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return await reader.readexactly(int(length.partition(b":")[2]))


def saying(*pieces: bytes, gap: float = 0.0, then_close: bool = False) -> Talk:
    """Answers every request of a connection with these pieces."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await request(reader)
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                if gap:
                    await asyncio.sleep(gap)
            if then_close:
                return

    return talk


async def connection_to(pool: Pool, origin: Origin) -> Connection:
    """A kept connection, or a new one."""
    now = asyncio.get_running_loop().time()
    return pool.take(origin, now) or await pool.connect(origin)


async def begun(pool: Pool, origin: Origin, body: bytes = b"{}") -> Response:
    """An answer whose head is here."""
    connection = await connection_to(pool, origin)
    response = connection.begin(HEAD % len(body), body)
    await connection.send_rest(body)
    await response.head()
    return response


async def asked(pool: Pool, origin: Origin, body: bytes = b"{}") -> tuple[int, bytes]:
    """Status and body of one exchange."""
    async with asyncio.timeout(5.0):
        response = await begun(pool, origin, body)
        return response.status, await response.rest(ENOUGH)
