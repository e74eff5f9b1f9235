"""Limits as callers meet them: 429 with what they need to know, headers on every answer, and money that adds up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from router.limits.contract import Counter, Standing
from router.upstream.standin import Fault, Reply, StandIn
from tests.running import Running, chat_body, client_of, running
from tests.servers import RedisServer

KEYS = "a:sk-anna,a:sk-bert,e:sk-eve"
ANNA, BERT, EVE = ({"authorization": f"Bearer sk-{name}"} for name in ("anna", "bert", "eve"))

POLICY = """
version: 1
models:
  small: {{tier: small, model: standin-small, base_url: "{small}/v1", private: true, retries: 0, price: {{input: 0, output: 0}}}}
  large: {{tier: large, model: standin-large, base_url: "{large}/v1", retries: 0, price: {{input: 0, output: 10000}}}}
default: small
limits:
  {limits}
routes:
  auto:
    baseline: large
    rules:
      - {{name: saving, when: "budget.used >= 0.5", use: small}}
      - {{name: best, use: large, fallback: [small]}}
    cache: {{exact: {{ttl: 1h}}}}
  dear:
    default: large
"""  # noqa: E501
"""An output token of `large` costs a cent; its answers have ten."""


@dataclass(frozen=True)
class Shop:
    """A gateway with limits, and the models behind it."""

    gateway: Running
    small: StandIn
    large: StandIn

    async def ask(self, text: str, who: dict[str, str] = ANNA, **more: Any) -> httpx.Response:
        body = chat_body(text, **{"max_tokens": 10, **more})
        return await self.gateway.post("/v1/chat/completions", body, **who)

    async def standing(self, per: str, subject: str, name: str = "one") -> Standing:
        """What is used of a limit, once nothing waits to be settled."""
        counter = Counter(name, per, subject, 10**9, 10**9, 10**15, 10**15)
        return (await self.gateway.gateway.limits.store.peek([counter]))[0]


@asynccontextmanager
async def shop(folder: Path, *limits: str, **settings: Any) -> AsyncIterator[Shop]:
    reply = Reply("ten tokens", input_tokens=5, output_tokens=10)
    small, large = StandIn("small", lambda _: reply), StandIn("large", lambda _: reply)
    async with small.serve() as small_url, large.serve() as large_url:
        written = "\n  ".join(f"- {limit}" for limit in limits)
        policy = POLICY.format(small=small_url, large=large_url, limits=written)
        async with running(folder, policy, api_keys=KEYS, **settings) as gateway:
            yield Shop(gateway, small, large)


def error(answer: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = answer.json()["error"]
    return found


async def test_a_pace_that_is_reached_is_a_429_as_openai_has_it(tmp_path: Path) -> None:
    async with shop(tmp_path, "{name: pace, per: key, requests_per_minute: 2, tokens_per_minute: 1000}") as house:
        first, _ = await house.ask("one"), await house.ask("two")
        assert first.headers["x-ratelimit-limit-requests"] == "2"
        assert first.headers["x-ratelimit-remaining-requests"] == "1"
        assert first.headers["x-ratelimit-reset-requests"] in ("1m1s", "1m2s", "1m3s", "1m4s", "1m5s")
        assert first.headers["x-ratelimit-limit-tokens"] == "1000"
        assert 900 < int(first.headers["x-ratelimit-remaining-tokens"]) < 990
        refused = await house.ask("three")
        assert refused.status_code == 429
        assert (error(refused)["type"], error(refused)["code"]) == ("rate_limit_error", "rate_limit_exceeded")
        assert 55 <= int(refused.headers["retry-after"]) <= 65
        assert refused.headers["x-signalbox-fault"] == "caller"
        assert refused.headers["x-ratelimit-remaining-requests"] == "0"
        assert (await house.ask("four", BERT)).status_code == 200
        assert len(house.large.journal) == 3
        rows = await house.gateway.rows(4)
        assert [row["error_code"] for row in rows].count("rate_limit_exceeded") == 1


async def test_streams_have_the_headers_and_are_settled_when_they_end(tmp_path: Path) -> None:
    async with shop(tmp_path, "{name: one, per: key, requests_per_minute: 9, tokens_per_minute: 999}") as house:
        answer = await house.ask("one", stream=True)
        assert answer.headers["x-ratelimit-remaining-requests"] == "8"
        assert answer.text.endswith("data: [DONE]\n\n")
        assert (await house.standing("key", "a/a-1")).tokens == 15


async def test_a_policy_turns_cheaper_before_it_refuses(tmp_path: Path) -> None:
    async with shop(tmp_path, "{name: one, per: tenant, dollars_per_day: 0.25}") as house:
        models = [(await house.ask(f"question {number}")).headers["x-signalbox-model"] for number in range(4)]
        assert models == ["large", "large", "small", "small"], "ten cents each: used are 0, 0.4, 0.8"
        refused = await house.ask("all the same", model="large")
        assert refused.status_code == 429
        assert (error(refused)["type"], error(refused)["code"]) == ("insufficient_quota", "insufficient_quota")
        assert "`one` allows 0.25 dollars a day for tenant `a`" in error(refused)["message"]
        assert int(refused.headers["retry-after"]) <= 86_400
        assert refused.headers["x-should-retry"] == "false" or int(refused.headers["retry-after"]) <= 60
        assert (await house.ask("not mine", EVE)).headers["x-signalbox-model"] == "large"


async def test_what_was_spent_is_what_the_ledger_says(tmp_path: Path) -> None:
    async with shop(tmp_path, "{name: one, per: all, dollars_per_month: 100, tokens_per_minute: 99999}") as house:
        house.large.script.append(Fault("status", 500))
        for number in range(3):
            await house.ask(f"question {number}", max_tokens=500)
        await house.ask("question 2", max_tokens=500)
        rows = await house.gateway.rows(4)
        standing = await house.standing("all", "all")
        assert standing.month_spent == sum(round(row["cost_usd"] * 1e9) for row in rows) == 200_000_000
        assert standing.month_held == 0
        assert standing.tokens == 45, "the cache's answer and the failed attempt took none"
        assert standing.requests == 0, "nothing counts them"


async def test_an_answer_out_of_the_cache_counts_as_a_request(tmp_path: Path) -> None:
    async with shop(tmp_path, "{name: one, per: key, requests_per_minute: 2, tokens_per_minute: 900}") as house:
        await house.ask("the same")
        hit = await house.ask("the same")
        assert hit.headers["x-signalbox-cache"] == "hit"
        assert hit.headers["x-ratelimit-remaining-requests"] == "0"
        assert hit.headers["x-ratelimit-remaining-tokens"] == "885"
        assert (await house.ask("the same")).status_code == 429


async def test_answers_in_the_cache_are_served_to_those_whose_money_is_spent(tmp_path: Path) -> None:
    async with shop(tmp_path, "{name: one, per: key, dollars_per_day: 0.1}") as house:
        await house.ask("the same")
        assert (await house.ask("the same")).headers["x-signalbox-cache"] == "hit"


async def test_a_spent_model_is_passed_over_and_refused_where_it_is_named(tmp_path: Path) -> None:
    async with shop(tmp_path, "{name: one, per: model, only: [large], dollars_per_day: 0.1}") as house:
        assert (await house.ask("first")).headers["x-signalbox-model"] == "large"
        second = await house.ask("second")
        assert second.headers["x-signalbox-model"] == "small"
        story = await house.gateway.get(f"/v1/decisions/{second.headers['x-request-id']}", **ANNA)
        assert story["eligible"]["large"].startswith("budget: `one` allows 0.1 dollars a day")
        dry = (await house.gateway.post("/v1/route", chat_body("third", max_tokens=10), **ANNA)).json()
        assert dry["decision"]["model"] == "small"
        for model in ("large",):
            refused = await house.ask("named", model=model)
            assert (refused.status_code, error(refused)["code"]) == (429, "insufficient_quota")
            assert "too little is left until 00:00 UTC" in error(refused)["message"]
        assert (await house.ask("its default is spent too", model="dear")).headers["x-signalbox-model"] == "small"


async def test_whoever_comes_at_once_shares_what_is_left_of_a_model(tmp_path: Path) -> None:
    async with shop(tmp_path, "{name: one, per: model, only: [large], dollars_per_day: 0.35}") as house:
        answers = await asyncio.gather(*(house.ask(f"question {number}") for number in range(10)))
        models = sorted(answer.headers["x-signalbox-model"] for answer in answers)
        assert models == ["large"] * 3 + ["small"] * 7


async def test_a_caller_who_leaves_gives_back_what_was_reserved_but_pays_for_the_call(tmp_path: Path) -> None:
    async with shop(tmp_path, "{name: one, per: key, dollars_per_day: 1}") as house:
        house.large.script.append(Reply("late", latency_seconds=30))
        async with client_of(house.gateway.url, headers=ANNA) as client:
            call = asyncio.create_task(client.post("/v1/chat/completions", json=chat_body("hello", max_tokens=10)))
            await house.large.received()
            assert (await house.standing("key", "a/a-1")).day_held == 100_000_000
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
        deadline = time.monotonic() + 5
        while (await house.standing("key", "a/a-1")).day_held:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)


async def test_without_limits_there_are_no_headers_and_readiness_says_off(tmp_path: Path, redis_url: str) -> None:
    policy = POLICY.replace("limits:\n  {limits}\n", "")
    small = StandIn("small", lambda _: "fine")
    async with small.serve() as url, running(tmp_path, policy.format(small=url, large=url), redis_url=redis_url) as on:
        answer = await on.chat("hello")
        assert not [name for name in answer.headers if name.startswith("x-ratelimit")]
        assert (await on.get("/readyz"))["limits"] == "off"
        assert on.gateway.limits.store.state == "off", "Redis was never asked for limits"


async def test_two_gateways_on_one_redis_count_together(tmp_path: Path, redis_url: str) -> None:
    limit = "{name: pace, per: tenant, requests_per_minute: 3}"
    (tmp_path / "other").mkdir()
    async with (
        shop(tmp_path, limit, redis_url=redis_url) as one,
        shop(tmp_path / "other", limit, redis_url=redis_url) as other,
    ):
        answers = [await house.ask(f"question {number}") for number in range(3) for house in (one, other)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429, 429]
        assert (await one.gateway.get("/readyz"))["limits"] == "ok"


async def test_the_scrape_tells_which_limits_were_reached(tmp_path: Path) -> None:
    async with shop(tmp_path, "{name: pace, per: key, requests_per_minute: 1, dollars_per_day: 5}") as house:
        await house.ask("one")
        await house.ask("two")
        async with client_of(house.gateway.url) as client:
            page = (await client.get("/metrics")).text
        assert 'signalbox_limits_refused_total{bound="requests",limit="pace"} 1.0' in page
        assert 'signalbox_limits_refused_total{bound="day",limit="pace"} 0.0' in page
        assert 'signalbox_part_well{part="limits"} 1.0' in page


async def test_those_who_run_it_see_how_full_each_limit_is(tmp_path: Path) -> None:
    limits = (
        "{name: one, per: tenant, requests_per_minute: 10, dollars_per_day: 1}",
        "{name: pace, per: key, only: [a-1], tokens_per_minute: 100}",
        "{name: dear, per: model, only: [large], dollars_per_month: 0.4}",
    )
    async with shop(tmp_path, *limits) as house:
        await house.ask("hello")
        found = await house.gateway.get("/api/limits")
        assert (found["state"], found["total"]) == ("ok", 4)
        assert [(row["limit"], row["subject"], row["full"]) for row in found["rows"]] == [
            ("dear", "large", 0.25),
            ("pace", "a/a-1", 0.15),
            ("one", "a", 0.1),
            ("one", "e", 0.0),
        ]
        assert found["rows"][0]["month"] == {"spent_usd": 0.1, "reserved_usd": 0.0, "most_usd": 0.4}
        assert found["rows"][2]["minute"]["requests"] == 1
        assert (await house.gateway.get("/api/limits?per=model&most=1"))["total"] == 1
        async with client_of(house.gateway.url) as client:
            assert (await client.get("/api/limits?per=nobody")).status_code == 400


async def test_limits_that_a_new_policy_brings_hold_at_once_and_know_the_ledger(tmp_path: Path) -> None:
    async with shop(tmp_path, "{name: one, per: key, requests_per_minute: 100}") as house:
        await house.ask("hello")
        await house.gateway.rows(1)
        policy = tmp_path / "policy.yaml"
        before = (await house.gateway.get("/readyz"))["policy"]
        policy.write_text(policy.read_text().replace("requests_per_minute: 100", "dollars_per_day: 0.15"))
        deadline = time.monotonic() + 10
        while not ((await house.gateway.get("/api/limits"))["rows"][0]["day"] or {}).get("spent_usd"):
            assert time.monotonic() < deadline, "it never heard of the ten cents"
            await asyncio.sleep(0.05)
        assert (await house.gateway.get("/readyz"))["policy"] != before
        assert (await house.ask("now", model="large")).status_code == 429


async def test_a_lost_redis_fails_no_request_and_limits_hold_on(
    tmp_path: Path, redis_process: Callable[..., RedisServer]
) -> None:
    server = redis_process()
    limit = "{name: one, per: tenant, dollars_per_day: 0.35}"
    async with shop(tmp_path, limit, redis_url=server.url) as house:
        await house.ask("one", model="large")
        server.kill()
        answers = [await house.ask(f"question {number}", model="large") for number in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 429, 429], "35 cents, ten each, one was spent"
        assert (await house.gateway.get("/readyz"))["limits"] == "degraded"
        server.start()
        deadline = time.monotonic() + 20
        while (await house.gateway.get("/readyz"))["limits"] != "ok":
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        shown = (await house.gateway.get("/api/limits?per=tenant"))["rows"][0]
        assert (shown["subject"], shown["day"]["spent_usd"], shown["day"]["reserved_usd"]) == ("a", 0.3, 0.0)
        assert (await house.ask("again", model="large")).status_code == 429
