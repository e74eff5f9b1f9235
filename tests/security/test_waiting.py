"""How long a connection is waited for: no request that dribbles in, and no body after its answer, keeps one open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from router.api.connection import BoundedConnection
from router.upstream.standin import StandIn
from tests.running import POLICY, Running, running
from tests.security.test_wire import BODY, HOST, chunked, get, post, talk

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Impatient(BoundedConnection):
    """Waits as little for requests as a test can bear."""

    head_seconds = body_seconds = 0.3


class Curt(BoundedConnection):
    """Waits as usual for requests, but not for what comes of them after their answers."""

    linger_seconds = 0.3


@asynccontextmanager
async def waiting_gateway(folder: Path, connection: type[BoundedConnection]) -> AsyncIterator[Running]:
    model = StandIn("m", lambda text: "fine")
    async with model.serve() as url:
        policy = POLICY.format(small=url, large=url)
        async with running(folder, policy, connection=connection, api_keys="acme:one") as gateway:
            yield gateway


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def impatient(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with waiting_gateway(tmp_path_factory.mktemp("impatient"), Impatient) as gateway:
        yield gateway


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def curt(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with waiting_gateway(tmp_path_factory.mktemp("curt"), Curt) as gateway:
        yield gateway


def port_of(gateway: Running) -> int:
    return int(gateway.url.rpartition(":")[2])


@pytest.mark.parametrize(
    ("begun", "expected"),
    [
        (b"", ("closed",)),  # and not a byte after it
        (b"\r\n", ("closed",)),
        (b"POST /v1/chat", ("408 request_timeout", "closed")),
        (b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nX: ", ("408 request_timeout", "closed")),
        (post(body=b"{", length=b"Content-Length: 60\r\n"), ("408 request_timeout", "closed")),
        (chunked(b"3c\r\n{"), ("408 request_timeout", "closed")),
        (post() + b"POST /v1/chat", ("200", "408 request_timeout", "closed")),
        (post() + b"\r\n", ("200", "closed")),
    ],
)
async def test_a_request_that_dribbles_in_is_not_waited_for(
    impatient: Running, begun: bytes, expected: tuple[str, ...]
) -> None:
    dribble = begun[-2:] if begun.endswith(b"\r\n") else b"a" if begun else b""
    assert await asyncio.to_thread(talk, port_of(impatient), begun, expected, dribble) == expected
    assert (await impatient.post("/v1/chat/completions", BODY, authorization="Bearer one")).status_code == 200


@pytest.mark.parametrize(
    "begun",
    [
        post(body=b"{", length=b"Content-Length: 1000000000\r\n"),
        post(body=b"{", length=b"Content-Length: 1000000\r\n").replace(b"Bearer one", b"Bearer wrong"),
        chunked((b"%x\r\n" % 100_000 + b" " * 100_000 + b"\r\n") * 110),
        get(b"/healthz", HOST + b"Content-Length: 1000000000\r\n"),
    ],
    ids=["too large", "without a key", "too large in chunks", "with a body that nobody reads"],
)
@pytest.mark.parametrize("dribble", [b"a", b"a" * 65536], ids=["a byte at a time", "64 KB at a time"])
async def test_what_still_comes_after_the_answer_is_not_listened_to_for_long(
    curt: Running, begun: bytes, dribble: bytes
) -> None:
    status = "413 body_too_large"
    if begun.startswith(b"GET"):
        status = "200"
    elif b"wrong" in begun:
        status = "401 invalid_api_key"
    if b"chunked" in begun:
        dribble = b"%x\r\n%s\r\n" % (len(dribble), dribble)
    expected = (status, "closed")
    assert await asyncio.to_thread(talk, port_of(curt), begun, expected, dribble) == expected
