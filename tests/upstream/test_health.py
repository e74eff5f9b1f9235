"""The breaker opens, waits, lets one call probe, and forgets; and a full model is busy, not broken."""

from __future__ import annotations

import pytest

from router.domain import ModelSpec, Timeouts
from router.errors import UpstreamBroken, UpstreamRateLimited
from router.upstream.health import FAILURES_IN_A_ROW, LONGEST_PAUSE_SECONDS, PAUSE_SECONDS, Health

SMALL = ModelSpec("small", "small", "m", timeouts=Timeouts(first_token=30.0))
BROKEN = UpstreamBroken("broken")


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(clock)


def fail(health: Health, times: int = FAILURES_IN_A_ROW) -> None:
    for _ in range(times):
        health.record_failure("small", BROKEN)


def test_all_is_well_at_first_and_costs_nothing(health: Health) -> None:
    assert not health.unavailable()
    assert health.unavailable() is health.unavailable()
    assert health.retry_after() is None


def test_failures_in_a_row_open_the_breaker_and_say_why(health: Health) -> None:
    fail(health, FAILURES_IN_A_ROW - 1)
    assert not health.unavailable()
    fail(health, 1)
    assert set(health.unavailable()) == {"small"}
    assert "failures in a row" in health.unavailable()["small"] and "upstream_broken" in health.unavailable()["small"]
    assert health.retry_after() == PAUSE_SECONDS


def test_a_success_between_failures_keeps_it_closed(health: Health) -> None:
    for _ in range(3):
        fail(health, FAILURES_IN_A_ROW - 1)
        health.record_success("small")
    assert not health.unavailable()


def test_one_model_says_nothing_of_another(health: Health) -> None:
    fail(health)
    assert "large" not in health.unavailable()


def test_after_the_pause_one_call_probes_while_others_stay_away(health: Health, clock: Clock) -> None:
    fail(health)
    clock.now += PAUSE_SECONDS
    assert not health.unavailable()
    health.enter(SMALL)
    assert "tried again" in health.unavailable()["small"]
    health.record_success("small")
    health.leave(SMALL)
    assert not health.unavailable()


def test_a_failed_probe_doubles_the_pause_up_to_a_bound(health: Health, clock: Clock) -> None:
    fail(health)
    pauses = []
    for _ in range(8):
        pauses.append(health.retry_after())
        clock.now += pauses[-1] or 0.0
        health.enter(SMALL)
        health.record_failure("small", BROKEN)
        health.leave(SMALL)
    assert pauses[:3] == [PAUSE_SECONDS, 2 * PAUSE_SECONDS, 4 * PAUSE_SECONDS]
    assert pauses[-1] == LONGEST_PAUSE_SECONDS


def test_a_probe_that_is_never_heard_of_again_does_not_block_the_model_for_ever(health: Health, clock: Clock) -> None:
    fail(health)
    clock.now += PAUSE_SECONDS
    health.enter(SMALL)
    clock.now += SMALL.timeouts.first_token
    assert not health.unavailable()


def test_failures_while_open_do_not_push_the_probe_away(health: Health, clock: Clock) -> None:
    fail(health)
    clock.now += PAUSE_SECONDS / 2
    fail(health, 20)  # calls that were under way when it opened
    assert health.retry_after() == PAUSE_SECONDS / 2


def test_a_rate_limit_with_a_time_opens_at_once_for_that_time(health: Health, clock: Clock) -> None:
    health.record_failure("small", UpstreamRateLimited("slow down", retry_after=20.0))
    assert "rate" in health.unavailable()["small"] and health.retry_after() == 20.0
    clock.now += 20.0
    assert not health.unavailable()


def test_a_rate_limit_without_a_time_counts_as_a_failure(health: Health) -> None:
    health.record_failure("small", UpstreamRateLimited("slow down"))
    assert not health.unavailable()


def test_a_model_with_all_its_calls_open_is_busy_until_one_is_over(health: Health) -> None:
    narrow = ModelSpec("narrow", "small", "m", max_concurrency=2)
    health.enter(narrow)
    assert not health.unavailable()
    health.enter(narrow)
    assert "busy" in health.unavailable()["narrow"]
    with pytest.raises(UpstreamRateLimited) as raised:
        health.enter(narrow)
    assert raised.value.retry_next
    health.leave(narrow)
    assert not health.unavailable()
    health.leave(narrow)
    health.enter(narrow)
    assert not health.unavailable()


def test_a_model_without_a_limit_is_never_busy(health: Health) -> None:
    for _ in range(1000):
        health.enter(SMALL)
    assert not health.unavailable()
