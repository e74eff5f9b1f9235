"""Whatever befalls Redis, chats go on, the ledger adds up, and the cache comes back with it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError
from redis.retry import Retry

from tests.cache.fixed_reply import fixed_reply
from tests.faults.models import Heard
from tests.faults.scene import POOL, Scene, scene, until
from tests.faults.traffic import POLICY, chats, steady_chats
from tests.servers import RedisServer


def talk_to(server: RedisServer) -> Redis:
    return Redis(host="127.0.0.1", port=server.port, retry=Retry(NoBackoff(), 0))


def told(*command: str) -> Callable[[RedisServer], None]:
    """Says one command to the server."""

    def say(server: RedisServer) -> None:
        with talk_to(server) as client:
            client.execute_command(*command)

    return say


def other_types(server: RedisServer) -> None:
    """Puts a list in the place of every entry."""
    with talk_to(server) as client:
        for name in client.keys("signalbox:exact:*"):
            client.delete(name)
            client.rpush(name, "not", "an", "answer")


def corrupt(server: RedisServer) -> None:
    """Puts something unreadable in the place of every entry."""
    with talk_to(server) as client:
        for name in client.keys("signalbox:exact:*"):
            client.set(name, b"\x00\xff" * 40)


def loading(server: RedisServer) -> None:
    """Starts it again with so much to read that it answers everything with LOADING for seconds."""
    with talk_to(server) as client:
        client.mset({f"ballast {number}": os.urandom(10_000) for number in range(2000)})
        client.save()
    for delay in (1500, 4500):  # a busy machine may have it loaded before anybody looks
        server.kill()
        server.options = ("--key-load-delay", str(delay))  # it looks at its clients after every 2 MiB read
        server.start()
        with talk_to(server) as client:
            try:
                client.ping()
            except BusyLoadingError:
                return
    raise AssertionError("it was never seen loading")


def nothing(server: RedisServer) -> None:
    """It heals by itself."""


async def until_hit(built: Scene, text: str) -> None:
    """Asks the same until the answer comes out of the cache."""
    for _ in range(400):
        if (await built.ask("auto", text)).headers["x-signalbox-cache"] == "hit":
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it was never cached")


FAULTS: dict[str, tuple[Callable[[RedisServer], None], Callable[[RedisServer], None]]] = {
    "is killed, and comes back": (RedisServer.kill, RedisServer.start),
    "is paused": (RedisServer.pause, RedisServer.resume),
    "is full": (told("CONFIG", "SET", "maxmemory", "1"), told("CONFIG", "SET", "maxmemory", "0")),
    "is read-only": (told("REPLICAOF", "127.0.0.1", "1"), told("REPLICAOF", "NO", "ONE")),
    "is loading": (loading, nothing),
    "holds other types": (other_types, told("FLUSHALL")),
    "holds corrupt values": (corrupt, nothing),
    "forgets everything": (told("FLUSHALL"), nothing),
    "drops its clients": (told("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"), nothing),
}


@pytest.mark.parametrize(("hurt", "mend"), FAULTS.values(), ids=FAULTS)
async def test_chats_go_on_while_redis(
    tmp_path: Path,
    redis_process: Callable[..., RedisServer],
    hurt: Callable[[RedisServer], None],
    mend: Callable[[RedisServer], None],
) -> None:
    server, model = redis_process(), Heard("m")
    async with model.serve() as url:
        async with scene(tmp_path, POLICY.format(url=url), model, pools=POOL, redis_url=server.url) as built:
            cache = built.gateway.gateway.cache
            await until(lambda: cache.state == "ok", "a cache")
            await chats(built, 12, "again")
            async with steady_chats(built):
                await asyncio.to_thread(hurt, server)
                await chats(built, 12, "again")
                await chats(built, 12, "new")
                await asyncio.to_thread(mend, server)
            await until(lambda: cache.state == "ok", "a cache that is well again")
            await until_hit(built, "after all")


async def test_chats_go_on_where_redis_was_never_there_and_are_cached_once_it_is(
    tmp_path: Path, redis_process: Callable[..., RedisServer]
) -> None:
    server, model = redis_process(), Heard("m")
    server.kill()
    async with model.serve() as url:
        async with scene(tmp_path, POLICY.format(url=url), model, pools=POOL, redis_url=server.url) as built:
            ready = await built.gateway.get("/readyz")
            assert (ready["status"], ready["redis"]) == ("degraded", "degraded")
            await chats(built, 12, "without")
            await asyncio.to_thread(server.start)
            await until_hit(built, "with")
            assert (await built.gateway.get("/readyz"))["redis"] == "ok"


LOADING = b"-LOADING Redis is loading the dataset in memory\r\n"


@pytest.mark.parametrize("reply", [LOADING, b"-NOAUTH Authentication required.\r\n", b"HTTP/1.1 400 Bad\r\n\r\n", None])
async def test_chats_go_on_where_redis_says_nothing_but(tmp_path: Path, reply: bytes | None) -> None:
    model = Heard("m")
    async with fixed_reply(reply) as redis, model.serve() as url:
        async with scene(tmp_path, POLICY.format(url=url), model, pools=2 * POOL, redis_url=redis.url) as built:
            await chats(built, 20, "hello")
            assert (await built.gateway.get("/readyz"))["redis"] == "degraded"
            assert model.calls == 20
