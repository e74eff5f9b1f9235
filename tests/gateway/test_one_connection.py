"""Requests that share a connection, and callers who leave it: no answer is lost, misplaced or kept going for nobody."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import socket
from pathlib import Path
from typing import Any

import pytest

from router.api.connection import BoundedConnection
from router.api.exchange import Exchange
from router.upstream.standin import Reply, StandIn
from tests.gateway.conftest import House
from tests.running import POLICY, Running, chat_body, running


def request(text: str, *, more: bytes = b"", **members: Any) -> bytes:
    """A chat request whose length is announced, which takes the direct way. more: further header lines."""
    body = json.dumps(chat_body(text, **members)).encode()
    return _head(more + b"Content-Length: %d\r\n" % len(body)) + body


def in_chunks(text: str, **members: Any) -> bytes:
    """The same in chunks, which takes the ASGI way."""
    body = json.dumps(chat_body(text, **members)).encode()
    return _head(b"Transfer-Encoding: chunked\r\n") + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def _head(lines: bytes) -> bytes:
    return b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n"


async def connected(gateway: Running) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port_of(gateway))


def port_of(gateway: Running) -> int:
    return int(gateway.url.rpartition(":")[2])


@pytest.mark.parametrize("first", [request, in_chunks], ids=["direct", "asgi"])
async def test_who_leaves_with_a_second_request_waiting_has_left_the_first(
    house: House, first: Any, caplog: pytest.LogCaptureFixture
) -> None:
    house.small.script.append(Reply("on and on " * 500, pieces=100, gap_seconds=0.05))
    reader, writer = await connected(house.gateway)
    writer.write(first("hi", stream=True) + request("the second"))
    received = await house.small.received(1)
    await reader.readuntil(b"data: ")
    writer.transport.abort()
    await asyncio.wait_for(received.left.wait(), 3)
    [row] = await house.gateway.rows(1)
    assert (row["outcome"], row["status"]) == ("client_closed", 200)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


class Impatient(BoundedConnection):
    """Waits for a body for less time than the model of the test below takes."""

    body_seconds = 0.3


@pytest.mark.parametrize(
    ("second", "refusal"),
    [
        (request("the second")[:-3], b"408 "),
        (_head(b"Transfer-Encoding: chunked\r\n") + b"no size\r\n", b"400 "),
    ],
    ids=["never comes whole", "is malformed"],
)
@pytest.mark.parametrize("first", [request, in_chunks], ids=["direct", "asgi"])
async def test_a_second_request_whose_body_is_not_well_does_not_cost_the_first_its_answer(
    tmp_path: Path, first: Any, second: bytes, refusal: bytes
) -> None:
    model = StandIn("m", lambda text: f"you said {text}")
    model.script.append(Reply("the answer to the first", latency_seconds=0.8))
    async with (
        model.serve() as url,
        running(tmp_path, POLICY.format(small=url, large=url), connection=Impatient) as gateway,
    ):
        reader, writer = await connected(gateway)
        writer.write(first("hi") + second)
        answers = (await asyncio.wait_for(reader.read(), 10)).split(b"HTTP/1.1 ")
        writer.close()
        [row] = await gateway.rows(1)
    assert [answer[:4] for answer in answers[1:]] == [b"200 ", refusal]
    assert b"the answer to the first" in answers[1]
    assert row["outcome"] == "ok"


async def test_who_leaves_while_the_last_bytes_wait_for_room_broke_nothing(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.small.script.append(Reply("x" * 12_000_000, pieces=1))
    reader, writer = await connected(house.gateway)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(request("hi", stream=True))
    received = await house.small.received(1)
    await asyncio.wait_for(received.ended.wait(), 10)
    await asyncio.sleep(0.2)
    assert not reader.at_eof()
    writer.transport.abort()
    [row] = await house.gateway.rows(1)
    assert row["outcome"] in ("ok", "client_closed")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


class Strict(BoundedConnection):
    """Waits as little for a caller to go on reading as a test can bear."""

    stalled_seconds = 1.0


async def test_who_reads_nothing_of_an_answer_does_not_hold_its_model_for_ever(tmp_path: Path) -> None:
    model = StandIn("m", lambda text: "fine")
    model.script.append(Reply("x" * 60_000_000, pieces=600))
    async with (
        model.serve() as url,
        running(tmp_path, POLICY.format(small=url, large=url), connection=Strict) as gateway,
    ):
        _reader, writer = await connected(gateway)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(request("hi", stream=True))
        received = await model.received(1)
        await asyncio.wait_for(received.left.wait(), 5)
        [row] = await gateway.rows(1)
        writer.transport.abort()
    assert (row["outcome"], row["status"]) == ("client_closed", 200)


async def test_who_reads_slowly_is_served_to_the_end(tmp_path: Path) -> None:
    model = StandIn("m", lambda text: "fine")
    model.script.append(Reply("x" * 12_000_000, pieces=120))
    async with (
        model.serve() as url,
        running(tmp_path, POLICY.format(small=url, large=url), connection=Strict) as gateway,
    ):
        with socket.socket() as small:
            small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)  # else all of it is on its way at once
            small.setblocking(False)
            await asyncio.get_running_loop().sock_connect(small, ("127.0.0.1", port_of(gateway)))
            reader, writer = await asyncio.open_connection(sock=small)
            writer.write(request("hi", more=b"Connection: close\r\n", stream=True))
            tail = b""
            while piece := await reader.read(100_000):
                tail = tail[-100:] + piece
                await asyncio.sleep(0.02)
            writer.close()
        [row] = await gateway.rows(1)
    assert tail.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    assert row["outcome"] == "ok"


async def test_a_closed_connection_leaves_nothing_for_the_garbage_collector(house: House) -> None:
    gc.collect()
    gc.disable()
    try:
        for more in (b"", b"Connection: close\r\n"):
            reader, writer = await connected(house.gateway)
            writer.write(request("hi", more=more, padding="x" * 100_000))
            await reader.readuntil(b"\r\n\r\n")
            writer.close()
            await writer.wait_closed()
        reader, writer = await connected(house.gateway)
        writer.write(request("hi")[:-3])
        await asyncio.sleep(0.1)
        writer.transport.abort()
        await house.gateway.rows(2)
        await asyncio.sleep(0.2)
        assert not [thing for thing in gc.get_objects() if type(thing) is Exchange]
    finally:
        gc.enable()
