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

_NAME = re.compile(rf"^(?:{'|'.join(PARTITIONED)})_(\d{{8}})$")


class Partitions:
    """Knows which days have partitions already, so that most writes ask nobody."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def missing(self, times_unix: Iterable[float]) -> set[int]:
        """Days (since the epoch) that rows of these times need, and those soon to come, as far as not seen yet."""
        today = int(time.time() // DAY)
        wanted = {int(at // DAY) for at in times_unix}
        wanted = {day for day in wanted if today - DAYS_BACK <= day <= today + DAYS_AHEAD}
        return (wanted | set(range(today, today + DAYS_AHEAD + 1))) - self._seen

    async def make(self, connection: AsyncConnection, days: set[int]) -> None:
        """Makes what is missing; needs the store's turn. A day that cannot have one stays in the default."""
        await connection.execute(sa.text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))
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
                if connection.closed or error.connection_invalidated:
                    raise
                log.warning("no partition for day %s, its rows go to the default: %s", _date(day), error.orig)
            self._seen.add(day)


def partition_name(table: str, day: int) -> str:
    """`outcomes_20261121` for a day since the epoch."""
    return f"{table}_{_date(day)}"


async def drop_before(connection: AsyncConnection, table: str, before_unix: float) -> int:
    """Drops a table's partitions that end at or before a time; returns how many rows were in them."""
    names = (await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names())) or []
    gone = 0
    for name in names:
        found = _NAME.match(name)
        if found is None or not name.startswith(f"{table}_"):
            continue
        day = datetime.strptime(found[1], "%Y%m%d").replace(tzinfo=UTC).timestamp()
        if day + DAY <= before_unix:
            gone += (await connection.execute(sa.text(f"SELECT count(*) FROM {name}"))).scalar_one()  # noqa: S608
            await connection.execute(sa.text(f"DROP TABLE {name}"))
    return gone


def _date(day: int) -> str:
    return datetime.fromtimestamp(day * DAY, UTC).strftime("%Y%m%d")
