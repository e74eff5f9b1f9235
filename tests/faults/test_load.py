"""Very many at once, a tenth of whom leave, while Redis and the database die and come back: no chat fails for it.

Gateway, model and callers are processes of their own, since each connection takes a file descriptor at both its ends.
SIGNALBOX_TEST_CALLERS sets how many (5,000 where it is not set, and fewer where the system gives too few descriptors).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.process import gateway_process
from tests.faults.wire import ask
from tests.servers import PostgresServer, RedisServer

_, FILES = resource.getrlimit(resource.RLIMIT_NOFILE)
CALLERS = min(int(os.environ.get("SIGNALBOX_TEST_CALLERS", "5000")), (FILES - 500) // 2)
LEAVERS = len(range(9, CALLERS, 20)), len(range(19, CALLERS, 20))
"""Who leave before the first byte, and who leave in mid-stream."""

MORE_FILES = 20
"""What the gateway may keep open after a crowd to Redis and to the database."""

POLICY = """
version: 1
models:
  small: {{tier: small, model: m, base_url: "http://127.0.0.1:{port}/v1", retries: 0,
           price: {{input: 0.1, output: 0.2}}, timeouts: {{connect: 60, first_token: 250, idle: 100, total: 300}}}}
default: small
routes:
  auto: {{cache: {{exact: {{ttl: 1h}}}}}}
"""


@pytest.mark.timeout(400)
async def test_a_crowd_is_answered_while_redis_and_the_database_die_and_come_back(
    tmp_path: Path, redis_process: Callable[..., RedisServer], postgres_process: PostgresServer
) -> None:
    redis = redis_process()
    settings = {
        "SIGNALBOX_REDIS_URL": redis.url,
        "SIGNALBOX_DATABASE_URL": postgres_process.create_database() + "?synchronous_commit=on",
    }
    async with running_module("held_model") as model:
        (tmp_path / "policy.yaml").write_text(POLICY.format(port=await line_of(model)))
        async with gateway_process(tmp_path, before="ulimit -S -n 1024", **settings) as gateway:
            await gateway.until_ready(redis="ok")
            usual = gateway.files
            async with running_module("crowd", str(gateway.port), str(CALLERS)) as crowd:
                await becomes(lambda: told(model, "count"), calls=CALLERS, busy=CALLERS)
                assert await gateway.metric("signalbox_requests_in_flight") == CALLERS
                await asyncio.gather(asyncio.to_thread(redis.kill), asyncio.to_thread(postgres_process.kill))
                say(crowd, "leave")
                await becomes(lambda: told(model, "count"), calls=CALLERS, busy=CALLERS - LEAVERS[0])
                await gateway.until_ready(database="degraded")
                say(crowd, "leave in mid-stream")
                await told(model, "release")
                between = [await ask(gateway.port, f"meanwhile {number}") for number in range(20)]
                await gateway.until_ready(redis="degraded")
                await asyncio.gather(asyncio.to_thread(redis.start), asyncio.to_thread(postgres_process.start))
                ended = json.loads(await line_of(crowd))
            assert all(answer.whole for answer in between)
            assert ended == {"answered": CALLERS - sum(LEAVERS), "left": sum(LEAVERS)}
            await gateway.until_ready(status="ok", redis="ok", database="ok")
            heard = await becomes(lambda: told(model, "count"), busy=0)
            assert heard["calls"] == CALLERS + len(between)
            for _ in range(600):
                if len(rows := await gateway.rows()) == heard["calls"]:
                    break
                await asyncio.sleep(0.1)
            assert await gateway.metric("signalbox_ledger_dropped_total") == 0
            assert await gateway.metric("signalbox_requests_in_flight") == 0
            assert len(rows) == len({row["request_id"] for row in rows}) == heard["calls"]
            assert sum(row["attempts"] for row in rows) == heard["calls"]
            outcomes = Counter(row["outcome"] for row in rows)
            assert outcomes == {"ok": heard["calls"] - sum(LEAVERS), "client_closed": sum(LEAVERS)}
            assert all(row["cost_nano"] > 0 for row in rows)
            for _ in range(600):
                kept = (await told(model, "count"))["open"]
                if gateway.files <= usual + kept + MORE_FILES:
                    break
                await asyncio.sleep(0.1)
            assert gateway.files <= usual + kept + MORE_FILES, "descriptors are lost"


@contextlib.asynccontextmanager
async def running_module(name: str, *arguments: str) -> AsyncIterator[Process]:
    """One of the modules beside this one, as a process; it is ended with the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"tests.faults.{name}", *arguments), stdin=PIPE, stdout=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def say(process: Process, line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n".encode())


async def line_of(process: Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()


async def told(process: Process, line: str) -> dict[str, Any]:
    """What it answers to a line."""
    say(process, line)
    return dict(json.loads(await line_of(process)))


async def becomes(look: Callable[[], Awaitable[dict[str, Any]]], **wanted: int) -> dict[str, Any]:
    """What is looked at, once it is as wanted."""
    for _ in range(1500):
        found = await look()
        if wanted.items() <= found.items():
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(f"never {wanted}: {found}")
