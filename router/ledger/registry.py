"""The registry of artefacts: their bytes, and which of them is current. Every worker polls it.

The history is only ever appended to, and its newest entry says what is current: so there is exactly one. Promotions
take turns, in however many processes. What is in an artefact is not known here.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa

from router.errors import NotFound, StoreError
from router.ledger.contract import Store
from router.ledger.tables import artefacts, promotions


@dataclass(frozen=True, slots=True)
class KeptArtefact:
    """One artefact, without its bytes. parent: the sha256 of the one it was meant to better. size: in bytes."""

    sha256: str
    created_unix: float
    parent: str | None
    metrics: Mapping[str, Any]
    report: Mapping[str, Any]
    size: int
    current: bool


@dataclass(frozen=True, slots=True)
class Promotion:
    """One entry of the history. sha256: what was current from then on; None: the artefact that ships."""

    action: str
    sha256: str | None
    by: str
    at_unix: float


class Registry:
    """The artefacts in a store. Every method raises StoreAway while the database is out of reach."""

    def __init__(self, store: Store):
        self._store = store

    async def save(
        self,
        artefact: bytes,
        report: Mapping[str, Any],
        *,
        metrics: Mapping[str, Any] | None = None,
        parent: str | None = None,
    ) -> str:
        """Keeps an artefact and returns its sha256. The same bytes again change nothing. It is not current yet."""
        sha256 = hashlib.sha256(artefact).hexdigest()
        row = {
            "sha256": sha256,
            "bytes": artefact,
            "created_unix": time.time(),
            "parent": parent,
            "metrics": _plain(metrics or {}),
            "report": _plain(report),
        }
        async with self._store.transaction() as connection:
            await self._store.take_turn(connection)
            there = sa.select(artefacts.c.sha256).where(artefacts.c.sha256 == sha256)
            if (await connection.execute(there)).first() is None:
                await connection.execute(sa.insert(artefacts).values(row))
        return sha256

    async def current(self) -> str | None:
        """The sha256 of the artefact to judge with; None: the one that ships."""
        found = await self._store.rows(_newest(promotions.c.sha256))
        return found[0]["sha256"] if found else None

    async def fetch(self, sha256: str) -> bytes:
        """An artefact's bytes, verified. Raises NotFound, and StoreError where they are not what they were."""
        found = await self._store.rows(sa.select(artefacts.c.bytes).where(artefacts.c.sha256 == sha256))
        if not found:
            raise NotFound(f"The registry has no artefact {sha256}.", param="sha256")
        artefact = bytes(found[0]["bytes"])
        if hashlib.sha256(artefact).hexdigest() != sha256:
            raise StoreError(f"Artefact {sha256} is damaged in the registry: its bytes have another sha256.")
        return artefact

    async def list(self) -> tuple[KeptArtefact, ...]:
        """Every artefact, the newest first."""
        current = await self.current()
        columns = [column for column in artefacts.c if column is not artefacts.c.bytes]
        size = sa.func.length(artefacts.c.bytes).label("size")
        newest_first = (artefacts.c.created_unix.desc(), artefacts.c.sha256)
        found = await self._store.rows(sa.select(*columns, size).order_by(*newest_first))
        return tuple(
            KeptArtefact(
                row["sha256"],
                row["created_unix"],
                row["parent"],
                row["metrics"] or {},
                row["report"] or {},
                row["size"],
                row["sha256"] == current,
            )
            for row in found
        )

    async def promote(self, sha256: str, by: str) -> str | None:
        """Makes an artefact current, and returns the one that was. Promoting the current one changes nothing.

        by: who or what promoted, for the history. Raises NotFound.
        """
        async with self._store.transaction() as connection:
            await self._store.take_turn(connection)
            there = sa.select(artefacts.c.sha256).where(artefacts.c.sha256 == sha256)
            if (await connection.execute(there)).first() is None:
                raise NotFound(f"The registry has no artefact {sha256}.", param="sha256")
            top = (await connection.execute(_newest(promotions.c.id, promotions.c.sha256))).mappings().first()
            was = top["sha256"] if top else None
            if was != sha256:
                row = {"action": "promote", "sha256": sha256, "below": top["id"] if top else None, "by": by}
                await connection.execute(sa.insert(promotions).values(**row, at_unix=time.time()))
        return was

    async def rollback(self, by: str) -> str | None:
        """Goes back to what was current before the promotion of the current one, and returns it; None: the one that
        ships. Several in a row go further back. Raises NotFound where nothing is left to go back from."""
        async with self._store.transaction() as connection:
            await self._store.take_turn(connection)
            top = (await connection.execute(_newest(*promotions.c))).mappings().first()
            if top is None or top["sha256"] is None:
                raise NotFound("There is nothing to roll back: the artefact that ships is the current one.")
            below = sa.select(promotions).where(promotions.c.id == top["below"])
            target = (await connection.execute(below)).mappings().first()
            sha256: str | None = target["sha256"] if target else None
            row = {
                "action": "rollback",
                "sha256": sha256,
                "below": target["below"] if target else None,
                "by": by,
                "at_unix": time.time(),
            }
            await connection.execute(sa.insert(promotions).values(row))
        return sha256

    async def history(self) -> tuple[Promotion, ...]:
        """Every promotion and rollback, the newest first."""
        found = await self._store.rows(sa.select(promotions).order_by(promotions.c.id.desc()))
        return tuple(Promotion(row["action"], row["sha256"], row["by"], row["at_unix"]) for row in found)


def _newest(*columns: sa.Column[Any]) -> sa.Select[Any]:
    return sa.select(*columns).order_by(promotions.c.id.desc()).limit(1)


def _plain(value: Mapping[str, Any]) -> Any:
    """JSON's own types only: reports hold numpy's numbers, and NaN, which no database takes."""
    return orjson.loads(orjson.dumps(dict(value), option=orjson.OPT_SERIALIZE_NUMPY))
