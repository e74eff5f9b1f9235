"""The ledger in a database: SQLite for one machine, PostgreSQL for many. One file speaks to both through SQLAlchemy.

Writing rows goes past SQLAlchemy's conversion of parameters (see `rows`); everything else is plain Core. Reports,
exports and the registry are built on `rows` and `transaction`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from classifiers.contract import LabelSource
from router.domain import Outcome
from router.errors import StoreError
from router.ledger import schema
from router.ledger.alone import alone_on
from router.ledger.connect import WRITES, border, engine_for, sqlite_file
from router.ledger.contract import NewLabel
from router.ledger.label_rows import label_rows, upsert_labels
from router.ledger.partitions import Partitions, drop_before, wait_briefly
from router.ledger.rows import Row, clean, features_row, outcome_row, text_row
from router.ledger.tables import features, findings, labels, outcomes, texts

log = logging.getLogger(__name__)

SLICE = 16
"""Rows turned into tuples before the event loop gets a turn: about a quarter of a millisecond."""

DELETE_AT_ONCE = 5000
IDS_AT_ONCE = 1000

REFERENCE: Final = "reference"
"""The kind of findings that stay as long as the artefact that they are about: what drift is measured against."""

_TURN = 0x5167_6E61_6C62_6F78
"""The key of our advisory lock on PostgreSQL."""


class SqlStore:
    """The ledger at a URL: `sqlite:///FILE`, or `postgresql://` (`postgres://`) with whatever libpq understands.

    Making one connects to nothing. Raises StoreError at once for a URL that is neither.
    """

    def __init__(self, url: str):
        self._engine = engine_for(url)
        self._postgres = self._engine.dialect.name == "postgresql"
        self._partitions = Partitions()
        self.labelled: Counter[str] = Counter()
        self._insert = {table: self._insert_of(table) for table in (outcomes, features, texts)}

    async def open(self) -> None:
        """See `contract.Writer.open`. Gateways that start at once on an empty database wait for each other."""
        with border():
            if (file := sqlite_file(self._engine)) is not None:
                await asyncio.to_thread(file.parent.mkdir, parents=True, exist_ok=True)
            async with self._engine.connect() as connection:
                current = await connection.run_sync(schema.is_current)
            if not current:
                async with self.transaction() as connection:
                    await self.take_turn(connection)
                    if not await connection.run_sync(schema.is_current):
                        await connection.run_sync(schema.upgrade)
        if self._postgres:
            await self._make_partitions([])

    async def write(self, batch: Sequence[Outcome]) -> None:
        """See `contract.Writer.write`."""
        if self._postgres:
            await self._make_partitions([outcome.at_unix for outcome in batch])
        with border(of_rows=True):
            rows = await _rows_of(batch)
            async with self._writing() as connection:
                for table, of_table in rows.items():
                    if of_table:
                        await connection.exec_driver_sql(self._insert[table], of_table)

    async def add_label(
        self,
        request_id: str,
        tenant: str,
        key: str,
        source: LabelSource,
        score: float,
        weight: float = 1.0,
        comment: str | None = None,
        *,
        known: bool = False,
    ) -> bool:
        """See `contract.Store.add_label`."""
        row = {
            "request_id": request_id,
            "tenant": tenant,
            "key": key,
            "source": source,
            "score": float(score),
            "weight": float(weight),
            "comment": clean(comment),
            "at_unix": time.time(),
        }
        insert = self._upsert(labels, row)
        theirs = sa.select(sa.literal(1)).where(outcomes.c.request_id == request_id, outcomes.c.tenant == tenant)
        with border():
            async with self.transaction() as connection:
                if not known and (await connection.execute(theirs.limit(1))).first() is None:
                    return False
                await connection.execute(insert)
        self.labelled[source] += 1
        return True

    async def add_labels(self, tenant: str, given: Sequence[NewLabel]) -> None:
        """See `contract.Store.add_labels`."""
        always, unless_later = label_rows(tenant, given, time.time())
        dialect = postgresql if self._postgres else sqlite
        async with self.transaction() as connection:
            for rows, later_stays in ((always, False), (unless_later, True)):
                if rows:
                    await connection.execute(upsert_labels(dialect.insert(labels), later_stays=later_stays), rows)
        self.labelled.update(label.source for label in given)

    async def known_of(self, tenant: str, request_ids: Collection[str]) -> frozenset[str]:
        """See `contract.Store.known_of`."""
        known: set[str] = set()
        asked = sorted(request_ids)
        for start in range(0, len(asked), IDS_AT_ONCE):
            some = outcomes.c.request_id.in_(asked[start : start + IDS_AT_ONCE])
            query = sa.select(outcomes.c.request_id).where(some, outcomes.c.tenant == tenant)
            known.update(row["request_id"] for row in await self.rows(query))
        return frozenset(known)

    async def prune(self, before_unix: float, *, features_before_unix: float | None = None) -> int:
        """See `contract.Store.prune`. On PostgreSQL whole days go with their partitions."""
        before_features = max(before_unix, features_before_unix or before_unix)
        gone = 0
        for table, before in ((outcomes, before_unix), (texts, before_unix), (features, before_features)):
            count = await self._drop_days(table, before) if self._postgres else 0
            count += await self._delete(table, before)
            gone += count if table is outcomes else 0
        await self._delete(labels, before_unix)
        await self._delete(findings, before_unix, findings.c.kind != REFERENCE)
        return gone

    async def rows(self, query: sa.Select[Any]) -> Sequence[sa.RowMapping]:
        """See `contract.Store.rows`."""
        with border():
            async with self._engine.connect() as connection:
                found: Sequence[sa.RowMapping] = (await connection.execute(query)).mappings().all()
                return found

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """See `contract.Store.transaction`."""
        with border():
            async with self._writing() as connection:
                yield connection

    async def take_turn(self, connection: AsyncConnection) -> None:
        """See `contract.Store.take_turn`. SQLite's writers take turns anyway."""
        if self._postgres:
            await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_TURN)))

    @asynccontextmanager
    async def alone(self, what: str) -> AsyncIterator[None]:
        """See `contract.Store.alone`."""
        with border():
            async with alone_on(self._engine, sqlite_file(self._engine), what):
                yield

    async def aclose(self) -> None:
        """Closes every connection."""
        await self._engine.dispose()

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[AsyncConnection]:
        async with self._engine.connect() as plain:
            connection = await plain.execution_options(**{WRITES: True})
            async with connection.begin():
                yield connection

    async def _make_partitions(self, times_unix: Sequence[float]) -> None:
        if not (missing := self._partitions.missing(times_unix)):
            return
        try:
            async with self.transaction() as connection:
                await wait_briefly(connection)
                await self.take_turn(connection)
                await self._partitions.make(connection, missing)
        except StoreError as error:
            log.warning("partitions are made later: %s", error)
            self._partitions.put_off()

    async def _drop_days(self, table: sa.Table, before_unix: float) -> int:
        async with self.transaction() as connection:
            await wait_briefly(connection)
            await self.take_turn(connection)
            return await drop_before(connection, table.name, before_unix)

    async def _delete(self, table: sa.Table, before_unix: float, *those: sa.ColumnElement[bool]) -> int:
        """Deletes in pieces, so that on SQLite the recorder comes in between."""
        at, gone = table.c.at_unix, 0
        while True:
            async with self.transaction() as connection:
                oldest = sa.select(at).where(at < before_unix, *those).order_by(at).offset(DELETE_AT_ONCE).limit(1)
                up_to = (await connection.execute(oldest)).scalar()
                piece = at < before_unix if up_to is None else at <= up_to
                gone += (await connection.execute(sa.delete(table).where(piece, *those))).rowcount
            if up_to is None:
                return gone

    def _insert_of(self, table: sa.Table) -> str:
        """The driver's own text of an insert that leaves rows alone that are there already."""
        dialect = postgresql if self._postgres else sqlite
        return str(dialect.insert(table).on_conflict_do_nothing().compile(dialect=self._engine.dialect))

    def _upsert(self, table: sa.Table, row: dict[str, Any]) -> sa.Insert:
        dialect = postgresql if self._postgres else sqlite
        insert = dialect.insert(table).values(row)
        rest = {name: insert.excluded[name] for name in row if not table.c[name].primary_key}
        upsert: sa.Insert = insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=rest)
        return upsert


async def _rows_of(given: Sequence[Outcome]) -> dict[sa.Table, list[Row]]:
    """The rows of every table, made a slice at a time so that requests in flight are not held up."""
    rows: dict[sa.Table, list[Row]] = {outcomes: [], features: [], texts: []}
    for number, outcome in enumerate(given, start=1):
        rows[outcomes].append(outcome_row(outcome))
        if (vector := features_row(outcome)) is not None:
            rows[features].append(vector)
        if (text := text_row(outcome)) is not None:
            rows[texts].append(text)
        if number % SLICE == 0:
            await asyncio.sleep(0)
    return rows
