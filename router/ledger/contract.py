"""What the ledger promises to the rest of the gateway.

One implementation (`router.ledger.store`) speaks to two databases, SQLite and PostgreSQL; the same contract tests run
on both. What is asked of the rows lives in `reports`, `export` and `registry`, which need no more than `Store`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from classifiers.contract import LabelSource
from router.domain import Outcome

if TYPE_CHECKING:
    from sqlalchemy import RowMapping, Select
    from sqlalchemy.ext.asyncio import AsyncConnection


class NewLabel(Struct, frozen=True):
    """A label to be kept. key: whose it is; the latest of a request, key and source counts. at_unix: None for now."""

    request_id: str
    key: str
    source: LabelSource
    score: float
    weight: float = 1.0
    comment: str | None = None
    at_unix: float | None = None


class Writer(Protocol):
    """All that the recorder needs."""

    async def open(self) -> None:
        """Makes or checks the schema. Raises StoreAway when out of reach, StoreError for somebody else's or a newer
        database. Harmless when called again."""
        ...

    async def write(self, batch: Sequence[Outcome]) -> None:
        """Writes all or none, in one transaction. A row that is there already is left alone, so a write whose
        result was never heard of may be repeated. Raises StoreAway or RowsRefused."""
        ...


class Store(Writer, Protocol):
    """The ledger's database. Every method raises StoreAway while it is out of reach.

    labelled: labels that this process has kept, by source.
    """

    labelled: Counter[str]

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
        """Keeps a label of a request; the latest of the same key and source wins. False, and nothing kept, where the
        request is unknown or another tenant's. known: the caller knows better (`Recorder.knows`: not written yet)."""
        ...

    async def add_labels(self, tenant: str, given: Sequence[NewLabel]) -> None:
        """Keeps labels of a tenant's requests, all or none; whose requests they are is the caller's to know. Of several
        of one request, key and source the latest stays: a label with a time of its own leaves a later one alone."""
        ...

    async def known_of(self, tenant: str, request_ids: Collection[str]) -> frozenset[str]:
        """Which of these requests the ledger has of a tenant."""
        ...

    async def prune(self, before_unix: float, *, features_before_unix: float | None = None) -> int:
        """Forgets outcomes, texts, labels and findings older than `before_unix`, and features older than
        `features_before_unix` (default the same). Returns how many outcomes went."""
        ...

    async def rows(self, query: Select[Any]) -> Sequence[RowMapping]:
        """What a query finds."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A writing transaction: committed at the end of the block, rolled back on an exception. Two that take
        `exclusive` turns wait for each other."""
        ...

    async def take_turn(self, connection: AsyncConnection) -> None:
        """Inside `transaction`: waits until no other has the turn, and keeps it until the end of the block."""
        ...

    def alone(self, what: str) -> AbstractAsyncContextManager[None]:
        """While the block lasts nobody else does `what` on this ledger, on any machine. Raises StoreBusy at once where
        somebody does. A process that dies lets go."""
        ...

    async def aclose(self) -> None: ...
