"""The same store twice: every test that takes `store` or `store_url` runs on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from router.ledger.store import SqlStore
from router.ledger.tables import metadata
from tests.servers import PostgresServer

BOTH = ["sqlite", "postgres"]


@pytest.fixture(params=BOTH)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, without any tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture(scope="session")
def lasting_postgres_url(postgres_server: PostgresServer) -> str:
    """A database whose tables outlive a test, since making them takes longer than most tests."""
    return postgres_server.create_database()


@pytest.fixture(params=BOTH)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqlStore]:
    """An open store without any rows. A test that changes tables makes its own, by `store_url`."""
    if request.param == "sqlite":
        opened = SqlStore(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    else:
        opened = SqlStore(request.getfixturevalue("lasting_postgres_url"))
    await opened.open()
    async with opened.transaction() as connection:
        for table in metadata.tables.values():
            await connection.execute(sa.delete(table))
    yield opened
    await opened.aclose()
