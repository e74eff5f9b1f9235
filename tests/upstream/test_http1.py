"""The HTTP client keeps to RFC 9112 (framing, reuse, flow control, endings) over real sockets on both event loops."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from router.upstream.http1.decoding import MAX_DECODED_BYTES, Decoder
from router.upstream.http1.failures import BadAnswer, ConnectionLost, HttpFailure, TooLarge
from router.upstream.http1.pool import IDLE_SECONDS
from tests.upstream.wire import OK, a_pool, asked, begun, connection_to, request, saying, serving

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a test on a loop of its own: the gateway's is uvloop, a notebook's is asyncio's."""

    def on_a_loop(story: Coroutine[Any, Any, None]) -> None:
        factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(story)

    return on_a_loop


def chunked(*pieces: bytes, trailers: bytes = b"") -> bytes:
    framed = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return OK + b"transfer-encoding: chunked\r\n\r\n" + framed + b"0\r\n" + trailers + b"\r\n"


LENGTH = b"content-length: 2\r\n"

GOOD = {
    "a length": (OK + LENGTH + b"\r\nhi", 200, b"hi", True),
    "no body at all": (OK + b"content-length: 0\r\n\r\n", 200, b"", True),
    "chunks": (chunked(b"h", b"i"), 200, b"hi", True),
    "chunks with extensions": (
        OK + b"transfer-encoding: chunked\r\n\r\n2;a=b\r\nhi\r\n0\r\n\r\n",
        200,
        b"hi",
        True,
    ),
    "chunks with trailers": (chunked(b"hi", trailers=b"server-timing: x\r\nx: y\r\n"), 200, b"hi", True),
    "a status without reason": (b"HTTP/1.1 200\r\n" + LENGTH + b"\r\nhi", 200, b"hi", True),
    "100 before it": (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + LENGTH + b"\r\nhi", 200, b"hi", True),
    "103 before it": (
        b"HTTP/1.1 103 Early\r\ncontent-encoding: br\r\n\r\n" + OK + LENGTH + b"\r\nhi",
        200,
        b"hi",
        True,
    ),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    "304 that tells a length": (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", 304, b"", True),
    "an upgrade nobody takes": (OK + b"upgrade: h2c\r\nconnection: upgrade\r\n" + LENGTH + b"\r\nhi", 200, b"hi", True),
    "connection: close": (OK + b"connection: close\r\n" + LENGTH + b"\r\nhi", 200, b"hi", False),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\n" + LENGTH + b"\r\nhi", 200, b"hi", False),
    "HTTP/1.0 with keep-alive": (
        b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\n" + LENGTH + b"\r\nhi",
        200,
        b"hi",
        True,
    ),
    "a 500 with a body": (b"HTTP/1.1 500 No\r\n" + LENGTH + b"\r\nhi", 500, b"hi", True),
}


@pytest.mark.parametrize("cut", [False, True], ids=["at once", "byte by byte"])
@pytest.mark.parametrize("name", GOOD)
def test_an_answer_is_read_and_its_connection_kept_as_it_says(run: Run, name: str, cut: bool) -> None:
    sent, status, body, kept = GOOD[name]
    pieces = [sent[at : at + 1] for at in range(len(sent))] if cut else [sent]

    async def story() -> None:
        async with serving(saying(*pieces)) as served, a_pool() as pool:
            for _ in range(3):
                assert await asked(pool, served.origin) == (status, body)
            assert served.connections == (1 if kept else 3)

    run(story())


def test_an_answer_without_a_length_ends_with_its_connection(run: Run) -> None:
    async def story() -> None:
        async with serving(saying(OK + b"\r\n", b"hi", b" there", gap=0.01, then_close=True)) as served:
            async with a_pool() as pool:
                assert await asked(pool, served.origin) == (200, b"hi there")
                assert await asked(pool, served.origin) == (200, b"hi there")
                assert served.connections == 2

    run(story())


BAD = {
    "two lengths": OK + LENGTH + LENGTH + b"\r\nhi",
    "two lengths that differ": OK + LENGTH + b"content-length: 3\r\n\r\nhi!",
    "a list of lengths": OK + b"content-length: 2, 2\r\n\r\nhi",
    "a signed length": OK + b"content-length: +2\r\n\r\nhi",
    "an empty length": OK + b"content-length:\r\n\r\nhi",
    "a length beyond numbers": OK + b"content-length: 99999999999999999999999\r\n\r\nhi",
    "a length and chunks": OK + LENGTH + b"transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "chunks and a length": OK + b"transfer-encoding: chunked\r\n" + LENGTH + b"\r\n2\r\nhi\r\n0\r\n\r\n",
    "chunked twice": OK + b"transfer-encoding: chunked\r\n" * 2 + b"\r\n2\r\nhi\r\n0\r\n\r\n",
    "another transfer coding": OK + b"transfer-encoding: gzip\r\n\r\nhi",
    "a transfer coding below": OK + b"transfer-encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "something like chunked": OK + b"transfer-encoding: xchunked\r\n\r\nhi",
    "a chunk of no number": OK + b"transfer-encoding: chunked\r\n\r\nzz\r\nhi",
    "a chunk beyond numbers": OK + b"transfer-encoding: chunked\r\n\r\nffffffffffffffff1\r\nhi",
    "a chunk longer than it says": OK + b"transfer-encoding: chunked\r\n\r\n1\r\nhi\r\n0\r\n\r\n",
    "line feeds alone": b"HTTP/1.1 200 OK\ncontent-length: 2\n\nhi",
    "a folded header": OK + b"a: b\r\n c\r\n" + LENGTH + b"\r\nhi",
    "a space before a colon": OK + b"a : b\r\n" + LENGTH + b"\r\nhi",
    "a NUL in a header": OK + b"a: b\x00\r\n" + LENGTH + b"\r\nhi",
    "HTTP/2": b"HTTP/2 200\r\n\r\n",
    "another protocol": b"220 mail.example.com ESMTP\r\n",
    "101": b"HTTP/1.1 101 Switching\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\nhi",
    "a head without end": OK + b"a: " + b"b" * 200_000,
    "a large head": OK + b"".join(b"a%d: %b\r\n" % (number, b"b" * 1000) for number in range(100)) + LENGTH + b"\r\nhi",
    "interim answers without end": b"HTTP/1.1 103 Early\r\nlink: aaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n" * 5000,
    "a length among the trailers": chunked(b"hi", trailers=b"content-length: 9\r\n"),
    "trailers without end": chunked(b"hi")[:-2] + b"a: b\r\n" * 40_000,
    "a trailer without end": chunked(b"hi")[:-2] + b"a: " + b"b" * 400_000,
    "an encoding not asked for": OK + b"content-encoding: br\r\n" + LENGTH + b"\r\nhi",
    "two encodings": OK + b"content-encoding: gzip, gzip\r\n" + LENGTH + b"\r\nhi",
    "gzip that is none": OK + b"content-encoding: gzip\r\n" + LENGTH + b"\r\nhi",
}


@pytest.mark.parametrize("size", [3, 1 << 20], ids=["in shreds", "at once"])
@pytest.mark.parametrize("name", BAD)
def test_what_is_not_http_is_refused_and_its_connection_closed(run: Run, name: str, size: int) -> None:
    sent = BAD[name]
    size = size if len(sent) < 1000 else max(size, 4096)
    pieces = [sent[at : at + size] for at in range(0, len(sent), size)]

    async def story() -> None:
        async with serving(saying(*pieces)) as served, a_pool() as pool:
            with pytest.raises(BadAnswer):
                await asked(pool, served.origin)
            await served.until_left()

    run(story())


CUT = {
    "before any byte": (b"", False),
    "in the head": (OK + b"conte", True),
    "before the body": (OK + LENGTH + b"\r\n", True),
    "in the body": (OK + LENGTH + b"\r\nh", True),
    "in a chunk": (chunked(b"hi")[:-8], True),
    "before the last chunk": (chunked(b"hi")[:-5], True),
    "in the trailers": (chunked(b"hi")[:-2], True),
    "after 100": (b"HTTP/1.1 100 Continue\r\n\r\n", True),
}


@pytest.mark.parametrize("name", CUT)
def test_an_answer_cut_short_is_lost(run: Run, name: str) -> None:
    sent, began = CUT[name]

    async def story() -> None:
        async with serving(saying(sent, gap=0.01, then_close=True)) as served, a_pool() as pool:
            with pytest.raises(ConnectionLost) as raised:
                await asked(pool, served.origin)
            assert (raised.value.began, raised.value.reused) == (began, False)

    run(story())


@pytest.mark.parametrize("late", [False, True], ids=["with the answer", "later"])
@pytest.mark.parametrize(
    "stray",
    [OK + b"content-length: 6\r\n\r\npoison", b"H", b"poison", b"\x00"],
    ids=["an answer", "a letter", "words", "NUL"],
)
def test_bytes_nobody_asked_for_are_no_answer_to_the_next_request(run: Run, stray: bytes, late: bool) -> None:
    pieces = [OK + LENGTH + b"\r\nhi", stray] if late else [OK + LENGTH + b"\r\nhi" + stray]

    async def story() -> None:
        async with serving(saying(*pieces, gap=0.02)) as served, a_pool() as pool:
            for count in range(1, 4):
                assert await asked(pool, served.origin) == (200, b"hi")
                async with asyncio.timeout(5):
                    while served.open:  # noqa: ASYNC110 - the other side has no event to wait for
                        await asyncio.sleep(0.01)
                assert served.connections == count

    run(story())


def test_a_server_that_speaks_before_it_is_asked_is_not_listened_to(run: Run) -> None:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + LENGTH + b"\r\nno")
        await writer.drain()
        await asyncio.sleep(1)

    async def story() -> None:
        async with serving(talk) as served, a_pool() as pool:
            connection = await pool.connect(served.origin)
            await asyncio.sleep(0.05)
            with pytest.raises(BadAnswer):
                connection.begin(b"POST / HTTP/1.1\r\n\r\n", b"")

    run(story())


