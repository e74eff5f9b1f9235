"""A judge that fails costs judgement alone: chats go on by the default, and the ledger says so and adds up."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from classifiers.contract import Classifier
from tests.faults.models import Heard
from tests.faults.scene import scene, until
from tests.faults.traffic import POLICY, chats, steady_chats
from tests.gateway.test_lost_parts import Raises, SaysNaN, SaysNothing, Slow


@pytest.mark.parametrize(
    ("trouble", "rules"),
    [(Raises(), {"degraded"}), (SaysNaN(), {"degraded"}), (SaysNothing(), {"degraded"}),
     (Slow(), {"degraded", "default"})],
    ids=["raises", "says NaN", "says nothing", "is slow"],
)  # fmt: skip
async def test_chats_go_on_while_the_judge(tmp_path: Path, trouble: Classifier, rules: set[str]) -> None:
    model = Heard("m")
    async with model.serve() as url, scene(tmp_path, POLICY.format(url=url), model) as built:
        judge, recorder = built.gateway.gateway.judge, built.gateway.gateway.recorder
        well = judge.classifier
        async with steady_chats(built):
            judge.classifier = trouble
            await chats(built, 12, "in trouble")
            judge.classifier = well
        during = [answer.headers["x-request-id"] for answer in built.answers if "in trouble" in answer.text]
        await until(lambda: not recorder.waiting, "the last row")
        found = {row["request_id"]: row for row in await built.rows()}
        counts = Counter(found[name]["rule"] for name in during)
        assert {"degraded"} <= set(counts) <= rules
        assert counts["default"] <= 3, "three are heard, then it rests"
        assert all(row["outcome"] == "ok" for row in found.values())
