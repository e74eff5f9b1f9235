"""A model that closes the connections it was thought to keep costs an attempt in the ledger, and the caller nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.scene import scene

POLICY = """
version: 1
models:
  m: {{tier: small, model: m, base_url: "{url}/v1", retries: 0}}
default: m
routes: {{auto: {{rules: []}}}}
"""
GOOD = (
    b'{"id":"1","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant",'
    b'"content":"hi"},"finish_reason":"stop"}]}'
)


class Forgetful:
    """Answers once on each connection, a moment later; the next request there is read, and answered by closing."""

    def __init__(self) -> None:
        self.calls = self.busy = self.open_connections = self.closed = 0
        self._talks: set[asyncio.Task[None] | None] = set()

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            await asyncio.gather(*(talk for talk in self._talks if talk is not None))
            await server.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._talks.add(asyncio.current_task())
        self.open_connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._request(reader)
            await asyncio.sleep(0.1)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(GOOD))
            writer.write(GOOD)
            await self._request(reader)
            self.closed += 1
            await asyncio.sleep(0.3)  # until all have sent
        self.open_connections -= 1
        writer.close()

    async def _request(self, reader: asyncio.StreamReader) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.partition(b":")[2]))
        self.calls += 1


@pytest.mark.parametrize("at_once", [1, 8])
async def test_a_kept_connection_that_is_closed_is_one_more_attempt(tmp_path: Path, at_once: int) -> None:
    model = Forgetful()
    async with model.serve() as url:
        async with scene(tmp_path, POLICY.format(url=url), model) as built:
            for _ in range(2):
                answers = await asyncio.gather(*(built.ask("m", f"{number}?") for number in range(at_once)))
                assert [answer.status_code for answer in answers] == [200] * at_once
            await built.add_up()
            assert model.closed == at_once
            rows = {row["request_id"]: row["attempts"] for row in await built.rows() if row["purpose"] == "chat"}
            assert [rows[answer.headers["x-request-id"]] for answer in built.answers] == [1] * at_once + [2] * at_once
            failed = [row for row in await built.rows() if row["purpose"] == "attempt"]
            assert {row["error_code"] for row in failed} == {"upstream_unreachable"} and len(failed) == at_once