def test_the_connection_used_last_is_used_first_and_an_old_one_not_at_all(run: Run) -> None:
    async def story() -> None:
        async with serving(saying(OK + LENGTH + b"\r\nhi", gap=0.02)) as served, a_pool() as pool:
            await asyncio.gather(*(asked(pool, served.origin) for _ in range(3)))
            assert served.connections == served.open == 3
            used = set()
            for _ in range(3):
                connection = await connection_to(pool, served.origin)
                used.add(connection)
                response = connection.begin(b"POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n", b"")
                assert await response.rest(10) == b"hi"
            assert len(used) == 1
            later = asyncio.get_running_loop().time() + IDLE_SECONDS
            assert pool.take(served.origin, later) is None
            await served.until_left()

    run(story())


def test_a_kept_connection_that_was_closed_meanwhile_is_not_used(run: Run) -> None:
    async def story() -> None:
        async with serving(saying(OK + LENGTH + b"\r\nhi", then_close=True)) as served, a_pool() as pool:
            for count in range(1, 4):
                assert await asked(pool, served.origin) == (200, b"hi")
                await asyncio.sleep(0.02)
                assert served.connections == count

    run(story())


def test_a_kept_connection_that_closes_on_the_next_request_is_told_apart(run: Run) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(OK + LENGTH + b"\r\nhi")
        await request(reader)

    async def story() -> None:
        async with serving(talk) as served, a_pool() as pool:
            assert await asked(pool, served.origin) == (200, b"hi")
            with pytest.raises(ConnectionLost) as raised:
                await asked(pool, served.origin)
            assert raised.value.reused and not raised.value.began
            assert served.connections == 1, "the pool asks once"

    run(story())


