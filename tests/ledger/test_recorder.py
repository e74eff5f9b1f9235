"""The recorder loses nothing that it does not count, whatever the database does."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from router.domain import Outcome
from router.errors import RowsRefused, StoreAway, StoreError
from router.ledger.recorder import Recorder
from router.ledger.store import SqlStore
from router.ledger.tables import outcomes
from tests.servers import PostgresServer

from .outcomes import an_outcome


class Shelf:
    """A writer in memory. `moods` says how it takes each write in turn: well, away, or written but never heard of."""

    def __init__(self, moods: Sequence[str] = (), poison: frozenset[str] = frozenset()) -> None:
        self.moods, self.poison = itertools.chain(moods, itertools.repeat("well")), poison
        self.rows: dict[str, Outcome] = {}

    async def open(self) -> None:
        return None

    async def write(self, batch: Sequence[Outcome]) -> None:
        mood = next(self.moods)
        await asyncio.sleep(0)
        if mood == "away":
            raise StoreAway("away")
        if self.poison & {outcome.request_id for outcome in batch}:
            raise RowsRefused("poison")
        self.rows |= {outcome.request_id: outcome for outcome in batch}
        if mood == "unheard":
            raise StoreAway("the line broke after the commit")


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.02)


async def count(store: SqlStore) -> int:
    return int((await store.rows(sa.select(sa.func.count().label("n")).select_from(outcomes)))[0]["n"])


async def flush_until_done(recorder: Recorder) -> None:
    while recorder.waiting:
        try:
            await recorder.flush()
        except StoreAway:
            continue


@settings(deadline=None)
@given(
    moods=st.lists(st.sampled_from(["well", "away", "unheard"]), max_size=12),
    steps=st.lists(st.integers(0, 40) | st.just("flush"), max_size=12),
    capacity=st.integers(1, 60),
    every_nth_is_poison=st.integers(2, 30),
)
async def test_rows_and_drops_add_up_to_what_was_recorded(
    moods: list[str], steps: list[int | str], capacity: int, every_nth_is_poison: int
) -> None:
    poison = frozenset(str(number) for number in range(0, 500, every_nth_is_poison))
    shelf, told = Shelf(moods, poison), []
    recorder = Recorder(shelf, capacity=capacity, on_drop=told.append)
    names = (str(number) for number in itertools.count())
    recorded = 0
    for step in steps:
        if step == "flush":
            try:
                await recorder.flush()
            except StoreAway:
                continue
        else:
            for _ in range(int(step)):
                recorder.record(an_outcome(request_id=next(names)))
                recorded += 1
        assert recorder.waiting <= capacity
    await flush_until_done(recorder)
    assert len(shelf.rows) == recorder.written
    assert recorder.written + recorder.dropped == recorded
    assert sum(told) == recorder.dropped
    assert not poison & shelf.rows.keys()


async def test_a_row_at_fault_goes_alone(store: SqlStore) -> None:
    recorder = Recorder(store)
    for number in range(100):
        recorder.record(an_outcome(status=2**70 if number == 37 else 200))
    recorder.record(an_outcome(tenant=None))
    await recorder.flush()
    assert (recorder.written, recorder.dropped, await count(store)) == (99, 2, 99)


async def test_recorded_rows_are_readable_without_asking_for_it(store: SqlStore) -> None:
    recorder = Recorder(store)
    await recorder.start()
    given = an_outcome()
    recorder.record(given)
    assert recorder.knows(given.request_id, "acme")
    assert not recorder.knows(given.request_id, "umbrella")
    await until(lambda: recorder.written == 1)
    assert not recorder.knows(given.request_id, "acme")
    assert await count(store) == 1
    await recorder.drain(10)


async def test_draining_writes_what_waits_and_takes_nothing_more(store: SqlStore) -> None:
    recorder = Recorder(store)
    await recorder.start()
    for _ in range(1234):
        recorder.record(an_outcome())
    await recorder.drain(30)
    recorder.record(an_outcome())
    assert (recorder.written, recorder.dropped, await count(store)) == (1234, 1, 1234)


async def test_draining_gives_up_at_its_timeout_and_counts_what_it_gives_up() -> None:
    recorder = Recorder(Shelf(["away"] * 1000))
    await recorder.start()
    for _ in range(10):
        recorder.record(an_outcome())
    await recorder.drain(0.1)
    assert (recorder.written, recorder.dropped, recorder.waiting) == (0, 10, 0)


async def test_a_recorder_that_never_ran_drains_too(store: SqlStore) -> None:
    recorder = Recorder(store)
    recorder.record(an_outcome())
    await recorder.drain(10)
    assert await count(store) == 1


async def test_a_database_that_is_away_at_the_start_is_used_when_it_comes(tmp_path: Path) -> None:
    blocked = tmp_path / "data"
    blocked.write_text("a file where the folder should be")
    store = SqlStore(f"sqlite:///{blocked / 'ledger.sqlite3'}")
    recorder = Recorder(store)
    await recorder.start()
    recorder.record(an_outcome())
    assert recorder.state == "degraded"
    blocked.unlink()
    await until(lambda: recorder.written == 1)
    assert recorder.state == "ok"
    await recorder.drain(10)
    await store.aclose()


async def test_somebody_elses_database_stops_the_start(store_url: str) -> None:
    store = SqlStore(store_url)
    async with store.transaction() as connection:
        await connection.execute(sa.text("CREATE TABLE customers (id int)"))
    with pytest.raises(StoreError, match="customers"):
        await Recorder(store).start()
    await store.aclose()


async def test_rows_outlive_a_postgres_that_is_killed_and_comes_back(postgres_process: PostgresServer) -> None:
    store = SqlStore(postgres_process.create_database())
    recorder = Recorder(store, capacity=2000)
    await recorder.start()
    recorded = 0

    async def traffic(rows: int) -> None:
        nonlocal recorded
        for _ in range(rows):
            recorder.record(an_outcome())
            recorded += 1
            if recorded % 20 == 0:
                await asyncio.sleep(0.002)

    await traffic(1500)
    killing = asyncio.create_task(asyncio.to_thread(postgres_process.kill))
    await traffic(1500)
    await killing
    await until(lambda: recorder.state == "degraded")
    await traffic(3000)
    assert recorder.waiting == 2000
    await asyncio.to_thread(postgres_process.start)
    await until(lambda: recorder.waiting == 0)
    await traffic(100)
    await recorder.drain(30)
    assert recorder.state == "ok"
    assert 0 < recorder.dropped < recorded
    assert await count(store) == recorder.written
    assert recorder.written + recorder.dropped == recorded
    await store.aclose()


async def test_a_postgres_that_hangs_does_not_keep_the_gateway_from_ending(postgres_process: PostgresServer) -> None:
    store = SqlStore(postgres_process.create_database())
    recorder = Recorder(store)
    await recorder.start()
    recorder.record(an_outcome())
    await until(lambda: recorder.written == 1)
    postgres_process.pause()
    recorder.record(an_outcome())
    await recorder.drain(0.5)
    assert (recorder.written, recorder.dropped) == (1, 1)
    async with asyncio.timeout(20):
        await store.aclose()


async def test_a_locked_sqlite_file_is_waited_for(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    store, other = SqlStore(url), SqlStore(url)
    recorder = Recorder(store)
    await recorder.start()
    async with other.transaction():
        recorder.record(an_outcome())
        await asyncio.sleep(0.5)
        assert recorder.written == 0
    await until(lambda: recorder.written == 1)
    await recorder.drain(10)
    await store.aclose()
    await other.aclose()
