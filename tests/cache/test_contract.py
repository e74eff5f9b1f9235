"""The same promises, kept by the cache in the process and by the one on Redis."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router.cache.contract import Cache, CachedAnswer
from router.cache.keys import key_for
from router.cache.memory import MemoryCache
from router.cache.redis_cache import RedisCache
from router.domain import Usage
from tests.servers import RedisServer

from .answers import stored


@pytest.fixture(params=["memory", "redis"])
async def cache(request: pytest.FixtureRequest, redis_server: RedisServer) -> AsyncIterator[Cache]:
    made: MemoryCache | RedisCache
    if request.param == "memory":
        made = MemoryCache(1 << 20, b"s" * 32)
    else:
        made = RedisCache(redis_server.url, b"s" * 32)
        await made.start()
    yield made
    await made.aclose()


def some_key() -> bytes:
    return os.urandom(32)


async def test_what_was_put_is_got_back_whole(cache: Cache) -> None:
    key = some_key()
    answer = CachedAnswer("Grüße 😀".encode() + bytes(range(256)), "größer", None, Usage(1, 2, 3, 4, 5, True), 1.25)
    await cache.put(key, answer, 60)
    assert await cache.get(key) == answer


async def test_what_was_never_put_is_a_miss(cache: Cache) -> None:
    assert await cache.get(some_key()) is None


async def test_the_last_put_counts(cache: Cache) -> None:
    key = some_key()
    for number in range(5):
        await cache.put(key, stored(b"%d" % number), 60)
    assert await cache.get(key) == stored(b"4")


async def test_an_entry_ends(cache: Cache) -> None:
    key = some_key()
    await cache.put(key, stored(), 0.05)
    for _ in range(500):
        if await cache.get(key) is None:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never ended")


async def test_no_time_to_live_is_no_entry(cache: Cache) -> None:
    key = some_key()
    await cache.put(key, stored(), 0)
    await cache.put(key, stored(), -1)
    assert await cache.get(key) is None


async def test_it_is_in_order_while_it_works(cache: Cache) -> None:
    assert cache.state == "ok"


async def test_many_at_once_each_get_their_own(cache: Cache) -> None:
    keys = [some_key() for _ in range(200)]
    for number, key in enumerate(keys):
        await cache.put(key, stored(b"%d" % number), 60)
    found = await asyncio.gather(*(cache.get(key) for key in keys))
    assert found == [stored(b"%d" % number) for number in range(200)]


async def test_closing_twice_is_harmless(cache: Cache) -> None:
    await cache.aclose()
    await cache.aclose()


names = st.text(min_size=1, max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(tenants=st.lists(names, min_size=2, max_size=4, unique=True), question=names)
async def test_a_tenant_never_gets_the_answer_of_another(cache: Cache, tenants: list[str], question: str) -> None:
    body = {"model": "auto", "messages": [{"role": "user", "content": question}], "seed": os.urandom(8).hex()}
    keys = [key_for(cache.secret, tenant, "auto", "digest", body) for tenant in tenants]
    owner, *others = zip(tenants, keys, strict=True)
    await cache.put(owner[1], stored(owner[0].encode("utf-8", "replace")), 60)
    assert await cache.get(owner[1]) is not None
    for _, key in others:
        assert await cache.get(key) is None
