"""From a database URL to an engine, and from a driver's errors to ours. What is done with the engine is `store`'s."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakSet

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util import await_only

from router.errors import RowsRefused, StoreAway, StoreError

CONNECT_SECONDS = 5.0
STATEMENT_SECONDS = 60.0
SQLITE_BUSY_SECONDS = 5.0
"""How long a writer waits for another process's transaction on the same file."""
WAL_SECONDS = 1.0
"""How long a new file is asked again for its write-ahead log."""

WRITES = "signalbox_writes"
"""Execution option of connections that will write: SQLite then takes its lock at BEGIN, and cannot fail half-way."""

_SQLITE = ("sqlite", "sqlite+aiosqlite")
_POSTGRES = ("postgres", "postgresql", "postgresql+asyncpg")

_ROW_AT_FAULT = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    OverflowError,
    UnicodeError,
    TypeError,
)


def engine_for(url: str) -> AsyncEngine:
    """An engine that has not connected yet. Raises StoreError for a URL that names neither kind of database."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreError("The database URL must look like sqlite:///FILE or postgresql://USER@HOST/NAME.") from None
    if parsed.drivername in _SQLITE:
        return _sqlite(parsed)
    if parsed.drivername in _POSTGRES:
        return _postgres(parsed)
    raise StoreError(f"The database must be sqlite:///FILE or postgresql://..., not {parsed.drivername}://.")


def sqlite_file(engine: AsyncEngine) -> Path | None:
    """The file of a SQLite engine."""
    name = engine.url.database if engine.dialect.name == "sqlite" else None
    return Path(name) if name else None


@contextmanager
def border(*, of_rows: bool = False) -> Iterator[None]:
    """Foreign errors come in here and leave as StoreAway, RowsRefused (with `of_rows`) or StoreError."""
    try:
        yield
    except DBAPIError as error:
        raise _ours(error.orig or error, of_rows) from error
    except sqlite3.Error as error:  # while connecting, where nobody wraps it
        raise _ours(error, of_rows) from error
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        raise StoreAway(f"The database is out of reach: {_words(error)}") from error
    except (OverflowError, ValueError, TypeError, AttributeError) as error:
        if not of_rows:
            raise
        raise RowsRefused(f"A row does not fit the database: {_words(error)}") from error


def _ours(cause: BaseException, of_rows: bool) -> StoreError:
    if getattr(cause, "sqlite_errorname", "") in ("SQLITE_NOTADB", "SQLITE_CORRUPT"):
        return StoreError(f"The file is not a sound SQLite database: {_words(cause)}")
    state = str(getattr(cause, "sqlstate", None) or "")
    encoding = isinstance(cause.__cause__, ValueError)  # asyncpg could not encode a parameter
    if of_rows and (isinstance(cause, _ROW_AT_FAULT) or state[:2] in ("22", "23") or encoding):
        return RowsRefused(f"A row does not fit the database: {_words(cause)}")
    if state[:2] == "42":
        return StoreError(f"The database refuses: {_words(cause)}")
    return StoreAway(f"The database is out of reach: {_words(cause)}")


def _words(error: BaseException) -> str:
    """The first line of what a driver said, without the class names and statements that come after it."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]


def _sqlite(url: URL) -> AsyncEngine:
    if not url.database or url.database == ":memory:":
        raise StoreError("A SQLite URL must name a file: sqlite:///FILE (sqlite:////FILE from the root).")
    engine = create_async_engine(
        url.set(drivername="sqlite+aiosqlite"), connect_args={"timeout": SQLITE_BUSY_SECONDS}, **_common()
    )

    @sa.event.listens_for(engine.sync_engine, "connect")
    def connected(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # transactions begin where we say so, below
        cursor = connection.cursor()
        _switch_to_wal(cursor)
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.close()

    @sa.event.listens_for(engine.sync_engine, "begin")
    def begun(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get(WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _switch_to_wal(cursor: Any) -> None:
    """Of many who open a new file at once one switches it, and SQLite tells the others "locked" without any wait."""
    until = time.monotonic() + WAL_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
        await_only(asyncio.sleep(0.01))


def _postgres(url: URL) -> AsyncEngine:
    try:
        import asyncpg  # type: ignore[import-untyped]
    except ImportError:
        raise StoreError("PostgreSQL needs the extra `postgres`: pip install 'signalbox[postgres]'.") from None

    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    opened: WeakSet[Any] = WeakSet()

    async def connect(**_options: object) -> Any:
        try:
            # The driver reads the URL itself, so that sslmode and all other words of libpq work.
            connection = await asyncpg.connect(
                address,
                timeout=CONNECT_SECONDS,
                command_timeout=STATEMENT_SECONDS,
                server_settings={"application_name": "signalbox", "jit": "off"},
            )
            opened.add(connection)
            return connection
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise StoreAway(f"The database is out of reach: {_words(error)}") from error

    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=connect, pool_timeout=CONNECT_SECONDS, pool_pre_ping=True, **_common()
    )

    @sa.event.listens_for(engine.sync_engine, "engine_disposed")
    def disposed(_engine: sa.Engine) -> None:
        # A connection that was cut off while its server hung is in no pool any more.
        for connection in opened:
            if not connection.is_closed():
                connection.terminate()

    return engine


def _common() -> dict[str, Any]:
    return {"hide_parameters": True, "pool_size": 4, "max_overflow": 4}
