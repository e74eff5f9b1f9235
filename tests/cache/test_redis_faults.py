"""Whatever befalls Redis is a miss: it never raises, never holds a request up twice, and heals by itself."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from router.cache.redis_cache import RedisCache
from router.cache.values import pack
from router.errors import SettingsError
from tests.servers import RedisServer, ServerFailed, free_port

from .answers import stored
from .fixed_reply import fixed_reply

T = TypeVar("T")

SECRET, KEY = b"s" * 32, b"k" * 32
NAME = f"signalbox:exact:{KEY.hex()}"


@pytest.fixture
def server(redis_process: Callable[..., RedisServer]) -> RedisServer:
    return redis_process()


def talk_to(server: RedisServer) -> Redis:
    """A plain client, for what a test wants to do or see behind the cache's back."""
    return Redis(host="127.0.0.1", port=server.port, retry=Retry(NoBackoff(), 0))


@asynccontextmanager
async def cache_on(url: str, secret: bytes | None = SECRET) -> AsyncIterator[RedisCache]:
    cache = RedisCache(url, secret)
    await cache.start()
    try:
        yield cache
    finally:
        await cache.aclose()


async def until(holds: Callable[[], object]) -> None:
    """Waits until something holds."""
    for _ in range(2000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to hold")


async def until_found(cache: RedisCache, key: bytes = KEY) -> None:
    """Waits until the cache has the entry."""
    for _ in range(2000):
        if await cache.get(key) is not None:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it was never found")


async def written(cache: RedisCache, server: RedisServer) -> None:
    """Puts the entry and waits until it lies in Redis."""
    await cache.put(KEY, stored(), 600)
    with talk_to(server) as client:
        await until(lambda: client.exists(NAME))


async def soon(call: Awaitable[T]) -> T:
    """The result, which must be there in far less time than a retrying or waiting client would take."""
    return await asyncio.wait_for(call, 1)


async def test_a_redis_that_is_not_there_at_the_start_is_used_when_it_comes(server: RedisServer) -> None:
    server.kill()
    async with cache_on(server.url, None) as cache:
        assert cache.state == "degraded"
        assert await soon(cache.get(KEY)) is None
        await soon(cache.put(KEY, stored(), 60))
        assert cache.dropped == 1
        server.start()
        await until(lambda: cache.state == "ok")
        await written(cache, server)
        assert await cache.get(KEY) == stored()


async def test_a_cache_that_was_never_started_starts_at_its_first_use(server: RedisServer) -> None:
    cache = RedisCache(server.url)
    assert await cache.get(KEY) is None
    await until(lambda: cache.state == "ok")
    await cache.aclose()


async def test_a_paused_redis_is_waited_for_once_and_used_again_when_it_goes_on(server: RedisServer) -> None:
    async with cache_on(server.url) as cache:
        await written(cache, server)
        server.pause()
        assert await soon(cache.get(KEY)) is None
        assert (cache.state, cache.trips) == ("degraded", 1)

        async def a_thousand_gets() -> None:
            for _ in range(1000):
                assert await cache.get(KEY) is None

        await soon(a_thousand_gets())
        server.resume()
        await until_found(cache)
        assert (cache.state, cache.trips) == ("ok", 1)


async def test_all_who_wait_when_redis_stops_are_let_go(server: RedisServer) -> None:
    async with cache_on(server.url) as cache:
        await written(cache, server)
        server.pause()
        assert await soon(asyncio.gather(*(cache.get(KEY) for _ in range(300)))) == [None] * 300
        assert cache.trips == 1
        server.resume()


async def test_a_killed_redis_is_used_again_when_it_is_back(server: RedisServer) -> None:
    async with cache_on(server.url, None) as cache:
        await written(cache, server)
        server.kill()
        assert await soon(cache.get(KEY)) is None
        assert cache.state == "degraded"
        server.start()
        await until(lambda: cache.state == "ok")
        assert await cache.get(KEY) is None
        await written(cache, server)
        assert await cache.get(KEY) == stored()


async def test_a_full_redis_drops_writes_and_is_still_read(server: RedisServer) -> None:
    async with cache_on(server.url) as cache:
        await written(cache, server)
        with talk_to(server) as client:
            client.config_set("maxmemory", "1")
            client.config_set("maxmemory-policy", "noeviction")
            await cache.put(b"n" * 32, stored(), 60)
            await until(lambda: cache.dropped == 1)
            assert await cache.get(KEY) == stored()
            assert await cache.get(b"n" * 32) is None
            assert (cache.state, cache.trips) == ("ok", 0)
            client.config_set("maxmemory", "0")
        await cache.put(b"n" * 32, stored(), 60)
        await until_found(cache, b"n" * 32)


async def test_a_read_only_replica_drops_writes_and_is_still_read(server: RedisServer) -> None:
    async with cache_on(server.url) as cache:
        await written(cache, server)
        with talk_to(server) as client:
            client.replicaof("127.0.0.1", str(free_port()))
            await cache.put(b"n" * 32, stored(), 60)
            await until(lambda: cache.dropped == 1)
            assert await cache.get(KEY) == stored()
            assert cache.state == "ok"
            client.replicaof("NO", "ONE")
        await cache.put(b"n" * 32, stored(), 60)
        await until_found(cache, b"n" * 32)


async def test_a_read_only_replica_without_a_secret_is_passed_by_until_it_can_be_written(server: RedisServer) -> None:
    with talk_to(server) as client:
        client.replicaof("127.0.0.1", str(free_port()))
        async with cache_on(server.url, None) as cache:
            assert cache.state == "degraded"
            client.replicaof("NO", "ONE")
            await until(lambda: cache.state == "ok")


async def test_a_replica_that_lost_its_master_and_will_not_serve_is_passed_by(server: RedisServer) -> None:
    async with cache_on(server.url) as cache:
        await written(cache, server)
        with talk_to(server) as client:
            client.config_set("replica-serve-stale-data", "no")
            client.replicaof("127.0.0.1", str(free_port()))
            assert await soon(cache.get(KEY)) is None
            assert cache.state == "degraded"
            client.replicaof("NO", "ONE")
        await until_found(cache)


async def test_a_key_of_another_type_is_a_miss_and_the_next_answer_takes_its_place(server: RedisServer) -> None:
    async with cache_on(server.url) as cache:
        with talk_to(server) as client:
            client.lpush(NAME, "x")
            assert await cache.get(KEY) is None
            assert (cache.state, cache.dropped) == ("ok", 0)
            await cache.put(KEY, stored(), 60)
            await until(lambda: client.type(NAME) == b"string")
        assert await cache.get(KEY) == stored()


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"garbage",
        pack(SECRET, KEY, stored())[:-1],
        pack(SECRET, b"other".ljust(32), stored()),
        pack(b"another secret", KEY, stored()),
    ],
    ids=["empty", "garbage", "cut short", "of another key", "of another secret"],
)
async def test_a_value_that_cannot_be_trusted_is_a_miss_and_removed(server: RedisServer, value: bytes) -> None:
    async with cache_on(server.url) as cache:
        with talk_to(server) as client:
            client.set(NAME, value)
            assert await cache.get(KEY) is None
            await until(lambda: not client.exists(NAME))
        assert cache.state == "ok"


