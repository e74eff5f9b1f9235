"""What only one may do at a time on a ledger: on both databases, while it lasts, and no longer than its process."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from router.errors import StoreBusy
from router.ledger.store import SqlStore
from tests.ledger.conftest import BOTH


@pytest.fixture(params=BOTH)
async def pair(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[SqlStore, SqlStore, str]]:
    """Two programs on one ledger, and its URL."""
    sqlite = f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    url = sqlite if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    stores = SqlStore(url), SqlStore(url)
    for store in stores:
        await store.open()
    yield *stores, url
    for store in stores:
        await store.aclose()


async def test_the_second_is_refused_while_the_first_lasts(pair: tuple[SqlStore, SqlStore, str]) -> None:
    one, other, _ = pair
    async with one.alone("retraining"):
        with pytest.raises(StoreBusy, match="another retraining is running"):
            async with other.alone("retraining"):
                raise AssertionError("both were let in")
        async with other.alone("something else"):
            pass
    async with other.alone("retraining"):
        pass


async def test_a_failure_lets_go(pair: tuple[SqlStore, SqlStore, str]) -> None:
    one, other, _ = pair
    with pytest.raises(ZeroDivisionError):
        async with one.alone("retraining"):
            raise ZeroDivisionError
    async with other.alone("retraining"):
        pass


HOLDER = """
import asyncio, sys
from router.ledger.store import SqlStore

async def hold():
    store = SqlStore(sys.argv[1])
    async with store.alone("retraining"):
        print("held", flush=True)
        await asyncio.sleep(60)

asyncio.run(hold())
"""


async def test_a_killed_process_lets_go(pair: tuple[SqlStore, SqlStore, str]) -> None:
    one, _, url = pair
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", HOLDER, url, stdout=asyncio.subprocess.PIPE)
    try:
        assert child.stdout is not None
        assert await child.stdout.readline() == b"held\n"
        with pytest.raises(StoreBusy):
            async with one.alone("retraining"):
                raise AssertionError("both were let in")
    finally:
        child.kill()
        await child.wait()
    for _attempt in range(50):
        try:
            async with one.alone("retraining"):
                return
        except StoreBusy:  # PostgreSQL has yet to notice that the connection is gone
            await asyncio.sleep(0.1)
    raise AssertionError("the lock outlived its holder")
