"""Very many at once, a tenth of whom leave, while Redis and the database die and come back: no chat fails for it.

SIGNALBOX_TEST_CALLERS sets how many (1,000 where it is not set; 5,000 need some 20,000 file descriptors).
"""

from __future__ import annotations

import asyncio
import os
import resource
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import aiohttp

from router.upstream.standin import Reply
from tests.faults.models import Heard
from tests.faults.scene import POOL, Scene, scene, until
from tests.faults.traffic import POLICY
from tests.running import chat_body
from tests.servers import PostgresServer, RedisServer

CALLERS = int(os.environ.get("SIGNALBOX_TEST_CALLERS", "1000"))


async def test_a_crowd_is_answered_while_redis_and_the_database_die_and_come_back(
    tmp_path: Path, redis_process: Callable[..., RedisServer], postgres_process: PostgresServer
) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    redis = redis_process()
    model = Heard("m", lambda text: Reply(f"You said: {text}", latency_seconds=0.5, pieces=8, gap_seconds=0.1))
    settings = {
        "redis_url": redis.url,
        "database_url": postgres_process.create_database() + "?synchronous_commit=on",
    }
    async with model.serve() as url:
        async with scene(tmp_path, POLICY.format(url=url), model, pools=2 * POOL, **settings) as built:
            recorder = built.gateway.gateway.recorder
            async with aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=110)
            ) as session:
                crowd = [asyncio.create_task(caller(built, session, number)) for number in range(CALLERS)]
                await until(lambda: model.calls > CALLERS // 4, "a quarter of the crowd", 60)
                await asyncio.gather(asyncio.to_thread(redis.kill), asyncio.to_thread(postgres_process.kill))
                await until(lambda: recorder.state == "degraded" or all(map(asyncio.Task.done, crowd)), "the loss", 60)
                await asyncio.gather(asyncio.to_thread(redis.start), asyncio.to_thread(postgres_process.start))
                ended = Counter(await asyncio.gather(*crowd))
            assert ended == {"answered": CALLERS - CALLERS // 10, "left": CALLERS // 10}
            await until(lambda: recorder.state == "ok", "a ledger that is well again")
            await until(lambda: not recorder.waiting, "the last row")
            assert recorder.dropped == 0
            outcomes = Counter(row["outcome"] for row in await built.rows())
            assert set(outcomes) == {"ok", "client_closed"}
            built.requests = sum(outcomes.values())  # who left before the body was read was never there
            built.unsure = outcomes["client_closed"]
            assert CALLERS - CALLERS // 10 <= outcomes["ok"] <= built.requests <= CALLERS


async def caller(built: Scene, session: aiohttp.ClientSession, number: int) -> str:
    """One caller: every tenth leaves at some time before the end, every other one streams."""
    body = chat_body(f"this is caller {number}", stream=number % 2 == 0)
    leaves_after = (number % 7) * 0.3 if number % 10 == 9 else None
    try:
        async with asyncio.timeout(leaves_after):
            async with session.post(f"{built.gateway.url}/v1/chat/completions", json=body) as answer:
                text = await answer.text()
    except TimeoutError:
        return "left" if leaves_after is not None else "not answered in time"
    whole = text.endswith("data: [DONE]\n\n") if number % 2 == 0 else '"finish_reason":"stop"' in text
    return "answered" if answer.status == 200 and whole else f"{answer.status}: {text[-300:]}"
