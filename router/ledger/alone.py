"""Lets only one at a time do a thing on a ledger, wherever it runs: by a lock that ends with whoever holds it.

On PostgreSQL it is an advisory lock of a connection of its own, on SQLite a locked file beside the database's: either
is gone when the process is, however it ended, so nothing has to be cleaned up after a kill.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from router.errors import StoreBusy

_KEYS = 0x5167 << 32
"""Where our keys begin, apart from other programs' and from the turns of writers."""


@asynccontextmanager
async def alone_on(engine: AsyncEngine, file: Path | None, what: str) -> AsyncIterator[None]:
    """Holds the lock for the block. file: of SQLite's database, None for PostgreSQL. Raises StoreBusy at once."""
    if file is not None:
        with_file = file.with_name(f"{file.name}.{what}.lock")
        descriptor = await asyncio.to_thread(os.open, with_file, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise _busy(what) from None
            yield
        finally:
            os.close(descriptor)
        return
    key = _KEYS | zlib.crc32(what.encode())
    async with engine.connect() as connection:
        got = (await connection.execute(sa.select(sa.func.pg_try_advisory_lock(key)))).scalar()
        if not got:
            raise _busy(what)
        try:
            yield
        finally:
            await connection.execute(sa.select(sa.func.pg_advisory_unlock(key)))


def _busy(what: str) -> StoreBusy:
    return StoreBusy(f"another {what} is running on this ledger; two at once would judge each other's judges")
