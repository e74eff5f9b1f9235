"""The watch goes on through a database that is away, and through a turn that fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

from router.learning.rounds import rounds
from router.learning.turns import Turn
from router.learning.watching import Watch
from router.ledger.store import SqlStore
from tests.servers import PostgresServer

PATIENCE_SECONDS = 60.0


async def until(seen: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not seen():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_a_watch_goes_on_when_its_database_is_back(
    postgres_process: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    store, turns, stop = SqlStore(postgres_process.url), list[Turn](), asyncio.Event()

    def away() -> int:
        return sum("looked after just now" in record.getMessage() for record in caplog.records)

    with caplog.at_level(logging.INFO):
        going = asyncio.create_task(
            rounds(store, Watch(store, tier="fast"), 0.1, stop, turns.append, again_seconds=0.2)
        )
        await until(lambda: len(turns) >= 2)
        postgres_process.kill()
        await until(lambda: away() > 0)
        seen = len(turns)
        await asyncio.sleep(1.0)
        assert not going.done() and away() <= 3
        postgres_process.start()
        await until(lambda: len(turns) > seen + 1)
        assert any("are looked after again" in record.getMessage() for record in caplog.records)
        stop.set()
        await asyncio.wait_for(going, 10)
    await store.aclose()


class FailsOnce(Watch):
    """A watch whose first turn meets what nobody foresaw."""

    failed = False

    async def turn(self) -> Turn:
        if not self.failed:
            self.failed = True
            raise RuntimeError("nobody foresaw this")
        return await super().turn()


async def test_a_turn_that_fails_does_not_end_the_watch(
    tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture
) -> None:
    store = SqlStore(f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'ledger.sqlite3'}")
    turns, stop = list[Turn](), asyncio.Event()
    going = asyncio.create_task(rounds(store, FailsOnce(store, tier="fast"), 0.05, stop, turns.append))
    await until(lambda: bool(turns))
    stop.set()
    await asyncio.wait_for(going, 10)
    assert any("a turn of the watch failed" in record.getMessage() for record in caplog.records)
    await store.aclose()