async def test_a_value_of_a_newer_gateway_is_a_miss_and_left_to_it(server: RedisServer) -> None:
    value = pack(SECRET, KEY, stored())
    async with cache_on(server.url) as cache:
        with talk_to(server) as client:
            client.set(NAME, value[:3] + b"\x09" + value[4:])
            assert await cache.get(KEY) is None
            await asyncio.sleep(0.05)
            assert client.exists(NAME)


async def test_a_wrong_password_is_passed_by(server: RedisServer) -> None:
    with talk_to(server) as client:
        client.config_set("requirepass", "secret")
        async with cache_on(server.url) as cache:
            assert cache.state == "degraded"
            assert await soon(cache.get(KEY)) is None
    right = server.url.replace("://", "://:secret@")
    async with cache_on(right) as cache:
        assert cache.state == "ok"


REPLIES = {
    "loading": b"-LOADING Redis is loading the dataset in memory\r\n",
    "busy": b"-BUSY Redis is busy running a script.\r\n",
    "no auth": b"-NOAUTH Authentication required.\r\n",
    "no permission": b"-NOPERM this user has no permissions\r\n",
    "cluster down": b"-CLUSTERDOWN The cluster is down\r\n",
    "moved": b"-MOVED 3999 127.0.0.1:6381\r\n",
    "unknown error": b"-WHATEVER nobody knows\r\n",
    "not redis": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "hangs up": None,
}


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES.keys())
async def test_every_refusal_is_a_miss_and_opens_the_breaker(reply: bytes | None) -> None:
    async with fixed_reply(b"$-1\r\n") as standin, cache_on(standin.url) as cache:
        assert cache.state == "ok"
        standin.reply = reply
        assert await soon(cache.get(KEY)) is None
        assert cache.state == "degraded"
        await soon(cache.put(KEY, stored(), 60))
        standin.reply = b"$-1\r\n"
        await until(lambda: cache.state == "ok")


