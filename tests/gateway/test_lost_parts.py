"""A part is lost, and no chat fails: the judge, Redis or the database, at the start and in the middle."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from classifiers.contract import AskText, Assessment, Classifier, ModelCard
from router.errors import StoreAway
from router.upstream.standin import StandIn
from tests.gateway.conftest import House
from tests.gateway.test_journey import HARD, PRIVATE
from tests.running import POLICY, Running, running
from tests.servers import PostgresServer, RedisServer


class Raises:
    """A classifier in trouble."""

    name, features_digest = "trouble@1", None

    def assess(self, ask: AskText, models: Sequence[ModelCard]) -> Assessment:
        raise RuntimeError("no judgement today")


class SaysNaN(Raises):
    def assess(self, ask: AskText, models: Sequence[ModelCard]) -> Assessment:
        return Assessment(math.nan, {model.name: 0.5 for model in models}, 0.0, 1.0, "chat", "en", self.name)


class SaysNothing(Raises):
    def assess(self, ask: AskText, models: Sequence[ModelCard]) -> Any:
        return None


class Slow(Raises):
    def assess(self, ask: AskText, models: Sequence[ModelCard]) -> Assessment:
        time.sleep(0.06)
        return Assessment(0.9, {model.name: 0.5 for model in models}, 0.0, 1.0, "chat", "en", self.name)


@pytest.mark.parametrize("trouble", [Raises(), SaysNaN(), SaysNothing()], ids=lambda part: type(part).__name__)
async def test_without_a_judge_the_default_serves_and_the_decision_says_so(house: House, trouble: Classifier) -> None:
    well = house.gateway.gateway.judge.classifier
    house.gateway.gateway.judge.classifier = trouble
    answer = await house.gateway.chat(HARD)
    assert answer.status_code == 200
    assert (answer.headers["x-signalbox-model"], answer.headers["x-signalbox-rule"]) == ("small", "degraded")
    assert (await house.gateway.get("/readyz"))["status"] == "degraded"
    told = await house.gateway.get(f"/v1/decisions/{answer.headers['x-request-id']}")
    assert (told["decision"]["rule"], told["assessment"]["classifier"]) == ("degraded", "unsure")
    tried = await house.gateway.post("/v1/route", {"model": "auto", "messages": [{"role": "user", "content": HARD}]})
    assert tried.json()["decision"]["rule"] == "degraded"

    house.gateway.gateway.judge.classifier = well
    again = await house.gateway.chat(f"{HARD} Take your time.")
    assert (again.headers["x-signalbox-model"], again.headers["x-signalbox-rule"]) == ("large", "hard")
    assert (await house.gateway.get("/readyz"))["status"] == "ok"


async def test_a_slow_judge_is_heard_three_times_and_then_rests(house: House) -> None:
    house.gateway.gateway.judge.classifier = Slow()
    rules = [(await house.gateway.chat(f"hi {number}")).headers["x-signalbox-rule"] for number in range(5)]
    assert rules == ["hard", "hard", "hard", "degraded", "degraded"]
    ready = await house.gateway.get("/readyz")
    assert (ready["status"], ready["classifier"]) == ("degraded", "trouble@1 (resting)")


async def test_without_a_judge_a_model_named_outright_is_still_pinned(house: House) -> None:
    house.gateway.gateway.judge.classifier = Raises()
    answer = await house.gateway.chat("hi", model="large")
    assert (answer.headers["x-signalbox-model"], answer.headers["x-signalbox-rule"]) == ("large", "pinned")


@pytest.mark.parametrize("default", ["small", "large"])
async def test_without_a_judge_private_asks_stay_private_whatever_the_default(tmp_path: Path, default: str) -> None:
    small, large = StandIn("small", lambda text: "here"), StandIn("large", lambda text: "there")
    async with small.serve() as small_url, large.serve() as large_url:
        policy = POLICY.format(small=small_url, large=large_url).replace("default: small", f"default: {default}")
        async with running(tmp_path, policy) as gateway:
            gateway.gateway.judge.classifier = Raises()
            private, plain = await gateway.chat(PRIVATE), await gateway.chat("hi")
    assert (private.status_code, private.headers["x-signalbox-model"]) == (200, "small")
    assert plain.headers["x-signalbox-model"] == default
    assert {answer.headers["x-signalbox-rule"] for answer in (private, plain)} == {"degraded"}
    assert all("jo.doe" not in received.body.decode() for received in large.journal)


async def becomes(gateway: Running, status: str) -> dict[str, Any]:
    """What `/readyz` says, once it says this status."""
    for _ in range(200):
        ready: dict[str, Any] = await gateway.get("/readyz")
        if ready["status"] == status:
            return ready
        await asyncio.sleep(0.05)
    raise AssertionError(f"it never became {status}: {ready}")


async def test_redis_lost_in_the_middle_costs_the_cache_and_no_chat(
    tmp_path: Path, redis_process: Callable[..., RedisServer]
) -> None:
    redis, model = redis_process(), StandIn("m", lambda text: f"heard {text}")
    async with (
        model.serve() as url,
        running(tmp_path, POLICY.format(small=url, large=url), redis_url=redis.url) as gateway,
    ):
        assert (await gateway.chat("hi")).headers["x-signalbox-cache"] == "miss"
        assert (await gateway.chat("hi")).headers["x-signalbox-cache"] == "hit"
        redis.kill()
        answers = [await gateway.chat(f"hi {number}", stream=number % 2 == 0) for number in range(6)]
        assert {answer.status_code for answer in answers} == {200}
        assert answers[-1].headers["x-signalbox-cache"] == "bypass"
        assert (await becomes(gateway, "degraded"))["redis"] == "degraded"
        await gateway.rows(8)


async def test_a_database_lost_in_the_middle_and_back_has_every_row(
    tmp_path: Path, postgres_process: PostgresServer
) -> None:
    database = postgres_process.create_database()
    model = StandIn("m", lambda text: f"heard {text}")
    async with (
        model.serve() as url,
        running(tmp_path, POLICY.format(small=url, large=url), database_url=database) as gateway,
    ):
        await gateway.chat("before")
        await gateway.rows(1)
        postgres_process.stop()  # not killed: this server may forget what it committed last, to be quick
        lost = [await gateway.chat(f"meanwhile {number}") for number in range(5)]
        assert {answer.status_code for answer in lost} == {200}
        assert (await becomes(gateway, "degraded"))["database"] == "degraded"
        async with httpx.AsyncClient(base_url=gateway.url, timeout=30) as client:
            opinion = {"request_id": lost[0].headers["x-request-id"], "thumb": "up"}
            away = await client.post("/v1/feedback", json=opinion)
            story = await client.get(f"/v1/decisions/{opinion['request_id']}")
        assert {away.status_code, story.status_code} == {503}
        assert away.json()["error"]["code"] == "ledger_away"
        assert int(away.headers["retry-after"]) > 0
        postgres_process.start()
        await becomes(gateway, "ok")
        rows = await gateway.rows(6)
        assert len(rows) + gateway.gateway.recorder.dropped == 6
        assert (await gateway.post("/v1/feedback", opinion)).status_code == 202


async def test_a_database_away_at_the_start_is_waited_for_while_chats_are_answered(
    tmp_path: Path, postgres_process: PostgresServer
) -> None:
    database = postgres_process.create_database()
    postgres_process.kill()
    model = StandIn("m", lambda text: f"heard {text}")
    async with (
        model.serve() as url,
        running(tmp_path, POLICY.format(small=url, large=url), database_url=database) as gateway,
    ):
        assert (await gateway.chat("hi")).status_code == 200
        assert (await becomes(gateway, "degraded"))["database"] == "degraded"
        postgres_process.start()
        await becomes(gateway, "ok")
        [row] = await gateway.rows(1)
        assert row["outcome"] == "ok"


async def test_what_stays_lost_is_logged_once(house: House, caplog: pytest.LogCaptureFixture) -> None:
    looks = iter(["gone", "gone", "gone in another way"])

    async def watch() -> None:
        why = next(looks, None)
        if why is None:
            raise asyncio.CancelledError
        raise StoreAway(why)

    with caplog.at_level(logging.WARNING, "router.gateway"), pytest.raises(asyncio.CancelledError):
        await house.gateway.gateway._for_ever(watch)
    told = [record.getMessage().rpartition(": ")[2] for record in caplog.records if record.name == "router.gateway"]
    assert [text for text in told if text.startswith("gone")] == ["gone", "gone in another way"]
