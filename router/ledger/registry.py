"""The registry of artefacts: their bytes, and which of them is current. Every worker polls it.

The history is only ever appended to, and its newest entry says what is current: so there is exactly one, or one and a
canary beside it, which judges a share of the conversations. Promotions take turns, in however many processes. What is
in an artefact is not known here.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa

from router.errors import BadRequest, NotFound, StoreError
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
    """One entry of the history. sha256: what was current from then on; None: the artefact that ships.

    share: of the conversations, that it judged from then on; None: all of them. reason: why, where somebody said.
    """

    action: str
    sha256: str | None
    by: str
    at_unix: float
    share: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """Who judges now. current: the sha256 of the artefact, None for the one that ships. canary: of the one beside it,
    that judges a `share` of the conversations. entry: the number of the history's newest entry, None before the first.
    """

    current: str | None = None
    canary: str | None = None
    share: float = 0.0
    entry: int | None = None


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
        """The sha256 of the artefact to judge with, canaries aside; None: the one that ships."""
        return (await self.standing()).current

    async def standing(self) -> Standing:
        """Who judges, and who judges a share."""
        found = await self._store.rows(_top())
        return _standing(found[0]) if found else Standing()

    async def fetch(self, sha256: str) -> bytes:
        """An artefact's bytes, verified. Raises NotFound, and StoreError where they are not what they were."""
        found = await self._store.rows(sa.select(artefacts.c.bytes).where(artefacts.c.sha256 == sha256))
        if not found:
            raise NotFound(f"The registry has no artefact {sha256}.", param="sha256")
        artefact = bytes(found[0]["bytes"])
        if hashlib.sha256(artefact).hexdigest() != sha256:
            raise StoreError(f"Artefact {sha256} is damaged in the registry: its bytes have another sha256.")
        return artefact

    async def report(self, sha256: str) -> Mapping[str, Any]:
        """What an artefact's training said of it; empty for one that is not kept."""
        found = await self._store.rows(sa.select(artefacts.c.report).where(artefacts.c.sha256 == sha256))
        return (found[0]["report"] or {}) if found else {}

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

    async def promote(
        self, sha256: str, by: str, *, share: float | None = None, reason: str | None = None, only_if: int | None = None
    ) -> str | None:
        """Makes an artefact current, and returns the one that was. Promoting the current one only ends a canary.

        share: above 0 and below 1; it then judges so many of the conversations beside the current one, which stays, and
        takes the place of another canary. by, reason: who or what promoted, and why, for the history. only_if: the
        newest entry that was looked at, 0 for none. Raises NotFound, also where another is the newest by now, and
        BadRequest for a share that is none or of what is current anyway.
        """
        if share is not None and not 0.0 < share < 1.0:
            raise BadRequest(f"A share must be above 0 and below 1; it is {share:g}.", param="share")
        async with self._store.transaction() as connection:
            await self._store.take_turn(connection)
            there = sa.select(artefacts.c.sha256).where(artefacts.c.sha256 == sha256)
            if (await connection.execute(there)).first() is None:
                raise NotFound(f"The registry has no artefact {sha256}.", param="sha256")
            top = (await connection.execute(_top())).mappings().first()
            now = _standing(top) if top else Standing()
            _still(now.entry, only_if)
            if share is not None and now.current == sha256:
                raise BadRequest(f"Artefact {sha256[:12]} is current already, for all conversations.", param="share")
            if (now.current, now.canary) == (sha256, None) or (now.canary, now.share) == (sha256, share):
                return now.current
            row = {"action": "promote", "sha256": sha256, "by": by, "share": share, "reason": reason}
            below = None if top is None else top["below"] if now.canary else top["id"]
            if now.current == sha256 and top is not None:  # the canary goes, and what was below stays below
                below = top["whole_below"]
            await connection.execute(sa.insert(promotions).values(**row, below=below, at_unix=time.time()))
        return now.current

    async def rollback(self, by: str, *, reason: str | None = None, only_if: int | None = None) -> str | None:
        """Goes back to what was current before the promotion of the current one, and returns it; None: the one that
        ships. Several in a row go further back. Where a canary runs, only that ends.

        only_if: the newest entry that was looked at. Raises NotFound where nothing is left to go back from, and where
        another entry is the newest by now."""
        async with self._store.transaction() as connection:
            await self._store.take_turn(connection)
            top = (await connection.execute(_newest(*promotions.c))).mappings().first()
            if top is None or top["sha256"] is None:
                raise NotFound("There is nothing to roll back: the artefact that ships is the current one.")
            _still(top["id"], only_if)
            below = sa.select(promotions).where(promotions.c.id == top["below"])
            target = (await connection.execute(below)).mappings().first()
            sha256: str | None = target["sha256"] if target else None
            row = {
                "action": "rollback",
                "sha256": sha256,
                "below": target["below"] if target else None,
                "by": by,
                "at_unix": time.time(),
                "reason": reason,
            }
            await connection.execute(sa.insert(promotions).values(row))
        return sha256

    async def history(self) -> tuple[Promotion, ...]:
        """Every promotion and rollback, the newest first."""
        found = await self._store.rows(sa.select(promotions).order_by(promotions.c.id.desc()))
        return tuple(
            Promotion(row["action"], row["sha256"], row["by"], row["at_unix"], row["share"], row["reason"])
            for row in found
        )


def _still(newest: int | None, only_if: int | None) -> None:
    if only_if is not None and (newest or 0) != only_if:
        raise NotFound("Nothing is changed: somebody has promoted or rolled back meanwhile.")


def _top() -> sa.Select[Any]:
    """The newest entry, with what is below it: a canary's is what judges the rest."""
    below = promotions.alias("whole")
    return (
        sa.select(promotions, below.c.sha256.label("whole"), below.c.below.label("whole_below"))
        .select_from(promotions.outerjoin(below, below.c.id == promotions.c.below))
        .order_by(promotions.c.id.desc())
        .limit(1)
    )


def _standing(top: sa.RowMapping) -> Standing:
    if top["share"] is None:
        return Standing(top["sha256"], entry=top["id"])
    return Standing(top["whole"], top["sha256"], top["share"], top["id"])


def _newest(*columns: sa.Column[Any]) -> sa.Select[Any]:
    return sa.select(*columns).order_by(promotions.c.id.desc()).limit(1)


def _plain(value: Mapping[str, Any]) -> Any:
    """JSON's own types only: reports hold numpy's numbers, and NaN, which no database takes."""
    return orjson.loads(orjson.dumps(dict(value), option=orjson.OPT_SERIALIZE_NUMPY))
