"""Models that fail: stand-ins as a scene counts them, and one that answers with whatever bytes it is given."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from router.upstream.standin import Reply, StandIn


class Heard(StandIn):
    """A stand-in as `scene.Model`."""

    def __init__(self, name: str, answer: Callable[[str], Reply | str] = lambda text: f"You said: {text}"):
        super().__init__(name, answer)

    @property
    def calls(self) -> int:
        return len(self.journal)

    @property
    def busy(self) -> int:
        return sum(not entry.ended.is_set() for entry in self.journal)


class Raw:
    """A server that answers any request with the same pieces of bytes, then closes. gap: seconds between two pieces.

    reset: it does not close the connection, it throws it away (RST).
    """

    def __init__(self, *pieces: bytes, gap: float = 0.0, reset: bool = False):
        self.calls = self.busy = self.open_connections = 0
        self._pieces, self._gap, self._reset = pieces, gap, reset

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """Listens on the loopback while the block runs; gives `http://127.0.0.1:PORT`."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            await server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open_connections += 1
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.partition(b":")[2]))
            self.calls += 1
            self.busy += 1
            try:
                for piece in self._pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(self._gap)
            finally:
                self.busy -= 1
            if self._reset:
                writer.transport.abort()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open_connections -= 1
            writer.close()