def test_a_reader_who_falls_behind_holds_the_sender_back(run: Run) -> None:
    sent = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await request(reader)
        writer.write(OK + b"content-length: %d\r\n\r\n" % (64 << 20))
        for _ in range(64 << 4):
            writer.write(b"x" * (1 << 16))
            await writer.drain()
            sent += 1 << 16
        await request(reader)

    async def story() -> None:
        async with serving(talk) as served, a_pool() as pool:
            response = await begun(pool, served.origin)
            await asyncio.sleep(0.2)
            before = sent
            await asyncio.sleep(0.2)
            assert sent == before < 32 << 20, "nobody reads, and it is sent all the same"
            read = 0
            while piece := await response.read():
                read += len(piece)
                assert len(piece) < 1 << 20
            assert read == 64 << 20 == sent
            assert pool.take(served.origin, asyncio.get_running_loop().time()) is not None, "it is read from again"

    run(story())


@pytest.mark.parametrize("size", [0, 1, 256 * 1024, 256 * 1024 + 1, 10_000_000])
def test_a_body_of_any_size_goes_out_whole(run: Run, size: int) -> None:
    body, bodies = bytes(range(256)) * (size // 256) + b"x" * (size % 256), []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            bodies.append(await request(reader))
            writer.write(OK + LENGTH + b"\r\nhi")

    async def story() -> None:
        async with serving(talk) as served, a_pool() as pool:
            for _ in range(2):
                assert await asked(pool, served.origin, body) == (200, b"hi")
            assert served.connections == 1
        assert bodies == [body, body]

    run(story())


def test_an_answer_before_the_whole_body_was_sent_is_heard_and_the_connection_not_kept(run: Run) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 No\r\n" + LENGTH + b"\r\nno")
        await asyncio.sleep(2)

    async def story() -> None:
        async with serving(talk) as served, a_pool() as pool:
            assert await asked(pool, served.origin, b"x" * 60_000_000) == (413, b"no")
            await asyncio.sleep(0.05)
            assert pool.take(served.origin, asyncio.get_running_loop().time()) is None

    run(story())


@pytest.mark.parametrize("when", ["before the head", "in the body", "while it is sent"])
def test_who_gives_up_closes_the_connection(run: Run, when: str) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if when != "while it is sent":
            await request(reader)
            if when == "in the body":
                writer.write(OK + b"content-length: 100\r\n\r\nhi")
            await reader.read()
        else:
            while not writer.transport.is_closing():
                await asyncio.sleep(0.01)
                await reader.read(10)

    async def story() -> None:
        async with serving(talk) as served, a_pool() as pool:
            connection = await pool.connect(served.origin)
            body = b"x" * (30_000_000 if when == "while it is sent" else 2)
            response = connection.begin(b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(body), body)

            async def wait() -> None:
                await connection.send_rest(body)
                await response.rest(1000)

            waiting = asyncio.create_task(wait())
            await asyncio.sleep(0.05)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            response.close()
            await asyncio.wait_for(connection.closed, 1.0)
            if when != "while it is sent":
                await served.until_left()

    run(story())


def test_what_came_before_a_loss_is_still_read(run: Run) -> None:
    async def story() -> None:
        async with serving(saying(chunked(b"hi")[:-5], gap=0.05, then_close=True)) as served, a_pool() as pool:
            response = await begun(pool, served.origin)
            await asyncio.sleep(0.1)
            assert await response.read() == b"hi"
            with pytest.raises(ConnectionLost):
                await response.read()

    run(story())


def test_pieces_that_came_together_are_one_piece(run: Run) -> None:
    async def story() -> None:
        async with serving(saying(chunked(*[b"data: x\n\n"] * 500))) as served, a_pool() as pool:
            response = await begun(pool, served.origin)
            await asyncio.sleep(0.05)
            assert await response.read() == b"data: x\n\n" * 500
            assert await response.read() == b""

    run(story())


def test_more_than_the_reader_takes_is_not_taken(run: Run) -> None:
    async def story() -> None:
        async with serving(saying(OK + b"\r\n", *[b"x" * 100_000] * 100)) as served, a_pool() as pool:
            response = await begun(pool, served.origin)
            with pytest.raises(TooLarge):
                await response.rest(1_000_000)
            await served.until_left()

    run(story())


def deflated(text: bytes, window: int) -> bytes:
    packer = zlib.compressobj(wbits=window)
    return packer.compress(text) + packer.flush()


WORDS = b"the heron keeps its letters " * 400

ENCODED = {
    "gzip": (b"gzip", gzip.compress(WORDS)),
    "x-gzip": (b"x-gzip", gzip.compress(WORDS)),
    "gzip in two members": (b"GZIP", gzip.compress(WORDS[:999]) + gzip.compress(WORDS[999:])),
    "deflate": (b"deflate", zlib.compress(WORDS)),
    "deflate without its wrapper": (b"deflate", deflated(WORDS, -zlib.MAX_WBITS)),
    "identity": (b"identity", WORDS),
}


@pytest.mark.parametrize("name", ENCODED)
def test_an_encoded_answer_is_decoded(run: Run, name: str) -> None:
    encoding, body = ENCODED[name]
    head = OK + b"content-encoding: %b\r\ncontent-length: %d\r\n\r\n" % (encoding, len(body))
    sent = head + body

    async def story() -> None:
        for size in (7, len(sent)):
            async with serving(saying(*[sent[at : at + size] for at in range(0, len(sent), size)])) as served:
                async with a_pool() as pool:
                    assert await asked(pool, served.origin) == (200, WORDS)

    run(story())


def test_an_encoding_without_its_end_is_no_answer(run: Run) -> None:
    body = gzip.compress(WORDS)[:-9]

    async def story() -> None:
        sent = OK + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
        async with serving(saying(sent)) as served, a_pool() as pool:
            with pytest.raises(BadAnswer):
                await asked(pool, served.origin)

    run(story())


def test_a_bomb_does_not_go_off() -> None:
    bomb = gzip.compress(bytes(MAX_DECODED_BYTES + 1))
    assert len(bomb) < 1 << 17
    with pytest.raises(TooLarge):
        Decoder(b"gzip").decode(bomb)


def test_closing_the_pool_breaks_off_every_exchange_and_leaves_nothing_open(run: Run) -> None:
    async def story() -> None:
        async with serving(saying(OK + b"\r\nhi")) as served, a_pool() as pool:
            reading = await begun(pool, served.origin)
            assert await reading.read() == b"hi"
            waiting = asyncio.create_task(reading.read())
            await asyncio.sleep(0)
            await pool.aclose()
            with pytest.raises(HttpFailure):
                await waiting
            await served.until_left()

    run(story())


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=12), st.lists(st.integers(1, 300), max_size=8))
def test_however_an_answer_is_cut_on_the_wire_its_bytes_come_out_the_same(body: list[bytes], cuts: list[int]) -> None:
    sent = chunked(*body, trailers=b"x: y\r\n")
    ends = sorted({min(cut, len(sent)) for cut in cuts} | {0, len(sent)})
    pieces = [sent[start:end] for start, end in pairwise(ends)]

    async def story() -> None:
        async with serving(saying(*pieces, gap=0.0005)) as served, a_pool() as pool:
            for _ in range(2):
                assert await asked(pool, served.origin) == (200, b"".join(body))
            assert served.connections == 1

    asyncio.run(story())
