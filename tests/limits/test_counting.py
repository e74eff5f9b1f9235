"""What both stores promise: all or nothing, back when it is settled or lost, in the window it began in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from router.limits.contract import Charge, Counter, Known, Refused, Store
from router.limits.windows import day_of, month_of
from tests.servers import RedisServer

from .stores import DOLLAR, HOUR_MS, NOON_MS, HandClock, flushed, granted, of, store_of

LEASE_MS = 900_000
PACE = Counter("pace", "key", "a", requests=3, tokens=100)
DAILY = Counter("daily", "tenant", "a", day=10 * DOLLAR)
MONTHLY = Counter("monthly", "tenant", "a", month=10 * DOLLAR)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest, clock: HandClock, redis_url: str) -> AsyncIterator[Store]:
    async with store_of(request.param, clock, redis_url) as made:
        yield made


async def reserve(store: Store, *charges: Charge, lease_ms: int = LEASE_MS) -> object:
    return await store.reserve(charges, lease_ms)


async def settle(store: Store, answer: object, *taken: Charge) -> None:
    store.settle(granted(answer).reservation, taken)
    await flushed(store)


async def test_what_does_not_fit_one_limit_takes_nothing_of_any(store: Store) -> None:
    for _ in range(3):
        granted(await reserve(store, of(PACE, 1), of(DAILY, dollars=1)))
    refused = await reserve(store, of(DAILY, dollars=1), of(PACE, 1))
    assert isinstance(refused, Refused)
    assert (refused.number, refused.kind) == (1, "requests")
    [pace, daily] = await store.peek([PACE, DAILY])
    assert (pace.requests, pace.tokens, daily.day_held) == (3, 3, 3 * DOLLAR)


async def test_a_minute_is_any_sixty_seconds_and_frees_at_most_five_late(store: Store, clock: HandClock) -> None:
    for _ in range(3):
        granted(await reserve(store, of(PACE)))
        clock.pass_by(seconds=7)
    refused = await reserve(store, of(PACE))
    assert isinstance(refused, Refused)
    assert 60_000 - 21_000 <= refused.wait_ms <= 65_000 - 21_000
    clock.pass_by(ms=refused.wait_ms - 1)
    assert isinstance(await reserve(store, of(PACE)), Refused)
    clock.pass_by(ms=1)
    granted(await reserve(store, of(PACE)))
    assert isinstance(await reserve(store, of(PACE)), Refused)


async def test_tokens_are_those_that_were_taken_in_the_end(store: Store) -> None:
    big = await reserve(store, of(PACE, 90))
    assert isinstance(await reserve(store, of(PACE, 30)), Refused)
    await settle(store, big, of(PACE, 20))
    small = granted(await reserve(store, of(PACE, 30)))
    assert small.standings[0].tokens == 50


async def test_more_than_was_reserved_counts_too(store: Store) -> None:
    first = await reserve(store, of(PACE, 10), of(DAILY, dollars=1))
    await settle(store, first, of(PACE, 130), of(DAILY, dollars=12))
    [pace, daily] = await store.peek([PACE, DAILY])
    assert (pace.tokens, daily.day_spent, daily.day_held) == (130, 12 * DOLLAR, 0)
    assert daily.share(DAILY) == 1.0
    assert isinstance(await reserve(store, of(DAILY, dollars=0.01)), Refused)


async def test_what_costs_nothing_fits_into_a_budget_that_is_spent(store: Store) -> None:
    await settle(store, await reserve(store, of(DAILY, dollars=10)), of(DAILY, dollars=10))
    granted(await reserve(store, of(DAILY, dollars=0)))


async def test_a_budget_under_way_is_told_from_one_that_is_spent(store: Store, clock: HandClock) -> None:
    under_way = await reserve(store, of(DAILY, dollars=10))
    refused = await reserve(store, of(DAILY, dollars=1))
    assert isinstance(refused, Refused)
    assert refused.wait_ms <= 1_000
    await settle(store, under_way, of(DAILY, dollars=10))
    refused = await reserve(store, of(DAILY, dollars=1))
    assert isinstance(refused, Refused)
    assert refused.wait_ms == 12 * HOUR_MS, "it is noon: the day has twelve hours left"
    clock.pass_by(ms=refused.wait_ms)
    granted(await reserve(store, of(DAILY, dollars=1)))


async def test_settling_twice_counts_once(store: Store) -> None:
    one = await reserve(store, of(DAILY, dollars=2))
    await settle(store, one, of(DAILY, dollars=1))
    await settle(store, one, of(DAILY, dollars=1))
    [daily] = await store.peek([DAILY])
    assert (daily.day_spent, daily.day_held) == (DOLLAR, 0)


async def test_a_lost_reservation_comes_back_when_its_lease_is_over(store: Store, clock: HandClock) -> None:
    granted(await reserve(store, of(DAILY, dollars=9)))
    clock.pass_by(ms=LEASE_MS - 1)
    assert isinstance(await reserve(store, of(DAILY, dollars=2)), Refused)
    clock.pass_by(ms=1)
    granted(await reserve(store, of(DAILY, dollars=10)))


async def test_a_settlement_after_the_lease_still_counts_and_gives_nothing_back_twice(
    store: Store, clock: HandClock
) -> None:
    late = await reserve(store, of(DAILY, dollars=4))
    clock.pass_by(ms=LEASE_MS)
    granted(await reserve(store, of(DAILY, dollars=5)))
    await settle(store, late, of(DAILY, dollars=3))
    [daily] = await store.peek([DAILY])
    assert (daily.day_spent, daily.day_held) == (3 * DOLLAR, 5 * DOLLAR)


async def test_money_counts_on_the_day_that_its_request_began(store: Store, clock: HandClock) -> None:
    clock.pass_by(ms=12 * HOUR_MS - 1_000)
    before_midnight = await reserve(store, of(DAILY, dollars=2), of(MONTHLY, dollars=2))
    clock.pass_by(ms=2_000)
    await settle(store, before_midnight, of(DAILY, dollars=2), of(MONTHLY, dollars=2))
    [daily, monthly] = await store.peek([DAILY, MONTHLY])
    assert (daily.day_spent, daily.day_held) == (0, 0)
    assert (monthly.month_spent, monthly.month_held) == (2 * DOLLAR, 0)


async def test_money_that_nothing_was_reserved_for_counts(store: Store) -> None:
    store.spend([of(DAILY, dollars=3), of(MONTHLY, dollars=1)])
    await flushed(store)
    [daily, monthly] = await store.peek([DAILY, MONTHLY])
    assert (daily.day_spent, monthly.month_spent) == (3 * DOLLAR, DOLLAR)


async def test_what_somebody_else_has_in_writing_is_the_least_that_was_spent(store: Store, clock: HandClock) -> None:
    today, this_month = day_of(clock.now_ms), month_of(clock.now_ms)
    store.learn(DAILY, Known(today, 4 * DOLLAR, this_month, 4 * DOLLAR))
    store.learn(DAILY, Known(today, 3 * DOLLAR, this_month, 3 * DOLLAR))
    store.learn(MONTHLY, Known(today - 1, 9 * DOLLAR, this_month - 1, 9 * DOLLAR))
    [daily, monthly] = await store.peek([DAILY, MONTHLY])
    assert (daily.day_spent, monthly.month_spent) == (4 * DOLLAR, 0)


async def test_a_new_figure_goes_on_with_the_old_count(store: Store) -> None:
    await settle(store, await reserve(store, of(DAILY, dollars=6)), of(DAILY, dollars=6))
    higher = Counter(DAILY.name, DAILY.per, DAILY.subject, day=20 * DOLLAR)
    granted(await reserve(store, of(higher, dollars=14)))
    assert isinstance(await reserve(store, of(higher, dollars=1)), Refused)


async def test_a_clock_that_is_set_back_over_midnight_forgets_no_money(store: Store, clock: HandClock) -> None:
    clock.now_ms = int(datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC).timestamp() * 1000)
    both = Counter("both", "all", "all", day=10 * DOLLAR, month=10 * DOLLAR)
    for ms, dollars in ((0, 6), (1_000, 3), (-1_000, 0), (1_000, 0)):
        clock.pass_by(ms=ms)
        store.spend([of(both, dollars=dollars)])
        await flushed(store)
    [standing] = await store.peek([both])
    assert (standing.day_spent, standing.month_spent) == (3 * DOLLAR, 3 * DOLLAR)
    clock.pass_by(ms=-1_000)
    [standing] = await store.peek([both])
    assert (standing.day_spent, standing.month_spent) == (6 * DOLLAR, 6 * DOLLAR)


async def test_a_clock_that_was_set_back_holds_nobody_up_for_long(store: Store, clock: HandClock) -> None:
    for _ in range(3):
        granted(await reserve(store, of(PACE)))
    clock.pass_by(ms=-HOUR_MS)
    granted(await reserve(store, of(PACE)))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["memory", "redis"]),
    moment=st.integers(1_704_067_200, 4_260_211_200).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
)
@example("redis", datetime(2028, 2, 29, 23, 59, 59, tzinfo=UTC))
@example("redis", datetime(2026, 12, 31, tzinfo=UTC))
@example("memory", datetime(2028, 2, 29, 23, 59, 59, tzinfo=UTC))
def test_a_month_is_one_of_the_calendar(redis_server: RedisServer, kind: str, moment: datetime) -> None:
    async def ends_ms() -> int:
        redis_server.empty()
        clock = HandClock(int(moment.timestamp() * 1000))
        async with store_of(kind, clock, redis_server.url) as store:
            store.spend([of(MONTHLY, dollars=10)])
            await flushed(store)
            refused = await reserve(store, of(MONTHLY, dollars=1))
            assert isinstance(refused, Refused)
            clock.pass_by(ms=refused.wait_ms)
            granted(await reserve(store, of(MONTHLY, dollars=1)))
            return clock.now_ms

    first = (moment.replace(day=1) + timedelta(days=32)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    assert asyncio.run(ends_ms()) == int(first.timestamp() * 1000)


async def test_nobody_gets_past_a_limit_by_coming_at_once(store: Store) -> None:
    answers = await asyncio.gather(*(reserve(store, of(DAILY, dollars=0.3)) for _ in range(100)))
    assert sum(not isinstance(answer, Refused) for answer in answers) == 33


def test_noon_is_noon() -> None:
    assert datetime.fromtimestamp(NOON_MS / 1000, UTC) == datetime(2026, 1, 5, 12, tzinfo=UTC)
