"""A canary of the registry judges its share of the conversations, always the same ones, and goes when it is told."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from classifiers.contract import AskText, Assessment, ModelCard
from classifiers.learned import LearnedClassifier
from router.judge import Canary, Judge
from router.learning.uptake import Uptake
from router.ledger.registry import Registry
from router.ledger.store import SqlStore
from tests.judge.encoders import encoder_artefact
from tests.learning.test_uptake import MODELS, SHIPPED, another, beside_an_encoder, gateway_on, packed_encoder, store

__all__ = ["store"]

CONVERSATIONS = [f"c{number}" for number in range(2_000)]


def dealt(judge: Judge) -> set[str]:
    """The conversations that a canary judges."""
    return {name for name in CONVERSATIONS if judge.of("acme", name) is not judge}


async def test_gateways_deal_the_same_share_to_a_canary_and_a_larger_one_keeps_those(
    store: SqlStore, tmp_path: Path
) -> None:
    registry = Registry(store)
    sha256 = await registry.save(another(tmp_path / "new"), {})
    gateways = [gateway_on(registry) for _ in range(2)]
    shares = []
    for share in (0.1, 0.3):
        await registry.promote(sha256, "tests", share=share)
        for _, uptake in gateways:
            await uptake.poll()
        one, other = (dealt(judge) for judge, _ in gateways)
        assert one == other and abs(len(one) / len(CONVERSATIONS) - share) < 0.03
        shares.append(one)
    assert shares[0] < shares[1]
    judge = gateways[0][0]
    name = next(iter(shares[0]))
    judged = judge.of("acme", name).assess(AskText("hi"), MODELS)
    assert judged is not None and judged.classifier != judge.name == f"fast@{SHIPPED.digest}"
    assert any(judge.of("other", name) is judge for name in shares[0])


async def test_a_promotion_makes_a_canary_whole_and_a_rollback_ends_one(store: SqlStore, tmp_path: Path) -> None:
    registry = Registry(store)
    judge, uptake = gateway_on(registry)
    shipped = judge.name
    sha256 = await registry.save(another(tmp_path / "new"), {})
    await registry.promote(sha256, "tests", share=0.2)
    await uptake.poll()
    assert judge.canary is not None and judge.name == shipped
    canary = judge.canary.judge.name
    await registry.rollback("tests")
    await uptake.poll()
    assert judge.canary is None and judge.name == shipped
    await registry.promote(sha256, "tests", share=0.2)
    await registry.promote(sha256, "tests")
    await uptake.poll()
    assert judge.canary is None and judge.name == canary


async def test_another_artefact_is_dealt_other_conversations(store: SqlStore, tmp_path: Path) -> None:
    judge = Judge(LearnedClassifier(SHIPPED))
    shares = []
    for sha256 in ("a", "b"):
        judge.canary = Canary(Judge(LearnedClassifier(SHIPPED)), 0.2, sha256)
        shares.append(dealt(judge))
    assert len(shares[0] & shares[1]) < 0.5 * len(shares[0])


async def test_a_damaged_canary_is_left_out_and_said_once(
    store: SqlStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry = Registry(store)
    judge, uptake = gateway_on(registry)
    await registry.promote(await registry.save(b"no artefact", {}), "tests", share=0.5)
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            await uptake.poll()
    assert judge.canary is None and not dealt(judge)
    assert len([record for record in caplog.records if "not taken up" in record.message]) == 1


async def test_a_canary_of_the_encoder_shares_it_and_leaves_the_judge_beside_it_as_it_was(
    store: SqlStore, tmp_path: Path
) -> None:
    registry, judge = Registry(store), await beside_an_encoder()
    assert judge.aside is not None
    uptake, first = Uptake(registry, judge), judge.name
    sha256 = await registry.save(packed_encoder(tmp_path / "encoder", seed=1), {})
    await registry.promote(sha256, "tests", share=0.5)
    await uptake.poll()
    assert judge.canary is not None
    for serving, name in ((judge.canary.judge, f"encoder@{encoder_artefact(seed=1).digest}"), (judge, first)):
        judged = await serving.assess_aside(AskText("hi"), MODELS)
        assert judged is not None and judged.classifier == name
    await registry.rollback("tests")
    await uptake.poll()
    assert judge.canary is None and judge.name == first
    await judge.aside.aclose()


class Broken:
    """A classifier that has no answer."""

    name, features_digest = "broken@0", None

    def assess(self, ask: AskText, models: Sequence[ModelCard]) -> Assessment:
        raise RuntimeError("broken")


async def test_failures_of_a_canary_are_not_forgotten_with_it(store: SqlStore, tmp_path: Path) -> None:
    registry = Registry(store)
    judge, uptake = gateway_on(registry)
    await registry.promote(await registry.save(another(tmp_path / "new"), {}), "tests", share=0.5)
    await uptake.poll()
    assert judge.canary is not None
    judge.canary = replace(judge.canary, judge=Judge(Broken()))
    assert judge.canary.judge.assess(AskText("hi"), MODELS) is None
    assert judge.well
    await registry.rollback("tests")
    await uptake.poll()
    assert judge.failures == 1
