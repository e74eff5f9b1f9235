"""What is old enough is forgotten, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from router.domain import Outcome
from router.ledger.reports import request
from router.ledger.retention import DAY_SECONDS, EVERY_SECONDS, Retention
from router.ledger.store import SqlStore

START = 1_800_000_000.0


async def test_old_requests_are_forgotten_hourly_and_young_ones_stay(tmp_path: Path) -> None:
    now = START
    store = SqlStore(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    try:
        await store.open()
        await store.write(
            [
                Outcome("old", START - 10 * DAY_SECONDS, "t", "k", model="m"),
                Outcome("young", START - 9 * DAY_SECONDS, "t", "k", model="m"),
            ]
        )
        retention = Retention(store, 9.5, 5, clock=lambda: now)
        await retention.poll()
        assert await request(store, "old") is not None
        now += EVERY_SECONDS
        await retention.poll()
        assert await request(store, "old") is None
        assert await request(store, "young") is not None
    finally:
        await store.aclose()


YEAR_SECONDS = 365 * DAY_SECONDS


@pytest.mark.parametrize("asked_meanwhile", [False, True])
async def test_a_clock_that_is_years_ahead_forgets_nothing(
    store: SqlStore, caplog: pytest.LogCaptureFixture, asked_meanwhile: bool
) -> None:
    now = START
    await store.open()
    old = [Outcome(f"old {age}", START - age * DAY_SECONDS, "t", "k", model="m") for age in (1, 3, 5, 12)]
    await store.write(old)
    retention = Retention(store, 10, 4, clock=lambda: now)
    now += 12 * YEAR_SECONDS
    if asked_meanwhile:
        await store.write([Outcome("new", now - 60, "t", "k", model="m")])
    await retention.poll()
    assert all([await request(store, outcome.request_id) for outcome in old])
    assert caplog.text.count("nothing is forgotten") == 1
    await retention.poll()
    assert caplog.text.count("nothing is forgotten") == 1, "it is said once an hour"
    now = START + 2 * EVERY_SECONDS
    await retention.poll()
    kept = [outcome.request_id for outcome in old if await request(store, outcome.request_id)]
    assert kept == ["old 1", "old 3", "old 5"], "a clock that is right again forgets as ever"


async def test_a_quiet_season_is_no_wrong_clock(store: SqlStore) -> None:
    now = START
    await store.open()
    await store.write([Outcome("old", START, "t", "k", model="m")])
    retention = Retention(store, 10, 4, clock=lambda: now)
    now += 200 * DAY_SECONDS
    await retention.poll()
    assert await request(store, "old") is None