@pytest.mark.parametrize("reply", [b":1\r\n", b"+OK\r\n", b"*0\r\n", b"$3\r\nfoo\r\n", b"$-1\r\n"])
async def test_an_answer_of_an_unexpected_kind_is_a_miss(reply: bytes) -> None:
    async with fixed_reply(b"$-1\r\n") as standin, cache_on(standin.url) as cache:
        standin.reply = reply
        assert await soon(cache.get(KEY)) is None


async def test_a_slow_redis_uses_up_its_patience_and_is_passed_by() -> None:
    async with fixed_reply(b"$-1\r\n") as standin, cache_on(standin.url) as cache:
        standin.delay_seconds = 0.05
        async with asyncio.timeout(10):
            while cache.state == "ok":
                await cache.get(KEY)
        asked = standin.commands
        assert asked <= 6
        for _ in range(100):
            await cache.get(KEY)
        assert standin.commands <= asked + 2  # what the probe asks meanwhile


async def test_a_caller_who_leaves_never_leaves_his_answer_to_another(server: RedisServer) -> None:
    keys = [os.urandom(32) for _ in range(40)]
    pick = random.Random(7)
    async with cache_on(server.url) as cache:
        for number, key in enumerate(keys):
            await cache.put(key, stored(b"%d" % number), 600)
        await until(lambda: not cache.waiting)

        async def ask(number: int) -> None:
            task = asyncio.create_task(cache.get(keys[number]))
            if pick.random() < 0.5:
                for _ in range(pick.randrange(6)):
                    await asyncio.sleep(0)
                task.cancel()
            found = (await asyncio.gather(task, return_exceptions=True))[0]
            if not isinstance(found, asyncio.CancelledError):
                assert found is None or found == stored(b"%d" % number)

        for _ in range(10):
            await asyncio.gather(*(ask(number) for number in range(len(keys))))
        await until(lambda: cache.state == "ok")
        for number, key in enumerate(keys):
            await until_found(cache, key)
            assert await cache.get(key) == stored(b"%d" % number)


async def test_writes_that_wait_are_bounded_and_every_loss_is_counted(server: RedisServer) -> None:
    async with cache_on(server.url) as cache:
        server.pause()
        for _ in range(2000):
            await soon(cache.put(os.urandom(32), stored(), 60))
        assert cache.waiting + cache.dropped == 2000
        assert 0 < cache.waiting < 1000
        await until(lambda: cache.state == "degraded")
        assert (cache.waiting, cache.dropped) == (0, 2000)
        server.resume()


