"""`max_risk` through running gateways: the baseline serves first, audits prove the small model, losses undo the proof.

Real gateways and a real SQLite ledger; the models and the judge are stand-ins, so what a loss is, is staged.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from router.ledger.tables import labels
from router.upstream.standin import StandIn
from tests.running import Running, chat_body, client_of, running

POLICY = """
version: 1
models:
  small: {{tier: small, model: s, base_url: "{small}/v1", price: {{input: 0.1, output: 0.2}}}}
  large: {{tier: large, model: l, base_url: "{large}/v1", retries: 0, price: {{input: 3, output: 15}}}}
  judge: {{tier: large, model: j, base_url: "{judge}/v1", supports: [tools], price: {{input: 1, output: 4}}}}
default: small
routes:
  auto:
    baseline: large
    conversation: {{margin: 0.05}}
    explore: {{rate: 1, band: 1}}
    audit: {{rate: 1, judge: judge, budget_per_day: 100}}
    rules:
      - {{name: promise, choose: cheapest, among: [small, large], keep_quality: 0, max_risk: 0.3}}
"""
EXPLORES = "    explore: {rate: 1, band: 1}\n"
NEEDED = 15
"""Pairs without a loss that prove 0.3."""


class House:
    """Two models, a judge who finds the small one's answers as good or worse, and a folder with policy and ledger."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.small, self.large = StandIn("s", lambda text: "short"), StandIn("l", lambda text: "a long answer")
        self.judge = StandIn("j", self._weigh)
        self.worth_of_small = 8
        self.policy = ""

    def _weigh(self, question: str) -> str:
        material = json.loads(question)
        worth = {name: self.worth_of_small if material[name.upper()] == "short" else 8 for name in "ab"}
        return json.dumps(worth)

    async def ask(self, gateway: Running, count: int, begin: int = 0) -> list[str]:
        """Who answered so many questions, once all of them are audited and looked at."""
        before = await self._labels(gateway)
        answers = [await gateway.chat(f"question {number}") for number in range(begin, begin + count)]
        deadline = time.monotonic() + 20
        while await self._labels(gateway) < before + 2 * count:
            assert time.monotonic() < deadline, "the audits did not come"
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)  # rows of audits are written in batches
        await gateway.gateway.proving.look()
        return [answer.headers["x-signalbox-model"] for answer in answers]

    async def _labels(self, gateway: Running) -> int:
        [row] = await gateway.gateway.store.rows(sa.select(sa.func.count().label("count")).select_from(labels))
        return int(row["count"])


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    async with house.small.serve() as small, house.large.serve() as large, house.judge.serve() as judge:
        house.policy = POLICY.format(small=small, large=large, judge=judge)
        yield house


@asynccontextmanager
async def gateway_of(house: House) -> AsyncIterator[Running]:
    async with running(house.folder, house.policy) as gateway:
        await gateway.gateway.proving.look()
        yield gateway


async def test_the_baseline_serves_first_then_the_rule_decides_then_after_losses_the_baseline_serves_again(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "router.learning.proving")
    async with gateway_of(house) as gateway:
        assert set(await house.ask(gateway, NEEDED - 1)) == {"large"}
        assert len(house.small.journal) == NEEDED - 1, "audits ask whoever would have answered"
        [row] = (await gateway.get("/api/risk"))["rows"]
        assert (row["proven"], row["pairs"], row["lost"]) == (False, NEEDED - 1, 0.0)
        assert row["bound"] > 0.3 and row["more"] >= 1

        assert await house.ask(gateway, 1, begin=100) == ["large"]
        [row] = (await gateway.get("/api/risk"))["rows"]
        assert (row["proven"], row["pairs"], row["more"]) == (True, NEEDED, 0)
        proven = await gateway.chat("hello there")
        assert proven.headers["x-signalbox-rule"] == "promise"
        assert "x-signalbox-unproven" not in proven.headers
        assert "max_risk 0.3 proven" in caplog.text

        house.worth_of_small = 0
        await house.ask(gateway, 12, begin=200)
        [row] = (await gateway.get("/api/risk"))["rows"]
        assert not row["proven"] and row["lost"] > 0.2
        again = await gateway.chat("and now?")
        assert (again.headers["x-signalbox-model"], again.headers["x-signalbox-unproven"]) == ("large", "small")
        warned = [record for record in caplog.records if record.levelname == "WARNING"]
        assert any("not proven" in record.getMessage() and "large serves" in record.getMessage() for record in warned)


