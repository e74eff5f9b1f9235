"""PostgreSQL keeps a partition for each day, and drops them whole."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa

from router.ledger.partitions import DAY, DAYS_AHEAD, partition_name
from router.ledger.store import SqlStore
from router.ledger.tables import PARTITIONED, outcomes

from .outcomes import a_full_outcome


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[SqlStore]:
    opened = SqlStore(postgres_url)
    await opened.open()
    yield opened
    await opened.aclose()


async def tables(store: SqlStore) -> set[str]:
    async with store.transaction() as connection:
        return set(await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names()))


async def places(store: SqlStore) -> dict[str, str]:
    """In which partition each request lies."""
    place = sa.literal_column("tableoid::regclass::text").label("place")
    return {row["request_id"]: row["place"] for row in await store.rows(sa.select(outcomes.c.request_id, place))}


async def test_the_days_to_come_have_partitions_before_they_begin(store: SqlStore) -> None:
    today = int(time.time() // DAY)
    wanted = {partition_name(table, today + ahead) for table in PARTITIONED for ahead in range(DAYS_AHEAD + 1)}
    assert wanted <= await tables(store)


async def test_a_row_lies_in_the_partition_of_its_day_and_a_strange_one_in_the_default(store: SqlStore) -> None:
    now = time.time()
    today = int(now // DAY)
    times = {"now": now, "last week": now - 7 * DAY, "first second": float(today * DAY), "1970": 5.0, "far": now + 1e9}
    await store.write([a_full_outcome(request_id=name, at_unix=at) for name, at in times.items()])
    assert await places(store) == {
        "now": partition_name("outcomes", today),
        "first second": partition_name("outcomes", today),
        "last week": partition_name("outcomes", today - 7),
        "1970": "outcomes_default",
        "far": "outcomes_default",
    }


async def test_a_day_whose_rows_are_in_the_default_already_stays_there(store: SqlStore, postgres_url: str) -> None:
    at = time.time() - 3 * DAY
    day = int(at // DAY)
    await store.write([a_full_outcome(request_id="first", at_unix=at)])
    async with store.transaction() as connection:
        for table in PARTITIONED:
            name = partition_name(table, day)
            await connection.execute(sa.text(f"ALTER TABLE {table} DETACH PARTITION {name}"))
            await connection.execute(sa.text(f"INSERT INTO {table}_default SELECT * FROM {name}"))
            await connection.execute(sa.text(f"DROP TABLE {name}"))
    other = SqlStore(postgres_url)
    await other.write([a_full_outcome(request_id="second", at_unix=at + 1)])
    await other.aclose()
    assert await places(store) == {"first": "outcomes_default", "second": "outcomes_default"}


async def test_pruning_drops_whole_days_and_cuts_the_one_it_falls_into(store: SqlStore) -> None:
    now = time.time()
    today = int(now // DAY)
    border = (today - 5) * DAY + DAY / 2
    times = [border - 3 * DAY, border - DAY, border - 60, border + 60, now]
    await store.write([a_full_outcome(request_id=str(number), at_unix=at) for number, at in enumerate(times)])
    assert await store.prune(border) == 3
    left = await tables(store)
    for table in PARTITIONED:
        assert partition_name(table, today - 5) in left
        assert not {partition_name(table, today - 8), partition_name(table, today - 6)} & left
    assert set(await places(store)) == {"3", "4"}


async def test_a_report_that_holds_the_table_does_not_hold_up_writing(postgres_url: str) -> None:
    first, second = SqlStore(postgres_url), SqlStore(postgres_url)
    await first.open()
    async with first.transaction() as reader:
        await reader.execute(sa.text("LOCK TABLE outcomes IN ACCESS SHARE MODE"))
        await second.write([a_full_outcome(request_id="old", at_unix=time.time() - 9 * DAY)])
        assert await places(second) == {"old": "outcomes_default"}
    await first.aclose()
    await second.aclose()
