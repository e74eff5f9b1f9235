"""PostgreSQL's partitions: one for each UTC day, made ahead and on demand, dropped whole when their time is over.

A default partition is the net: whatever finds no day of its own is kept there, so a write never waits for this.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from router.ledger.tables import PARTITIONED

log = logging.getLogger(__name__)

DAY = 86_400
DAYS_AHEAD = 2
DAYS_BACK = 31
"""Rows older than this come from a wrong clock or a test; they stay in the default partition."""

LOCK_SECONDS = 2
"""How long making or dropping may wait for running reports; everybody else queues behind it meanwhile."""

RETRY_SECONDS = 60

_LOCK_NOT_AVAILABLE = "55P03"

_NAME = re.compile(rf"^(?:{'|'.join(PARTITIONED)})_(\d{{8}})$")


class Partitions:
    """Knows which days have partitions already, so that most writes ask nobody."""

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._not_before = 0.0

    def put_off(self) -> None:
        """It could not be done now; the default partition serves until it is tried again."""
        self._not_before = time.monotonic() + RETRY_SECONDS

    def missing(self, times_unix: Iterable[float]) -> set[int]:
        """Days (since the epoch) that rows of these times need, and those soon to come, as far as not seen yet."""
        if time.monotonic() < self._not_before:
            return set()
        today = int(time.time() // DAY)
        wanted = {int(at // DAY) for at in times_unix}
        wanted = {day for day in wanted if today - DAYS_BACK <= day <= today + DAYS_AHEAD}
        return (wanted | set(range(today, today + DAYS_AHEAD + 1))) - self._seen

    async def make(self, connection: AsyncConnection, days: set[int]) -> None:
        """Makes what is missing; needs the store's turn. A day that cannot have one stays in the default."""
        for day in sorted(days):
            try:
                async with connection.begin_nested():
                    for table in PARTITIONED:
                        await connection.execute(
                            sa.text(
                                f"CREATE TABLE IF NOT EXISTS {partition_name(table, day)} PARTITION OF {table} "
                                f"FOR VALUES FROM ({day * DAY}) TO ({(day + 1) * DAY})"
                            )
                        )
            except DBAPIError as error:
                state = getattr(error.orig, "sqlstate", None)
                if state is None or state == _LOCK_NOT_AVAILABLE:
                    raise
                log.warning("no partition for day %s, its rows go to the default: %s", _date(day), error.orig)
            self._seen.add(day)


async def wait_briefly(connection: AsyncConnection) -> None:
    """For the rest of the transaction no lock is waited for longer than LOCK_SECONDS."""
    await connection.execute(sa.text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))


def partition_name(table: str, day: int) -> str:
    """`outcomes_20261121` for a day since the epoch."""
    return f"{table}_{_date(day)}"


async def drop_before(connection: AsyncConnection, table: str, before_unix: float) -> int:
    """Drops a table's partitions that end at or before a time; returns how many rows were in them."""
    old = [
        name
        for name in await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names())
        if name.startswith(f"{table}_") and (found := _NAME.match(name)) and _end(found[1]) <= before_unix
    ]
    # Counted before the first is dropped: from then on the table is closed to everybody else.
    counts = [(await connection.execute(sa.text(f"SELECT count(*) FROM {name}"))).scalar_one() for name in old]  # noqa: S608
    for name in old:
        await connection.execute(sa.text(f"DROP TABLE {name}"))
    return sum(counts)


def _end(date: str) -> float:
    return datetime.strptime(date, "%Y%m%d").replace(tzinfo=UTC).timestamp() + DAY


def _date(day: int) -> str:
    return datetime.fromtimestamp(day * DAY, UTC).strftime("%Y%m%d")
