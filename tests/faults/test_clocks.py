"""A time of day that jumps bends nothing but the times that rows are stamped with."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import sqlalchemy as sa

from router.cache.memory import MemoryCache
from router.domain import ModelSpec
from router.errors import UpstreamRateLimited
from router.ledger.retention import DAY_SECONDS, EVERY_SECONDS, Retention
from router.ledger.store import SqlStore
from router.ledger.tables import outcomes
from router.upstream.health import Health
from tests.cache.answers import stored
from tests.ledger.outcomes import an_outcome

JUMPING = """
import itertools, sys, time

true_time, jumps = time.time, itertools.cycle((0.0, -86_400.0, 0.0, 3_600.0, -3.0e7))
sys.modules["time"].time = lambda: true_time() + next(jumps)

import asyncio
from pathlib import Path
from tests.faults.models import Heard
from tests.faults.scene import scene
from tests.running import POLICY

async def main(folder):
    model = Heard("m")
    async with model.serve() as url:
        async with scene(Path(folder), POLICY.format(small=url, large=url), model) as built:
            for number in range(40):
                answer = await built.ask("auto", f"hi {number % 20}", stream=number % 2 == 0)
                assert answer.status_code == 200, answer.text
                assert 0 <= float(answer.headers["x-signalbox-overhead-ms"]) < 60_000
            rows = await built.rows()
            while len(rows) < 40:
                await asyncio.sleep(0.05)
                rows = await built.rows()
            assert all(0 <= row["latency_ms"] < 60_000 for row in rows)
            assert max(row["at_unix"] for row in rows) - min(row["at_unix"] for row in rows) > 86_000
            assert sum(row["cache"] == "hit" for row in rows) == model.calls == 20

import uvloop
uvloop.new_event_loop().close()
asyncio.run(main(sys.argv[1]))
"""
"""A whole gateway whose process is told another time of day with each look at the clock."""


async def test_a_gateway_whose_time_of_day_jumps_serves_and_caches_and_adds_up(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", JUMPING, str(tmp_path), stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    assert process.returncode == 0, said.decode()[-3000:]


class Clock:
    """A clock that a test sets."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


async def test_a_cached_answer_lives_by_a_clock_that_is_not_the_time_of_day(tmp_path: Path) -> None:
    clock = Clock(1000.0)
    cache = MemoryCache(1_000_000, clock=clock)
    await cache.put(b"key", stored(), 60)
    clock.now += 59
    assert await cache.get(b"key") is not None
    clock.now += 2
    assert await cache.get(b"key") is None


async def test_a_breaker_opens_again_by_its_own_clock() -> None:
    clock, model = Clock(5.0), ModelSpec("small", "small", "m")
    health = Health(clock)
    health.record_failure("small", UpstreamRateLimited("busy", retry_after=7))
    assert "small" in health.unavailable()
    clock.now += 7
    assert "small" not in health.unavailable()
    health.enter(model)
    health.record_success("small")
    assert not health.unavailable()


async def test_a_clock_that_was_set_back_does_not_stop_the_pruning_for_ever(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    await store.open()
    now = 1_800_000_000.0
    clock = Clock(now + 3650 * DAY_SECONDS)
    retention = Retention(store, 400, 100, clock)
    clock.now = now
    young = [now - 300 * DAY_SECONDS, now]
    await store.write([an_outcome(at_unix=at) for at in (now - 500 * DAY_SECONDS, *young)])
    await retention.poll()
    assert await store.prune(0) == 0
    assert sorted(await _times(store)) == young
    clock.now += EVERY_SECONDS - 1
    await store.write([an_outcome(at_unix=now - 500 * DAY_SECONDS)])
    await retention.poll()
    assert len(await _times(store)) == 3, "an hour has not gone by"
    clock.now += 1
    await retention.poll()
    assert sorted(await _times(store)) == young
    await store.aclose()


async def _times(store: SqlStore) -> list[float]:
    return [row["at_unix"] for row in await store.rows(sa.select(outcomes.c.at_unix))]
