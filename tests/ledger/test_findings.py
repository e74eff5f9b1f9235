"""What the watch finds is kept, told newest first, and forgotten with the rest; references stay."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import sqlalchemy as sa

from router.ledger.drift_report import drift_document
from router.ledger.findings import Findings
from router.ledger.registry import Registry
from router.ledger.store import DELETE_AT_ONCE, SqlStore
from router.ledger.tables import findings
from tests.ledger.test_upgrade import to_revision

PART = {"name": "tasks", "n": np.int64(400), "moved": 0.5, "p": 1e-9, "alarm": True, "top": []}
REFERENCE = {"artefact": "a", "origin": "training", "n": 900}


async def test_findings_come_back_newest_first_and_apart_by_kind_and_subject(store: SqlStore) -> None:
    kept = Findings(store)
    for number, subject in enumerate(("a", "b", "a")):
        await kept.add("drift", subject, {"number": number, "odd": float("nan")}, alarm=number == 1)
    await kept.add("canary", "a", {"number": 9})
    assert [found.document["number"] for found in await kept.latest("drift", 9)] == [2, 1, 0]
    assert [found.alarm for found in await kept.latest("drift", 2)] == [False, True]
    newest = await kept.newest("drift", "b")
    assert newest is not None and newest.document == {"number": 1, "odd": None}
    assert await kept.newest("promotion") is None


async def test_old_findings_go_with_the_rest_and_references_stay(store: SqlStore) -> None:
    kept = Findings(store)
    await kept.add("reference", "a", {"origin": "training", "n": 900})
    await kept.add("drift", "a", {})
    async with store.transaction() as connection:
        await connection.execute(sa.update(findings).values(at_unix=1000.0))
    await kept.add("drift", "a", {"new": True})
    await store.prune(time.time() - 60)
    assert [found.document for found in await kept.latest("drift", 9)] == [{"new": True}]
    assert await kept.reference("a") is not None


async def test_more_old_references_than_are_deleted_at_once_do_not_hold_up_the_forgetting(store: SqlStore) -> None:
    document = {"origin": "training", "n": 900}
    old = {"at_unix": 1000.0, "kind": "reference", "alarm": False, "document": document}
    many = [{**old, "subject": str(number)} for number in range(DELETE_AT_ONCE + 2)]
    async with store.transaction() as connection:
        await connection.execute(sa.insert(findings), [*many, {**old, "kind": "drift", "subject": "a"}])
    async with asyncio.timeout(30):
        await store.prune(time.time())
    [left] = await store.rows(sa.select(sa.func.count().label("n")).select_from(findings))
    assert left["n"] == len(many)


async def test_the_document_of_drift_tells_reference_last_look_and_history(store: SqlStore) -> None:
    kept = Findings(store)
    assert await drift_document(kept) == {"reference": None, "newest": None, "history": []}
    await kept.add("reference", "a", {"origin": "training", "n": 900})
    assert (await drift_document(kept))["reference"] == REFERENCE
    await kept.add("drift", "a", {"reference": REFERENCE, "parts": [{**PART, "alarm": False}]})
    await kept.add("drift", "a", {"reference": REFERENCE, "parts": [PART]}, alarm=True)
    document = await drift_document(kept)
    assert document["newest"]["parts"] == [{**PART, "n": 400}]
    assert [(look["alarm"], look["alarms"]) for look in document["history"]] == [(True, ["tasks"]), (False, [])]
    assert len((await drift_document(kept, 1))["history"]) == 1


async def test_promotions_of_before_there_were_shares_are_for_all(store_url: str) -> None:
    store = SqlStore(store_url)
    async with store.transaction() as connection:
        await connection.run_sync(to_revision, "0002")
    old = "INSERT INTO promotions (action, sha256, by, at_unix) VALUES ('promote', 'a', 'ann', 5.0)"
    async with store.transaction() as connection:
        await connection.execute(sa.text(old))
    await store.open()
    assert (await Registry(store).standing()).current == "a"
    await Findings(store).add("drift", "a", {})
    await store.aclose()