async def test_once_proven_the_small_model_serves(house: House) -> None:
    house.policy = house.policy.replace(EXPLORES, "")
    async with gateway_of(house) as gateway:
        assert set(await house.ask(gateway, NEEDED)) == {"large"}
        assert set(await house.ask(gateway, 3, begin=100)) == {"small"}


async def test_headers_explanations_and_the_ledger_say_that_it_is_not_proven(house: House) -> None:
    async with gateway_of(house) as gateway:
        answer = await gateway.chat("hi")
        assert answer.headers["x-signalbox-unproven"] == "small"
        explained = (await gateway.post("/v1/route", chat_body("hi"))).json()
        assert (explained["decision"]["model"], explained["decision"]["unproven"]) == ("large", "small")
        assert "max_risk 0.3 not proven: bound 1 from 0 audited pairs; about 9 more" in explained["rules"][0]["why"]
        story = (await gateway.rows(1))[0]
        assert story["model"] == "large" and story["rule"] == "promise"


async def test_a_conversation_keeps_no_model_that_is_not_proven(house: House) -> None:
    house.policy = house.policy.replace(EXPLORES, "")
    async with gateway_of(house) as gateway:
        await house.ask(gateway, NEEDED)
        turn = {"metadata": {"conversation_id": "c"}}
        assert (await gateway.chat("hi", **turn)).headers["x-signalbox-model"] == "small"
        house.worth_of_small = 0
        await house.ask(gateway, 12, begin=200)
        second = await gateway.chat("and now?", **turn)
        assert (second.headers["x-signalbox-model"], second.headers["x-signalbox-rule"]) == ("large", "promise")


async def test_two_workers_come_to_the_same_by_the_same_ledger(house: House) -> None:
    async with gateway_of(house) as one, gateway_of(house) as two:
        await house.ask(one, 8)
        await house.ask(two, 8, begin=50)
        await one.gateway.proving.look()
        here, there = (await one.get("/api/risk"))["rows"], (await two.get("/api/risk"))["rows"]
        assert here == there and here[0]["proven"] and here[0]["pairs"] == 16


async def test_another_wording_of_the_rule_begins_at_nothing_and_another_limit_does_not(house: House) -> None:
    async with gateway_of(house) as gateway:
        await house.ask(gateway, NEEDED)
    house.policy = house.policy.replace("max_risk: 0.3", "max_risk: 0.4")
    house.policy += "limits: [{name: pace, per: key, requests_per_minute: 900}]\n"
    async with gateway_of(house) as gateway:
        assert (await gateway.get("/api/risk"))["rows"][0]["pairs"] == NEEDED
        assert (await gateway.chat("hi")).headers.get("x-signalbox-unproven") is None
    house.policy = house.policy.replace("keep_quality: 0,", "keep_quality: 0.1,")
    async with gateway_of(house) as gateway:
        [row] = (await gateway.get("/api/risk"))["rows"]
        assert (row["pairs"], row["proven"]) == (0, False)
        assert (await gateway.chat("hi")).headers["x-signalbox-model"] == "large"


async def test_metrics_tell_the_bound_and_its_pairs(house: House) -> None:
    async with gateway_of(house) as gateway:
        await house.ask(gateway, NEEDED)
        async with client_of(gateway.url) as client:
            page = (await client.get("/metrics")).text
        assert f'signalbox_risk_pairs{{route="auto",rule="promise"}} {NEEDED}.0' in page
        assert 'signalbox_risk_proven{route="auto",rule="promise"} 1.0' in page
