"""What is remembered of a conversation: in the process, and in a real Redis that may go away."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from router.conversations.contract import Remembered
from router.conversations.memory import ProcessMemory
from router.conversations.redis_memory import REST_SECONDS, RedisMemory
from tests.servers import RedisServer

TURN = Remembered("large", 1200, 1)


@pytest.fixture
def server(redis_process: Callable[..., RedisServer]) -> RedisServer:
    """A Redis of one's own, to be stopped."""
    return redis_process()


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_a_turn_is_remembered_until_its_time_is_over() -> None:
    clock = Clock()
    memory = ProcessMemory(clock=clock)
    await memory.remember("a", TURN, 60)
    assert await memory.recall("a") == TURN
    assert await memory.recall("b") is None
    clock.now += 61
    assert await memory.recall("a") is None


async def test_the_oldest_go_first() -> None:
    memory = ProcessMemory(most=2)
    for key in ("a", "b", "a", "c"):
        await memory.remember(key, TURN, 60)
    assert await memory.recall("a") == TURN and await memory.recall("b") is None


async def test_replicas_remember_alike_through_redis(server: RedisServer) -> None:
    one, other = RedisMemory(server.url), RedisMemory(server.url)
    await one.remember("a", TURN, 60)
    assert await other.recall("a") == TURN
    await one.aclose()
    await other.aclose()


async def test_a_lost_redis_leaves_each_process_its_own_memory_and_is_found_again(server: RedisServer) -> None:
    clock = Clock()
    memory = RedisMemory(server.url, clock=clock)
    await memory.remember("a", TURN, 60)
    server.stop()
    assert await memory.recall("a") == TURN
    later = Remembered("small", 10)
    await memory.remember("a", later, 60)
    assert await memory.recall("a") == later
    server.start()
    clock.now += REST_SECONDS + 1
    assert await memory.recall("a") == later
    await memory.remember("b", TURN, 60)
    other = RedisMemory(server.url)
    assert await other.recall("b") == TURN
    await memory.aclose()
    await other.aclose()


@pytest.mark.parametrize("junk", [b"\xff\xff", b"", b"\x93"])
async def test_what_cannot_be_read_is_as_good_as_forgotten(junk: bytes, server: RedisServer) -> None:
    memory = RedisMemory(server.url)
    await memory._client.set("signalbox:conversation:a", junk)
    assert await memory.recall("a") is None
    await memory.aclose()
