"""Finds a host and opens a connection to it: names kept for a minute, IPv6 and IPv4 raced (RFC 8305), TLS checked."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from itertools import chain, zip_longest
from typing import Any, NamedTuple

NAMES_KEPT_SECONDS = 60.0
_NEXT_ADDRESS_SECONDS = 0.25
"""RFC 8305 5: how long an address may try alone before the next one sets out as well."""

Address = tuple[int, Any]
"""A socket's family, and the address in the form of that family."""


class Origin(NamedTuple):
    """Where a connection goes. host: as DNS has it, or an IP address without brackets."""

    secure: bool
    host: str
    port: int


class Dialer:
    """Opens connections for one event loop. Errors are `OSError`s (`ssl.SSLError` is one); time limits the caller's."""

    def __init__(self, loop: asyncio.AbstractEventLoop):
        self._loop = loop
        self._known: dict[tuple[str, int], tuple[float, list[Address]]] = {}
        self._asking: dict[tuple[str, int], asyncio.Task[list[Address]]] = {}
        self._tls: ssl.SSLContext | None = None

    async def dial(self, origin: Origin, protocol: asyncio.Protocol) -> None:
        """Connects `protocol`. Nothing stays open where this raises."""
        if origin.secure and self._tls is None:
            self._tls = await asyncio.to_thread(tls_context)
        try:
            connected = await first_of(self._loop, await self._addresses(origin.host, origin.port))
        except OSError:
            self._known.pop((origin.host, origin.port), None)
            raise
        try:
            if origin.secure:
                name = origin.host.rstrip(".")
                await self._loop.create_connection(
                    lambda: protocol, sock=connected, ssl=self._tls, server_hostname=name
                )
            else:
                await self._loop.create_connection(lambda: protocol, sock=connected)
        except BaseException:
            connected.close()
            raise

    def close(self) -> None:
        """Whoever still waits for a name is cancelled."""
        for asking in self._asking.values():
            asking.cancel()

    async def _addresses(self, host: str, port: int) -> list[Address]:
        for family in (socket.AF_INET, socket.AF_INET6):
            try:
                socket.inet_pton(family, host)
            except OSError:
                continue
            return [(family, (host, port))]
        key = host, port
        until, addresses = self._known.get(key, (0.0, []))
        if addresses and self._loop.time() < until:
            return addresses
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = self._loop.create_task(self._ask(host, port))
            asking.add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(asking)

    async def _ask(self, host: str, port: int) -> list[Address]:
        found = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = mixed([(family, address) for family, _, _, _, address in found])
        self._known[host, port] = self._loop.time() + NAMES_KEPT_SECONDS, addresses
        return addresses


def tls_context() -> ssl.SSLContext:
    """Checks names and certificates against the system's store, or SSL_CERT_FILE and SSL_CERT_DIR where set."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def mixed(addresses: list[Address]) -> list[Address]:
    """The families take turns, beginning with the first one's."""
    if not addresses:
        raise OSError("no address")
    first = [address for address in addresses if address[0] == addresses[0][0]]
    others = [address for address in addresses if address[0] != addresses[0][0]]
    return [address for address in chain(*zip_longest(first, others)) if address is not None]


async def first_of(loop: asyncio.AbstractEventLoop, addresses: list[Address]) -> socket.socket:
    """The first socket that connects. Raises the last OSError where none does."""
    if len(addresses) == 1:
        return await _connected(loop, *addresses[0])
    waiting, tries = deque(addresses), set[asyncio.Task[socket.socket]]()
    winner: socket.socket | None = None
    error: BaseException = OSError("no address")
    try:
        while winner is None and (waiting or tries):
            if waiting:
                tries.add(loop.create_task(_connected(loop, *waiting.popleft())))
            pause = _NEXT_ADDRESS_SECONDS if waiting else None
            done, _ = await asyncio.wait(tries, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            for ended in done:
                if (failure := ended.exception()) is not None:
                    tries.discard(ended)
                    error = failure
                elif winner is None:
                    tries.discard(ended)
                    winner = ended.result()
    finally:
        for late in tries:
            late.cancel()
        for result in await asyncio.gather(*tries, return_exceptions=True):
            if isinstance(result, socket.socket):
                result.close()
    if winner is None:
        raise error
    return winner


async def _connected(loop: asyncio.AbstractEventLoop, family: int, address: Any) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setblocking(False)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(opened, address)
    except BaseException:
        opened.close()
        raise
    return opened
