"""The store in the process and the one on Redis say the same, whatever is asked of them and however time passes."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router.limits.contract import Charge, Counter, Granted, Refused, Reservation, Store
from router.limits.redis_store import RedisStore
from tests.servers import RedisServer

from .stores import NOON_MS, HandClock, flushed, store_of

COUNTERS = (
    Counter("pace", "key", "a/one", requests=3, tokens=100),
    Counter("pace", "key", "a/two", requests=3),
    Counter("month", "tenant", "a", day=50, month=120),
    Counter("month", "tenant", "b{}:b", month=30),
    Counter("all", "all", "all", requests=7, tokens=500, day=90, month=200),
    Counter("free", "model", "large"),
)
AMOUNTS = st.integers(0, 60)
CHARGES = st.lists(
    st.builds(Charge, st.sampled_from(COUNTERS), st.integers(0, 2), AMOUNTS, AMOUNTS),
    min_size=1,
    max_size=4,
    unique_by=lambda charge: charge.counter,
)
LEASES = st.sampled_from([1_000, 20_000, 900_000])
MINUTE_MS, DAY_MS = 60_000, 86_400_000
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), CHARGES, LEASES),
        st.tuples(st.just("settle"), st.integers(0, 30), AMOUNTS, AMOUNTS),
        st.tuples(st.just("spend"), CHARGES),
        st.tuples(
            st.just("pass"),
            st.one_of(
                st.integers(0, 20_000),
                st.integers(0, 2 * MINUTE_MS),
                st.sampled_from([-3_000, 900_000, DAY_MS // 2, DAY_MS, 31 * DAY_MS]),
            ),
        ),
    ),
    max_size=30,
)
STARTS = st.one_of(st.just(NOON_MS), st.integers(1_700_000_000_000, 4_102_444_800_000))


async def told_by(store: Store, clock: HandClock, steps: list[tuple[Any, ...]]) -> list[Any]:
    """All that a store answers. It must hold what every store promises, too."""
    told: list[Any] = []
    reserved: list[Reservation] = []
    for step in steps:
        if step[0] == "reserve":
            before = await store.peek([charge.counter for charge in step[1]])
            answer = await store.reserve(step[1], step[2])
            if isinstance(answer, Granted):
                reserved.append(answer.reservation)
                told.append(answer.standings)
                for charge, was, standing in zip(step[1], before, answer.standings, strict=True):
                    counter = charge.counter
                    assert counter.requests is None or not charge.requests or standing.requests <= counter.requests
                    assert counter.tokens is None or not charge.tokens or standing.tokens <= counter.tokens
                    if charge.nano:
                        assert counter.day is None or standing.day_spent + standing.day_held <= counter.day
                        assert counter.month is None or standing.month_spent + standing.month_held <= counter.month
                    assert (standing.day_spent, standing.month_spent) == (was.day_spent, was.month_spent)
            else:
                assert isinstance(answer, Refused)
                assert answer.standings == before
                told.append(answer)
        elif step[0] == "settle" and reserved:
            reservation = reserved[step[1] % len(reserved)]
            store.settle(reservation, [Charge(of.counter, of.requests, *step[2:]) for of in reservation.charges])
            await flushed(store)
        elif step[0] == "spend":
            store.spend(step[1])
            await flushed(store)
        elif step[0] == "pass":
            clock.pass_by(ms=step[1])
        standings = await store.peek(COUNTERS)
        assert all(min(*figures(standing)) >= 0 for standing in standings)
        told.append(standings)
    return told


def figures(standing: Any) -> tuple[int, ...]:
    return tuple(getattr(standing, name) for name in standing.__struct_fields__)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(start=STARTS, steps=STEPS)
def test_both_stores_answer_alike(redis_server: RedisServer, start: int, steps: list[tuple[Any, ...]]) -> None:
    async def both() -> tuple[list[Any], list[Any]]:
        redis_server.empty()
        answers = []
        for kind in ("memory", "redis"):
            clock = HandClock(start)
            async with store_of(kind, clock, redis_server.url) as store:
                answers.append(await told_by(store, clock, steps))
                if isinstance(store, RedisStore):
                    assert not store.alone, "Redis was passed by"
        return answers[0], answers[1]

    in_process, on_redis = asyncio.run(both())
    assert in_process == on_redis
