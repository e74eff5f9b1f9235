"""What `signalbox watch` finds, as the ledger keeps it: drift of the traffic, how a canary fares, and references.

A reference is what drift is measured against; there is one for each artefact, and retention leaves it alone.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson
import sqlalchemy as sa

from router.ledger.contract import Store
from router.ledger.store import REFERENCE
from router.ledger.tables import findings

Kind = Literal["drift", "canary", "promotion", "reference"]

PART_FIELDS: Final = ("name", "n", "moved", "p", "alarm", "top")


@dataclass(frozen=True, slots=True)
class Finding:
    """One look. subject: the sha256 of an artefact, or `tier@digest` of one that ships. alarm: whether it needs a look
    by a person. document: what was found, as its kind has it."""

    id: int
    at_unix: float
    kind: str
    subject: str
    alarm: bool
    document: Mapping[str, Any]


class Findings:
    """The findings in a store. Every method raises StoreAway while the database is out of reach."""

    def __init__(self, store: Store):
        self._store = store

    async def add(self, kind: Kind, subject: str, document: Mapping[str, Any], *, alarm: bool = False) -> None:
        """Keeps a finding."""
        row = {"at_unix": time.time(), "kind": kind, "subject": subject, "alarm": alarm, "document": _plain(document)}
        async with self._store.transaction() as connection:
            await connection.execute(sa.insert(findings).values(row))

    async def newest(self, kind: Kind, subject: str | None = None) -> Finding | None:
        """The last one of a kind, about anything or about one artefact."""
        found = await self.latest(kind, 1, subject)
        return found[0] if found else None

    async def latest(self, kind: Kind, most: int, subject: str | None = None) -> tuple[Finding, ...]:
        """The last ones of a kind, the newest first."""
        query = sa.select(findings).where(findings.c.kind == kind).order_by(findings.c.id.desc()).limit(most)
        if subject is not None:
            query = query.where(findings.c.subject == subject)
        return tuple(
            Finding(row["id"], row["at_unix"], row["kind"], row["subject"], row["alarm"], row["document"])
            for row in await self._store.rows(query)
        )

    async def reference(self, subject: str) -> Finding | None:
        """What drift is measured against while this artefact judges."""
        return await self.newest(REFERENCE, subject)


def _plain(value: Mapping[str, Any]) -> Any:
    """JSON's own types only: what was found holds numpy's numbers, and NaN, which no database takes."""
    return orjson.loads(orjson.dumps(dict(value), option=orjson.OPT_SERIALIZE_NUMPY))
