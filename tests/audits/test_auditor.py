"""Audits through the running gateway: the other model answers too, a judge weighs both, and the ledger has it all."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from router.ledger.export import audited, decisions
from router.ledger.tables import labels, outcomes
from router.ledger.window import read_window
from router.upstream.standin import Fault, StandIn
from tests.running import Running, running

POLICY = """
version: 1
models:
  small: {{tier: small, model: s, base_url: "{small}/v1", private: true, price: {{input: 0.1, output: 0.2}}}}
  large: {{tier: large, model: l, base_url: "{large}/v1", retries: 0, price: {{input: 3, output: 15}}}}
  judge: {{tier: large, model: j, base_url: "{judge}/v1", supports: [tools], price: {{input: 1, output: 4}}}}
default: small
routes:
  auto:
    baseline: large
    privacy: observe
    rules:
      - {{name: easy, when: "complexity < 0.35", use: small, fallback: [large]}}
      - {{name: hard, use: large, fallback: [small]}}
    audit: {{rate: {rate}, judge: judge, budget_per_day: {budget}, review: {review}}}
"""


class Stage:
    def __init__(self, gateway: Running, small: StandIn, large: StandIn, judge: StandIn):
        self.gateway, self.small, self.large, self.judge = gateway, small, large, judge

    async def rows(self, count: int) -> list[Any]:
        """All rows of the ledger, by id, once there are so many."""
        return await self._wait(outcomes, count, outcomes.c.request_id)

    async def labels(self, count: int) -> list[Any]:
        return await self._wait(labels, count, labels.c.request_id)

    async def _wait(self, table: sa.Table, count: int, order: Any) -> list[Any]:
        deadline = time.monotonic() + 10
        while True:
            found = list(await self.gateway.gateway.store.rows(sa.select(table).order_by(order)))
            if len(found) >= count:
                return found
            assert time.monotonic() < deadline, f"{len(found)} rows, {count} were expected"
            await asyncio.sleep(0.05)


def weigh(question: str) -> str:
    """A judge that likes long answers, whichever way round they are shown."""
    material = json.loads(question)
    a, b = len(material["A"]), len(material["B"])
    return json.dumps({"a": 9 if a > b else 4, "b": 9 if b > a else 4})


@asynccontextmanager
async def stage(
    folder: Path, *, rate: float = 1, budget: float = 1, review: float = 0, judge=weigh
) -> AsyncIterator[Stage]:
    small, large = StandIn("s", lambda text: "short"), StandIn("l", lambda text: "a long answer")
    weigher = StandIn("j", judge)
    async with small.serve() as s, large.serve() as big, weigher.serve() as j:
        policy = POLICY.format(small=s, large=big, judge=j, rate=rate, budget=budget, review=review)
        async with running(folder, policy) as gateway:
            yield Stage(gateway, small, large, weigher)


def score(question: str) -> str:
    """A judge that is shown one answer, and no other."""
    assert json.loads(question).keys() == {"request", "A"}
    return '{"a": 7}'


@pytest.mark.parametrize("stream", [False, True])
async def test_a_reviewed_answer_is_scored_alone_and_nobody_answers_again(tmp_path: Path, stream: bool) -> None:
    async with stage(tmp_path, rate=0, review=1, judge=score) as on:
        answer = await on.gateway.chat("hi", stream=stream)
        request_id = answer.headers["x-request-id"]
        [label] = await on.labels(1)
        assert (label["request_id"], label["score"], label["source"], label["weight"]) == (
            request_id,
            0.7,
            "judge",
            0.5,
        )
        rows = await on.rows(2)
        assert [(row["purpose"], row["model"]) for row in rows] == [("chat", "small"), ("judge", "judge")]
        assert not on.large.journal, "the other model is not asked"
        assert on.gateway.gateway.auditor.counts["reviewed"] == 1


async def test_a_review_that_cannot_be_read_labels_nothing(tmp_path: Path) -> None:
    async with stage(tmp_path, rate=0, review=1, judge=lambda question: "a fine answer") as on:
        await on.gateway.chat("hi")
        await on.rows(2)
        await asyncio.sleep(0.1)
        assert on.gateway.gateway.auditor.counts["unread"] == 1
        assert await on.labels(0) == []


async def test_a_private_answer_is_not_shown_to_a_judge_that_is_not(tmp_path: Path) -> None:
    async with stage(tmp_path, rate=0, review=1, judge=score) as on:
        await on.gateway.chat("My card is 4111 1111 1111 1111, what now?")
        await on.rows(1)
        await asyncio.sleep(0.2)
        assert not on.judge.journal


@pytest.mark.parametrize("stream", [False, True])
async def test_an_audited_request_leaves_a_pair_of_labels_and_all_costs(tmp_path: Path, stream: bool) -> None:
    async with stage(tmp_path) as on:
        answer = await on.gateway.chat("hi", stream=stream)
        assert answer.headers["x-signalbox-model"] == "small"
        rows = await on.rows(4)
        request_id = answer.headers["x-request-id"]
        assert [(row["request_id"].removeprefix(request_id), row["purpose"], row["model"]) for row in rows] == [
            ("", "chat", "small"),
            (".audit", "audit", "large"),
            (".judge1", "judge", "judge"),
            (".judge2", "judge", "judge"),
        ]
        assert all(row["parent_id"] == request_id for row in rows[1:])
        assert all(row["cost_nano"] > 0 for row in rows)
        given = await on.labels(2)
        assert [(row["request_id"], row["score"], row["source"], row["key"]) for row in given] == [
            (request_id, 0.4, "judge", "audit"),
            (f"{request_id}.audit", 0.9, "judge", "audit"),
        ]
        assert "orders agree" in given[0]["comment"]
        costs = await on.gateway.get("/api/costs?since=1h&by=model")
        spent = sum(row["cost_nano"] for row in rows) / 1e9
        assert costs["total"]["spend_usd"] == pytest.approx(spent) and costs["total"]["requests"] == 1
        shown = [json.loads(json.loads(seen.body)["messages"][1]["content"]) for seen in on.judge.journal]
        assert [(seen["A"], seen["B"]) for seen in shown] == [("short", "a long answer"), ("a long answer", "short")]


async def test_both_halves_of_a_pair_come_to_learning_with_the_same_features(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        await on.gateway.chat("hi")
        await on.labels(2)
        await on.rows(4)
        store, window = on.gateway.gateway.store, read_window("1h")
        [first] = [row async for batch in decisions(store, window, labelled_only=True) for row in batch]
        [second] = await audited(store, window)
        assert (first.model.name, second.model.name) == ("small", "large")
        assert second.request_id == f"{first.request_id}.audit"
        assert first.features is not None and (first.features == second.features).all()
        assert (first.features_digest, first.task, first.quality) == (
            second.features_digest,
            second.task,
            second.quality,
        )
        assert [row.labels[0].score for row in (first, second)] == [0.4, 0.9]


async def test_where_the_baseline_answered_the_cheapest_small_model_is_asked(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        await on.gateway.chat("Prove that every finite-dimensional real division algebra has dimension 1, 2, 4 or 8.")
        rows = await on.rows(4)
        assert [row["model"] for row in rows] == ["large", "small", "judge", "judge"]


async def test_nothing_is_audited_at_rate_0_and_a_share_at_a_rate_between(tmp_path: Path) -> None:
    async with stage(tmp_path, rate=0) as on:
        await on.gateway.chat("hi")
        await asyncio.sleep(1.5)
        assert len(await on.rows(1)) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "user", "content": "My card is 4111 1111 1111 1111, is it valid?"}]},
        {"messages": [{"role": "user", "content": "### Task:\nName this chat."}]},
        {"messages": [{"role": "user", "content": "hi"}], "n": 2},
        {"messages": [{"role": "user", "content": "hi"}], "model": "small"},
        {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "tool_calls": [], "content": "x"},
                      {"role": "tool", "tool_call_id": "a", "content": "4"}]},
    ],
)  # fmt: skip
async def test_what_cannot_be_audited_is_left_alone(tmp_path: Path, body: dict[str, Any]) -> None:
    async with stage(tmp_path) as on:
        assert (await on.gateway.post("/v1/chat/completions", {"model": "auto", **body})).status_code == 200
        await asyncio.sleep(1.5)
        assert [row["purpose"] for row in await on.rows(1)] == ["chat"]
        assert not on.judge.journal


async def test_a_budget_that_is_spent_ends_the_audits_of_the_day(tmp_path: Path) -> None:
    async with stage(tmp_path, budget=0.000001) as on:
        await on.gateway.chat("hi")
        await asyncio.sleep(1.5)
        assert len(await on.rows(1)) == 1
        assert on.gateway.gateway.auditor.counts["over_budget"] == 1


async def test_a_judge_that_talks_nonsense_costs_money_and_labels_nothing(tmp_path: Path) -> None:
    async with stage(tmp_path, judge=lambda _text: "I would rather not say.") as on:
        await on.gateway.chat("hi")
        assert len(await on.rows(4)) == 4
        await asyncio.sleep(0.5)
        assert await on.labels(0) == []
        assert on.gateway.gateway.auditor.counts["unread"] == 1


async def test_an_other_model_that_fails_leaves_its_attempt_in_the_ledger_and_the_caller_in_peace(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as on:
        on.large.script.append(Fault("status", status=500))
        assert (await on.gateway.chat("hi")).status_code == 200
        rows = await on.rows(2)
        assert [(row["purpose"], row["model"], row["status"]) for row in rows] == [
            ("chat", "small", 200),
            ("attempt", "large", 502),
        ]
        assert not on.judge.journal


async def test_labels_that_were_paid_for_outlast_a_database_that_takes_none(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        gateway = on.gateway.gateway
        with closing(sqlite3.connect(gateway.settings.store_url.removeprefix("sqlite:///"))) as other:
            other.execute("BEGIN IMMEDIATE")
            await on.gateway.chat("hi")
            deadline = time.monotonic() + 30
            while not (gateway.auditor.counts["labelled"] and gateway.auditor.waiting):
                assert time.monotonic() < deadline and not gateway.auditor.counts["failed"], gateway.auditor.counts
                await asyncio.sleep(0.05)
            await on.gateway.chat("hi", seed=1)
            await asyncio.sleep(1.5)
            assert len(on.judge.journal) == 2, "nobody is asked while labels wait"
            other.rollback()
        assert len(await on.labels(4)) == 4
        assert gateway.auditor.counts["labelled"] == 2 and not gateway.auditor.counts["failed"]


async def test_what_overflows_is_counted(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        auditor = on.gateway.gateway.auditor
        for number in range(70):
            await on.gateway.chat("hi", seed=number)
        deadline = time.monotonic() + 15
        while auditor.counts["labelled"] + auditor.counts["overflowed"] < 70:
            assert time.monotonic() < deadline, auditor.counts
            await asyncio.sleep(0.1)
        assert auditor.counts["drawn"] == 70
