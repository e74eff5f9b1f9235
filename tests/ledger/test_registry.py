"""The registry has exactly one current artefact, whoever promotes, and gives back the bytes it was given."""

from __future__ import annotations

import asyncio
import hashlib

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router.errors import NotFound, StoreError
from router.ledger.registry import Registry
from router.ledger.store import SqlStore
from router.ledger.tables import artefacts, promotions


async def test_an_artefact_comes_back_byte_for_byte(store: SqlStore) -> None:
    registry = Registry(store)
    artefact = bytes(range(256)) * 5000
    sha256 = await registry.save(artefact, {"auc": np.float64(0.7), "odd": float("nan")}, metrics={"n": np.int64(3)})
    assert sha256 == hashlib.sha256(artefact).hexdigest()
    assert await registry.fetch(sha256) == artefact
    assert await registry.save(artefact, {"auc": 0.9}) == sha256
    (kept,) = await registry.list()
    assert (kept.sha256, kept.report, kept.metrics, kept.size) == (
        sha256,
        {"auc": 0.7, "odd": None},
        {"n": 3},
        len(artefact),
    )
    assert not kept.current


async def test_what_was_never_saved_is_not_found(store: SqlStore) -> None:
    registry = Registry(store)
    for call in (registry.fetch("0" * 64), registry.promote("0" * 64, "me"), registry.rollback("me")):
        with pytest.raises(NotFound):
            await call
    assert await registry.current() is None
    assert await registry.history() == ()


async def test_a_flipped_bit_in_the_registry_is_noticed(store: SqlStore) -> None:
    registry = Registry(store)
    sha256 = await registry.save(b"artefact", {})
    async with store.transaction() as connection:
        await connection.execute(sa.update(artefacts).values(bytes=b"artefacs"))
    with pytest.raises(StoreError, match="damaged"):
        await registry.fetch(sha256)


async def test_promotions_are_taken_back_one_by_one_down_to_the_shipped_artefact(store: SqlStore) -> None:
    registry = Registry(store)
    one, two = [await registry.save(name, {}, parent="p") for name in (b"one", b"two")]
    assert await registry.promote(one, "ann") is None
    assert await registry.promote(two, "ben") == one
    assert await registry.promote(two, "ben") == two
    assert [kept.sha256 for kept in await registry.list() if kept.current] == [two]
    assert await registry.rollback("cat") == one
    assert await registry.current() == one
    assert await registry.rollback("cat") is None
    assert await registry.current() is None
    with pytest.raises(NotFound):
        await registry.rollback("cat")
    told = [(entry.action, entry.sha256, entry.by) for entry in await registry.history()]
    assert told == [
        ("rollback", None, "cat"),
        ("rollback", one, "cat"),
        ("promote", two, "ben"),
        ("promote", one, "ann"),
    ]


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(["a", "b", "c", "back"]), max_size=8))
async def test_a_rollback_undoes_the_latest_promotion_that_still_stands(store: SqlStore, steps: list[str]) -> None:
    async with store.transaction() as connection:
        await connection.execute(sa.delete(promotions))
    registry = Registry(store)
    named = {name: await registry.save(name.encode(), {}) for name in "abc"}
    stack: list[str] = []
    for step in steps:
        if step != "back":
            await registry.promote(named[step], "me")
            if not stack or stack[-1] != named[step]:
                stack.append(named[step])
        elif stack:
            stack.pop()
            await registry.rollback("me")
        assert await registry.current() == (stack[-1] if stack else None)


async def test_promotions_at_once_wait_for_each_other_and_leave_one_chain(store_url: str) -> None:
    stores = [SqlStore(store_url) for _ in range(4)]
    await stores[0].open()
    registries = [Registry(store) for store in stores]
    shas = [await registries[0].save(bytes([number]), {}) for number in range(12)]
    was = await asyncio.gather(*(registries[n % 4].promote(sha256, "me") for n, sha256 in enumerate(shas)))
    history = await registries[0].history()
    order = [entry.sha256 for entry in reversed(history)]
    assert sorted(filter(None, order)) == sorted(shas)
    before = dict(zip(shas, was, strict=True))
    assert [before[sha256] for sha256 in order if sha256] == [None, *order[:-1]]
    for store in stores:
        await store.aclose()
