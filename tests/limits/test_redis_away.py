"""Without Redis each process counts by itself from what it heard last, and the sum is put right when Redis is back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from redis import Redis

from router.limits.contract import Counter, Granted, Refused
from router.limits.redis_store import RedisStore
from tests.servers import RedisServer, ServerFailed

from .stores import DOLLAR, flushed, granted, of

DAILY = Counter("daily", "tenant", "a", day=10 * DOLLAR, month=100 * DOLLAR)
PACE = Counter("pace", "key", "a", requests=3)
LEASE_MS = 900_000


@pytest.fixture
def server(redis_process: Callable[..., RedisServer]) -> RedisServer:
    return redis_process()


@asynccontextmanager
async def store_on(url: str) -> AsyncIterator[RedisStore]:
    store = RedisStore(url)
    await store.start()
    try:
        yield store
    finally:
        await store.aclose()


async def until(holds: Callable[[], object]) -> None:
    """Waits until something holds."""
    for _ in range(1000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to hold")


async def spend(store: RedisStore, dollars: float) -> None:
    answer = granted(await store.reserve([of(DAILY, dollars=dollars)], LEASE_MS))
    store.settle(answer.reservation, [of(DAILY, dollars=dollars)])


async def spent(store: RedisStore) -> float:
    await flushed(store)
    [standing] = await store.peek([DAILY])
    assert standing.day_held == 0
    assert standing.day_spent == standing.month_spent
    return standing.day_spent / DOLLAR


async def test_it_counts_on_from_what_it_heard_last_and_still_refuses(server: RedisServer) -> None:
    async with store_on(server.url) as store:
        await spend(store, 7)
        assert await spent(store) == 7
        server.kill()
        await spend(store, 2)
        assert store.state == "degraded"
        assert store.alone == 1
        assert isinstance(await store.reserve([of(DAILY, dollars=2)], LEASE_MS), Refused)
        await spend(store, 1)


async def test_it_knows_what_it_told_redis_though_redis_never_spoke_of_it(server: RedisServer) -> None:
    async with store_on(server.url) as store:
        await spend(store, 7)
        await until(lambda: not store.line.waiting)
        server.kill()
        assert isinstance(await store.reserve([of(DAILY, dollars=4)], LEASE_MS), Refused)
        await spend(store, 3)


async def test_what_was_spent_alone_is_told_to_redis_when_it_is_back(server: RedisServer) -> None:
    async with store_on(server.url) as store, store_on(server.url) as other:
        await spend(store, 2)
        under_way = granted(await store.reserve([of(DAILY, dollars=3)], LEASE_MS))
        await flushed(store)
        server.pause()
        await spend(store, 1)
        await spend(other, 1)
        store.settle(under_way.reservation, [of(DAILY, dollars=2.5)])
        assert isinstance(await store.reserve([of(DAILY, dollars=5)], LEASE_MS), Refused), "it has heard of 5.50"
        server.resume()
        await until(lambda: store.state == "ok" and other.state == "ok")
        await until(lambda: store.line.waiting == other.line.waiting == 0)
        assert await spent(store) == await spent(other) == 2 + 1 + 1 + 2.5


async def test_a_redis_that_forgot_everything_hears_from_those_who_remember(server: RedisServer) -> None:
    async with store_on(server.url) as store, store_on(server.url) as other:
        await spend(store, 6)
        assert await spent(store) == 6
        Redis(port=server.port).flushall()
        assert await spent(other) == 0, "this one had never heard of the tenant"
        assert isinstance(await store.reserve([of(DAILY, dollars=5)], LEASE_MS), Refused)
        assert await spent(other) == 6


async def test_a_redis_that_comes_back_empty_hears_of_all_that_was_spent(server: RedisServer) -> None:
    async with store_on(server.url) as store:
        await spend(store, 1)
        under_way = granted(await store.reserve([of(DAILY, dollars=2)], LEASE_MS))
        server.kill()
        await spend(store, 3)
        store.settle(under_way.reservation, [of(DAILY, dollars=2)])
        server.start()
        await until(lambda: store.state == "ok")
        assert await spent(store) == 6


async def test_many_settlements_at_once_are_each_counted_once(server: RedisServer) -> None:
    async with store_on(server.url) as store:
        answers = await asyncio.gather(*(store.reserve([of(DAILY, dollars=0.01)], LEASE_MS) for _ in range(300)))
        for answer in answers:
            store.settle(granted(answer).reservation, [of(DAILY, dollars=0.01)])
        asked = await asyncio.gather(*(store.peek([DAILY]) for _ in range(100)))
        assert {standing.day_spent for [standing] in asked} == {3 * DOLLAR}


async def test_a_start_without_redis_serves_and_counts(server: RedisServer) -> None:
    server.kill()
    async with store_on(server.url) as store:
        await spend(store, 9)
        assert isinstance(await store.reserve([of(DAILY, dollars=2)], LEASE_MS), Refused)
        server.start()
        await until(lambda: store.state == "ok")
        assert await spent(store) == 9


async def test_a_redis_that_hangs_is_waited_for_once_by_all_together(server: RedisServer) -> None:
    async with store_on(server.url) as store:
        await spend(store, 0.5)
        await flushed(store)
        server.pause()
        began = time.perf_counter()
        answers = await asyncio.gather(*(store.reserve([of(DAILY, dollars=0.1)], LEASE_MS) for _ in range(20)))
        assert time.perf_counter() - began < 2, "a quarter of a second, and what a busy machine makes of it"
        assert all(isinstance(answer, Granted) for answer in answers)
        began = time.perf_counter()
        for _ in range(20):
            await store.reserve([of(DAILY, dollars=0.1)], LEASE_MS)
        assert time.perf_counter() - began < 1, "nobody waits any more"
        server.resume()
        await until(lambda: store.state == "ok")
        assert [standing.day_held for standing in await store.peek([DAILY])] == [0], "nothing stays reserved there"


async def test_a_redis_that_is_full_is_passed_by(server: RedisServer) -> None:
    async with store_on(server.url) as store:
        await spend(store, 1)
        await flushed(store)
        client = Redis(port=server.port)
        client.config_set("maxmemory", "1")
        client.config_set("maxmemory-policy", "noeviction")
        await spend(store, 1)
        assert store.state == "degraded"
        client.config_set("maxmemory", "0")
        await until(lambda: store.state == "ok")
        assert await spent(store) == 2


async def test_a_caller_who_leaves_while_redis_is_asked_holds_nothing_there(server: RedisServer) -> None:
    async with store_on(server.url) as store:
        for _ in range(20):
            task = asyncio.create_task(store.reserve([of(DAILY, dollars=0.1)], LEASE_MS))
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.sleep(0.1)
        assert await spent(store) == 0
        assert not Redis(port=server.port).zcard("signalbox:{limits}:leases")


async def test_what_lies_in_redis_goes_away_by_itself(server: RedisServer) -> None:
    async with store_on(server.url) as store:
        await spend(store, 1)
        granted(await store.reserve([of(DAILY, dollars=0.1), of(PACE)], LEASE_MS))
        await flushed(store)
    client = Redis(port=server.port, decode_responses=True)
    keys = client.keys("*")
    assert len(keys) == 5
    assert all(key.startswith("signalbox:{limits}:") for key in keys), "one slot of a cluster"
    assert all(0 < client.pttl(key) <= 40 * 86_400_000 for key in keys)


def cluster_of_one(redis_process: Callable[..., RedisServer]) -> RedisServer:
    """A Redis in cluster mode. Its bus listens 10,000 ports above, which is too high for some free ports."""
    for _ in range(20):
        try:
            return redis_process("--cluster-enabled", "yes")
        except ServerFailed:
            continue
    raise AssertionError("no port had room for the cluster's bus")


async def test_a_cluster_keeps_all_of_it_in_one_slot(redis_process: Callable[..., RedisServer]) -> None:
    server = cluster_of_one(redis_process)
    with Redis(port=server.port) as client:
        client.execute_command("CLUSTER", "ADDSLOTS", *range(16384))
        await until(lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO"))
        async with store_on(server.url.replace("redis://", "redis+cluster://")) as store:
            await until(lambda: store.state == "ok")
            await spend(store, 3)
            granted(await store.reserve([of(PACE), of(DAILY, dollars=7)], LEASE_MS))
            refused = await store.reserve([of(PACE), of(DAILY, dollars=1)], LEASE_MS)
            assert isinstance(refused, Refused)
            assert store.alone == 0
            slots = {client.execute_command("CLUSTER", "KEYSLOT", key) for key in client.keys("*")}
            assert len(slots) == 1
