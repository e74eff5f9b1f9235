"""The registry has exactly one current artefact, whoever promotes, and gives back the bytes it was given."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router.errors import BadRequest, NotFound, StoreError
from router.ledger.registry import Registry, Standing
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


async def test_a_canary_stands_beside_the_current_artefact_until_it_is_promoted_whole(store: SqlStore) -> None:
    registry = Registry(store)
    one, two = [await registry.save(name, {}) for name in (b"one", b"two")]
    await registry.promote(one, "ann", share=0.1)
    assert await registry.current() is None
    await registry.promote(one, "ann")
    assert await registry.promote(two, "ben", share=0.1, reason="to see") == one
    assert replace(await registry.standing(), entry=None) == Standing(one, two, 0.1)
    await registry.promote(two, "ben", share=0.3)
    assert replace(await registry.standing(), entry=None) == Standing(one, two, 0.3)
    await registry.promote(two, "ben")
    assert replace(await registry.standing(), entry=None) == Standing(two)
    assert await registry.rollback("ben") == one
    assert await registry.rollback("ben") is None
    shares = [(entry.action, entry.share, entry.reason) for entry in reversed(await registry.history())][2:5]
    assert shares == [("promote", 0.1, "to see"), ("promote", 0.3, None), ("promote", None, None)]


async def test_a_rollback_ends_the_canary_and_nothing_else(store: SqlStore) -> None:
    registry = Registry(store)
    one, two, three = [await registry.save(name, {}) for name in (b"one", b"two", b"three")]
    await registry.promote(one, "ann")
    await registry.promote(two, "ann", share=0.2)
    await registry.promote(three, "ann", share=0.5)
    assert await registry.rollback("watch", reason="worse") == one
    assert (await registry.standing()).canary is None
    assert (await registry.history())[0].reason == "worse"
    assert await registry.rollback("ann") is None


async def test_promoting_what_is_current_ends_the_canary(store: SqlStore) -> None:
    registry = Registry(store)
    one, two = [await registry.save(name, {}) for name in (b"one", b"two")]
    await registry.promote(one, "ann")
    await registry.promote(two, "ann", share=0.2)
    await registry.promote(one, "ann")
    standing = await registry.standing()
    assert (standing.current, standing.canary) == (one, None)
    assert await registry.rollback("ann") is None


async def test_a_share_that_is_none_is_refused_and_changes_nothing(store: SqlStore) -> None:
    registry = Registry(store)
    one = await registry.save(b"one", {})
    for share in (0.0, 1.0, -0.1, 1.5, float("nan")):
        with pytest.raises(BadRequest, match="share"):
            await registry.promote(one, "ann", share=share)
    assert await registry.history() == ()
    await registry.promote(one, "ann")
    with pytest.raises(BadRequest, match="current already"):
        await registry.promote(one, "ann", share=0.5)


async def test_a_rollback_of_what_was_looked_at_leaves_what_came_meanwhile(store: SqlStore) -> None:
    registry = Registry(store)
    one, two = [await registry.save(name, {}) for name in (b"one", b"two")]
    await registry.promote(one, "ann")
    looked_at = (await registry.standing()).entry
    await registry.promote(two, "ann")
    with pytest.raises(NotFound, match="meanwhile"):
        await registry.rollback("watch", only_if=looked_at)
    assert await registry.current() == two
