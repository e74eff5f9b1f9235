"""A running gateway takes up what is promoted, goes back when told, and refuses what is damaged."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from classifiers.artefact import DEFAULT_FOLDER, load_default, pack, save_artefact
from classifiers.contract import AskText, ModelCard
from classifiers.learned import LearnedClassifier
from router.aside import Aside
from router.errors import StoreAway
from router.judge import Judge
from router.learning.uptake import Uptake
from router.ledger.registry import Registry, Standing
from router.ledger.store import SqlStore
from router.ledger.tables import artefacts
from tests.judge.encoders import Letters, encoder_artefact

SHIPPED = load_default()
MODELS = (ModelCard("small", "small", "small"),)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    opened = SqlStore(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    await opened.open()
    yield opened
    await opened.aclose()


def another(folder: Path) -> bytes:
    """A sound artefact that is not the shipped one."""
    save_artefact(replace(SHIPPED, heads=SHIPPED.heads * np.float32(0.9)), folder, {}, {})
    return pack(folder)


def gateway_on(registry: Registry) -> tuple[Judge, Uptake]:
    judge = Judge(LearnedClassifier(SHIPPED))
    return judge, Uptake(registry, judge)


async def test_two_gateways_take_up_a_promotion_and_its_undoing(store: SqlStore, tmp_path: Path) -> None:
    registry = Registry(store)
    sha256 = await registry.save(another(tmp_path / "new"), {})
    gateways = [gateway_on(registry) for _ in range(2)]
    shipped = gateways[0][0].classifier.name
    for step, wanted in ((registry.promote(sha256, "tests"), True), (registry.rollback("tests"), False)):
        await step
        for judge, uptake in gateways:
            await uptake.poll()
            assert (judge.classifier.name != shipped) == wanted
            assert judge.assess(AskText("hi"), MODELS) is not None


@pytest.mark.parametrize("damage", ["flipped byte", "cut short", "no zip", "gone"])
async def test_a_damaged_artefact_is_refused_once_and_the_old_judge_serves_on(
    store: SqlStore, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    registry, good = Registry(store), another(tmp_path / "new")
    judge, uptake = gateway_on(registry)
    sha256 = await registry.save(good, {})
    await registry.promote(sha256, "tests")
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    bad = {"flipped byte": bytes(flipped), "cut short": good[:100], "no zip": b"nothing"}.get(damage)
    async with store.transaction() as connection:
        if bad is None:
            await connection.execute(sa.delete(artefacts))
        else:
            await connection.execute(sa.update(artefacts).values(bytes=bad))
    before = judge.classifier
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            await uptake.poll()
    assert judge.classifier is before
    assert len([record for record in caplog.records if "not taken up" in record.message]) == 1
    assert judge.assess(AskText("hi"), MODELS) is not None


async def test_something_else_than_an_artefact_is_refused(store: SqlStore) -> None:
    registry = Registry(store)
    judge, uptake = gateway_on(registry)
    await registry.promote(await registry.save(b"PK but not ours", {}), "tests")
    before = judge.classifier
    await uptake.poll()
    assert judge.classifier is before


async def test_after_a_refused_artefact_the_next_promotion_is_taken_up(store: SqlStore, tmp_path: Path) -> None:
    registry = Registry(store)
    judge, uptake = gateway_on(registry)
    before = judge.classifier.name
    await registry.promote(await registry.save(b"nothing", {}), "tests")
    await uptake.poll()
    await registry.promote(await registry.save(another(tmp_path / "new"), {}), "tests")
    await uptake.poll()
    assert judge.classifier.name != before


async def test_the_shipped_artefact_may_be_promoted_like_any_other(store: SqlStore) -> None:
    registry = Registry(store)
    judge, uptake = gateway_on(registry)
    before = judge.classifier.name
    await registry.promote(await registry.save(pack(DEFAULT_FOLDER), {}), "tests")
    await uptake.poll()
    assert judge.classifier.name == before


async def test_a_registry_that_is_away_is_asked_again(tmp_path: Path) -> None:
    class Away:
        """A registry that comes back."""

        there = False

        async def standing(self) -> Standing:
            return Standing("abc")

        async def fetch(self, sha256: str) -> bytes:
            if not self.there:
                raise StoreAway("the database is away")
            return packed

    packed, registry = another(tmp_path / "new"), Away()
    judge = Judge(LearnedClassifier(SHIPPED))
    uptake, before = Uptake(registry, judge), judge.classifier.name
    with pytest.raises(StoreAway):
        await uptake.poll()
    assert judge.classifier.name == before
    registry.there = True
    await uptake.poll()
    assert judge.classifier.name != before


async def beside_an_encoder() -> Judge:
    aside = Aside(encoder_artefact(), lambda weights: Letters(), budget_seconds=5.0)
    await aside.start()
    return Judge(LearnedClassifier(SHIPPED), aside=aside)


def packed_encoder(folder: Path, **made: Any) -> bytes:
    save_artefact(encoder_artefact(**made), folder, {}, {})
    return pack(folder)


async def test_a_promoted_artefact_is_taken_up_in_the_place_of_its_tier(store: SqlStore, tmp_path: Path) -> None:
    registry, judge = Registry(store), await beside_an_encoder()
    assert judge.aside is not None
    uptake, first, fast = Uptake(registry, judge), judge.name, judge.classifier.name
    new_encoder, new_fast = encoder_artefact(seed=1), another(tmp_path / "fast")

    await registry.promote(await registry.save(packed_encoder(tmp_path / "encoder", seed=1), {}), "tests")
    await uptake.poll()
    assert (judge.name, judge.classifier.name) == (f"encoder@{new_encoder.digest}", fast)
    judged = await judge.assess_aside(AskText("hi"), MODELS)
    assert judged is not None and judged.classifier == judge.name

    await registry.promote(await registry.save(new_fast, {}), "tests")
    await uptake.poll()
    assert judge.name == first and judge.classifier.name != fast

    await registry.rollback("tests")
    await registry.rollback("tests")
    await uptake.poll()
    assert (judge.name, judge.classifier.name) == (first, fast)
    await judge.aside.aclose()


async def test_an_artefact_of_the_encoder_is_refused_by_a_gateway_without_one(
    store: SqlStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry = Registry(store)
    judge, uptake = gateway_on(registry)
    before = judge.classifier
    await registry.promote(await registry.save(packed_encoder(tmp_path / "encoder"), {}), "tests")
    with caplog.at_level(logging.ERROR):
        await uptake.poll()
        await uptake.poll()
    assert judge.classifier is before
    [refusal] = [record.getMessage() for record in caplog.records if "not taken up" in record.message]
    assert "SIGNALBOX_CLASSIFIER=encoder" in refusal


async def test_an_artefact_for_another_encoder_is_refused(store: SqlStore, tmp_path: Path) -> None:
    registry, judge = Registry(store), await beside_an_encoder()
    assert judge.aside is not None
    uptake, first = Uptake(registry, judge), judge.name
    await registry.promote(await registry.save(packed_encoder(tmp_path / "encoder", weights="b" * 64), {}), "tests")
    await uptake.poll()
    assert judge.name == first
    await judge.aside.aclose()
