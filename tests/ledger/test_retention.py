"""What is old enough is forgotten, and nothing else."""

from __future__ import annotations

from pathlib import Path

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
