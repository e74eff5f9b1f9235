"""Keeps connections for the next request: the one used last is used first, and none idles for long."""

from __future__ import annotations

import asyncio

from router.upstream.http1.connection import Connection
from router.upstream.http1.dialing import Dialer, Origin

IDLE_SECONDS = 30.0


class Pool:
    """All connections of one event loop. As many as are asked for: how many calls a model takes is the policy's."""

    def __init__(self, loop: asyncio.AbstractEventLoop):
        self._loop = loop
        self._dialer = Dialer(loop)
        self._idle: dict[Origin, list[Connection]] = {}
        self._open: set[Connection] = set()
        self._sweeping: asyncio.TimerHandle | None = None
        self._closed = False

    def take(self, origin: Origin, now: float) -> Connection | None:
        """A kept connection, if there is one that nothing is known against. now: loop time."""
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if connection.usable and now - connection.idle_since < IDLE_SECONDS:
                return connection
            connection.abort()
        return None

    async def connect(self, origin: Origin) -> Connection:
        """A new connection. Raises OSError."""
        connection = Connection(self._loop, origin, self._release, self._lose)
        self._open.add(connection)
        try:
            await self._dialer.dial(origin, connection)
        except BaseException:
            connection.abort()
            self._open.discard(connection)
            raise
        if self._closed:
            connection.abort()
        return connection

    def drop(self, origin: Origin) -> None:
        """Closes what is kept for `origin`: one of them turned out to be dead, so the others may be."""
        for connection in self._idle.pop(origin, ()):
            connection.abort()

    async def aclose(self) -> None:
        """Closes every connection, also those that are being read from, and waits until they are."""
        self._closed = True
        if self._sweeping is not None:
            self._sweeping.cancel()
        self._dialer.close()
        made = [connection for connection in self._open if connection.made]
        for connection in made:
            connection.abort()
        self._idle.clear()
        if made:
            await asyncio.wait([connection.closed for connection in made])

    def _release(self, connection: Connection) -> None:
        if self._closed:
            connection.abort()
            return
        connection.idle_since = self._loop.time()
        self._idle.setdefault(connection.origin, []).append(connection)
        if self._sweeping is None:
            self._sweeping = self._loop.call_later(IDLE_SECONDS, self._sweep)

    def _lose(self, connection: Connection) -> None:
        self._open.discard(connection)
        idle = self._idle.get(connection.origin)
        if idle and connection in idle:
            idle.remove(connection)

    def _sweep(self) -> None:
        """The longest idle lie at the bottom."""
        self._sweeping = None
        now = self._loop.time()
        for origin, idle in list(self._idle.items()):
            old = [connection for connection in idle if now - connection.idle_since >= IDLE_SECONDS]
            self._idle[origin] = idle[len(old) :]
            for connection in old:
                connection.abort()
            if not self._idle[origin]:
                del self._idle[origin]
        if self._idle:
            self._sweeping = self._loop.call_later(IDLE_SECONDS / 3, self._sweep)
