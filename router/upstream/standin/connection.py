"""HTTP/1.1 as far as a stand-in needs it (RFC 9112): whole requests in, responses out byte by byte, faults included.

Written by hand since a proper server cannot be told to break off, go silent or forget the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

_REASONS = {200: "OK", 307: "Temporary Redirect", 400: "Bad Request", 404: "Not Found", 500: "Internal Server Error"}


class ClientLeft(Exception):
    """The client closed the connection while it was being answered."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request with its whole body; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Connection:
    """One client's connection: requests are read one after the other, and while one is answered its leaving is seen."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int):
        self.number = number
        self._reader, self._writer = reader, writer
        self._watch: asyncio.Task[bytes] | None = None
        self._chunked = False

    async def request(self) -> Request | None:
        """The next request; None when the client is gone instead."""
        try:
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, target, _version = head[0].split(" ", 2)
            pairs = (line.partition(":") for line in head[1:] if line)
            headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
            body = await self._body(headers)
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            return None
        self._watch = asyncio.create_task(self._reader.read(1))
        return Request(method, target.partition("?")[0], headers, body)

    async def _body(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return await self._reader.readexactly(int(headers.get("content-length", "0")))
        pieces = []
        while size := int((await self._reader.readuntil(b"\r\n")).split(b";")[0], 16):
            pieces.append(await self._reader.readexactly(size))
            await self._reader.readexactly(2)
        await self._reader.readuntil(b"\r\n")
        return b"".join(pieces)

    async def whole(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        """A response with its length."""
        self._head(status, {**headers, "content-length": str(len(body))})
        await self._send(body)

    async def part(self, status: int, length: int, body: bytes, headers: Mapping[str, str]) -> None:
        """The beginning of a response that promises `length` bytes."""
        self._head(status, {**headers, "content-length": str(length)})
        await self._send(body)

    async def begin_stream(self, headers: Mapping[str, str]) -> None:
        """The head of a response without a length."""
        self._chunked = True
        self._head(200, {**headers, "transfer-encoding": "chunked"})

    async def stream(self, piece: bytes) -> None:
        """One more piece of it."""
        await self._send(b"%x\r\n%s\r\n" % (len(piece), piece))

    async def end_stream(self) -> None:
        """Its proper end."""
        await self._send(b"0\r\n\r\n")

    async def pause(self, seconds: float | None) -> None:
        """Waits, for ever with None. Raises ClientLeft as soon as the client is gone."""
        assert self._watch is not None
        if self._watch.done() or seconds is None or seconds > 0:
            await asyncio.wait({self._watch}, timeout=seconds)
        if self._watch.done():
            raise ClientLeft

    async def rest(self) -> None:
        """The answer is out: stop watching, so that the next request can be read."""
        if self._watch is not None and not self._watch.done():
            self._watch.cancel()
            await asyncio.wait({self._watch})

    def close(self, *, abruptly: bool = False) -> None:
        if self._watch is not None:
            self._watch.cancel()
        if abruptly:
            self._writer.transport.abort()
        else:
            self._writer.close()

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))

    async def _send(self, data: bytes) -> None:
        self._writer.write(data)
        try:
            await self._writer.drain()
        except ConnectionError:
            raise ClientLeft from None