async def test_an_answer_above_a_megabyte_is_not_written(server: RedisServer) -> None:
    async with cache_on(server.url) as cache:
        await cache.put(KEY, stored(bytes(1024 * 1024 + 1)), 60)
        assert await cache.get(KEY) is None
        assert cache.dropped == 1


async def test_closing_writes_what_waits(server: RedisServer) -> None:
    async with cache_on(server.url) as cache:
        for number in range(100):
            await cache.put(number.to_bytes(32, "big"), stored(), 600)
    with talk_to(server) as client:
        assert client.dbsize() == 100


async def test_closing_does_not_wait_for_a_paused_redis(server: RedisServer) -> None:
    cache = RedisCache(server.url, SECRET)
    await cache.start()
    server.pause()
    await cache.put(KEY, stored(), 60)
    await asyncio.wait_for(cache.aclose(), 5)
    server.resume()


async def test_gateways_that_start_together_agree_on_one_secret(server: RedisServer) -> None:
    caches = [RedisCache(server.url) for _ in range(8)]
    await asyncio.gather(*(cache.start() for cache in caches))
    assert len({cache.secret for cache in caches}) == 1
    await caches[0].put(KEY, stored(), 60)
    await until_found(caches[7])
    await asyncio.gather(*(cache.aclose() for cache in caches))


async def test_gateways_agree_again_after_redis_was_emptied(server: RedisServer) -> None:
    async with cache_on(server.url, None) as old:
        with talk_to(server) as client:
            client.flushall()
            async with cache_on(server.url, None) as new:
                assert new.secret != old.secret
                client.client_kill_filter(_type="normal", skipme=True)
                await old.get(KEY)
                await new.get(KEY)
                await until(lambda: new.secret == old.secret)


async def test_a_configured_secret_wins_and_leaves_none_in_redis(server: RedisServer) -> None:
    async with cache_on(server.url, SECRET) as cache:
        assert cache.secret == SECRET
        with talk_to(server) as client:
            assert client.dbsize() == 0


@pytest.mark.parametrize("found", [b"", b"short", b"zz" * 32, b"00" * 8])
async def test_a_secret_in_redis_that_is_none_is_not_used(server: RedisServer, found: bytes) -> None:
    with talk_to(server) as client:
        client.set("signalbox:cache_secret", found)
        async with cache_on(server.url, None) as cache:
            assert cache.state == ("ok" if len(found) == 32 else "degraded")
            client.delete("signalbox:cache_secret")
            await until(lambda: cache.state == "ok")


def cluster_of_one(redis_process: Callable[..., RedisServer]) -> RedisServer:
    """A Redis in cluster mode. Its bus listens 10,000 ports above, which is too high for some free ports."""
    for _ in range(20):
        try:
            return redis_process("--cluster-enabled", "yes")
        except ServerFailed:
            continue
    raise AssertionError("no port was low enough")


async def test_a_cluster_is_spoken_to_by_its_url(redis_process: Callable[..., RedisServer]) -> None:
    server = cluster_of_one(redis_process)
    with talk_to(server) as client:
        client.execute_command("CLUSTER", "ADDSLOTS", *range(16384))
        await until(lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO"))
        async with cache_on(server.url.replace("redis://", "redis+cluster://"), None) as cache:
            await until(lambda: cache.state == "ok")
            for number in range(50):
                await cache.put(number.to_bytes(32, "big"), stored(b"%d" % number), 600)
            await until(lambda: not cache.waiting)
            for number in range(50):
                assert await cache.get(number.to_bytes(32, "big")) == stored(b"%d" % number)
            server.pause()
            assert await soon(cache.get(KEY)) is None
            assert cache.state == "degraded"
            server.resume()
            await until(lambda: cache.state == "ok")


@pytest.mark.parametrize("url", ["http://localhost", "localhost:6379", "redis+sentinel://a", "redis://h:port", ""])
def test_a_url_that_is_not_of_redis_is_refused_by_name(url: str) -> None:
    with pytest.raises(SettingsError, match="SIGNALBOX_REDIS_URL"):
        RedisCache(url)
