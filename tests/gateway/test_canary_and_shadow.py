"""A shadow decides beside the policy and never rules; a canary rules over its share of conversations and no other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from router.policy.beside import in_share
from router.upstream.standin import StandIn
from tests.gateway.conftest import House
from tests.running import POLICY, running

SHADOW, CANARY = "shadow: next.yaml\n", "canary: {policy: next.yaml, share: 0.5}\n"
NEXT = """
version: 1
models:
  small: {{tier: small, model: standin-small, base_url: "{small}/v1", private: true, retries: 0, price: {{input: 0.1, output: 0.2}}}}
  large: {{tier: large, model: standin-large, base_url: "{large}/v1", retries: 0, price: {{input: 3, output: 15}}}}
default: large
routes:
  auto:
    baseline: large
    rules: [{{name: everything, use: large, fallback: []}}]
"""  # noqa: E501


@asynccontextmanager
async def house_with(folder: Path, beside: str, following: str = NEXT) -> AsyncIterator[House]:
    """A gateway whose policy names `next.yaml` beside itself."""
    small, large = StandIn("small", lambda text: f"small: {text}"), StandIn("large", lambda text: f"large: {text}")
    async with small.serve() as small_url, large.serve() as large_url:
        (folder / "next.yaml").write_text(following.format(small=small_url, large=large_url))
        async with running(folder, beside + POLICY.format(small=small_url, large=large_url)) as gateway:
            yield House(gateway, small, large)


async def story(house: House, answer: Any) -> dict[str, Any]:
    await house.gateway.rows(1)
    told: dict[str, Any] = await house.gateway.get(f"/api/requests/{answer.headers['x-request-id']}")
    return told


async def until(house: House, notes: bool) -> dict[str, Any]:
    """What /readyz says as soon as it has notes, or none any more."""
    deadline = time.monotonic() + 8
    while bool((ready := await house.gateway.get("/readyz")).get("notes")) is not notes:
        assert time.monotonic() < deadline, ready
        await asyncio.sleep(0.1)
    return dict(ready)


async def test_a_shadow_is_written_down_beside_what_was_done_and_calls_nobody(tmp_path: Path) -> None:
    async with house_with(tmp_path, SHADOW) as house:
        answer = await house.gateway.chat("hi")
        assert answer.headers["x-signalbox-model"] == "small"
        told = await story(house, answer)
        shadow, usage = told["shadow"], told["usage"]
        assert shadow["policy"].startswith("next@") and shadow["rule"] == "everything"
        assert (told["model"], shadow["model"]) == ("small", "large")
        tokens = usage["uncached_input"] + usage["cache_read"] + usage["cache_write"], usage["output"]
        assert shadow["cost_usd"] == round((tokens[0] * 3 + tokens[1] * 15) / 1e6, 9)
        assert round(shadow["gain"], 9) == round(_next_quality(told) - told["quality"]["small"], 9)
        assert not house.large.journal
        report = await house.gateway.get("/api/shadow?since=1h")
        assert (report["requests"], report["moved"], report["compared"]) == (1, 1.0, 1)
        assert report["cost_usd"] == told["cost_usd"] and report["shadow_cost_usd"] == shadow["cost_usd"]
        [move] = report["moves"]
        assert (move["model"], move["shadow_model"], move["requests"]) == ("small", "large", 1)


def _next_quality(told: dict[str, Any]) -> float:
    quality: float = told["quality"]["large"]
    return quality


async def test_a_streamed_answer_and_a_private_ask_have_a_shadow_too(tmp_path: Path) -> None:
    async with house_with(tmp_path, SHADOW) as house:
        streamed = await house.gateway.chat("hi", stream=True)
        assert "data: [DONE]" in streamed.text
        assert (await story(house, streamed))["shadow"]["model"] == "large"
        private = await house.gateway.chat("I am jane.doe@example.org")
        await house.gateway.rows(2)
        shadow = (await story(house, private))["shadow"]
        assert shadow["model"] is None and shadow["rule"] == "no_eligible_model" and shadow["cost_usd"] is None
        report = await house.gateway.get("/api/shadow?since=1h")
        assert {(move["model"], move["shadow_model"]) for move in report["moves"]} == {
            ("small", "large"), ("small", None),
        }  # fmt: skip


async def test_answers_out_of_the_cache_have_none(tmp_path: Path) -> None:
    async with house_with(tmp_path, SHADOW) as house:
        await house.gateway.chat("hi", temperature=0)
        again = await house.gateway.chat("hi", temperature=0)
        assert again.headers["x-signalbox-cache"] == "hit"
        await house.gateway.rows(2)
        assert (await story(house, again))["shadow"] is None


async def test_a_shadow_that_does_not_load_displaces_nothing_and_is_told(tmp_path: Path) -> None:
    async with house_with(tmp_path, SHADOW) as house:
        before = (await story(house, await house.gateway.chat("hi")))["shadow"]["policy"]
        file = house.gateway.folder / "next.yaml"
        good = file.read_text()
        file.write_text(good.replace("use: large", "use: lrage"))
        ready = await until(house, True)
        assert ready["status"] == "ok" and "shadow: " in ready["notes"][0] and "lrage" in ready["notes"][0]
        assert (await house.gateway.chat("hello")).status_code == 200
        rows = await house.gateway.rows(2)
        told = await house.gateway.get(f"/api/requests/{rows[-1]['request_id']}")
        assert told["shadow"]["policy"] == before, "the last good one goes on"
        file.write_text(good.replace("use: large", "use: small"))
        await until(house, False)
        await house.gateway.chat("good day")
        rows = await house.gateway.rows(3)
        told = await house.gateway.get(f"/api/requests/{rows[-1]['request_id']}")
        assert told["shadow"]["policy"] != before and told["shadow"]["model"] == "small"


async def test_a_gateway_starts_without_a_shadow_or_canary_that_cannot_be_used(tmp_path: Path) -> None:
    chain = NEXT + "shadow: policy.yaml\n"
    async with house_with(tmp_path, "shadow: none.yaml\n" + CANARY, chain) as house:
        ready = await house.gateway.get("/readyz")
        assert [note.split(":")[0] for note in ready["notes"]] == ["canary", "shadow"]
        assert "may name no `shadow`" in ready["notes"][0] and "cannot be read" in ready["notes"][1]
        answer = await house.gateway.chat("hi")
        assert answer.status_code == 200 and (await story(house, answer))["shadow"] is None


async def test_a_canary_rules_over_its_share_of_conversations_for_good(tmp_path: Path) -> None:
    async with house_with(tmp_path, CANARY) as house:
        names = [f"c{number}" for number in range(12)]
        ruled = {}
        for _ in range(2):
            for name in names:
                answer = await house.gateway.post(
                    "/v1/chat/completions",
                    {"model": "auto", "messages": [{"role": "user", "content": "hi"}]},
                    **{"x-signalbox-conversation": name},
                )
                policy = answer.headers["x-signalbox-policy"].split("@")[0]
                assert ruled.setdefault(name, policy) == policy
                assert answer.headers["x-signalbox-model"] == ("large" if policy == "next" else "small")
        assert {name for name, policy in ruled.items() if policy == "next"} == {
            name for name in names if in_share("default", name, 0.5)
        }
        assert set(ruled.values()) == {"policy", "next"}
        await house.gateway.rows(24)
        costs = await house.gateway.get("/api/costs?by=policy&since=1h")
        assert {row["key"].split("@")[0] for row in costs["rows"]} == {"policy", "next"}
        label = next(row["key"] for row in costs["rows"] if row["key"].startswith("next@"))
        listed = await house.gateway.get(f"/api/requests?since=1h&policy={label}")
        assert listed["total"] == 2 * sum(policy == "next" for policy in ruled.values())


async def test_the_route_endpoint_says_whether_the_canary_would_rule(tmp_path: Path) -> None:
    async with house_with(tmp_path, CANARY) as house:
        body = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}
        inside = next(name for name in map(str, range(99)) if in_share("default", name, 0.5))
        outside = next(name for name in map(str, range(99)) if not in_share("default", name, 0.5))
        for name, rules in ((inside, True), (outside, False)):
            told = (await house.gateway.post("/v1/route", body, **{"x-signalbox-conversation": name})).json()
            assert told["canary"]["rules"] is rules and told["canary"]["share"] == 0.5
            assert told["canary"]["policy"].startswith("next@")
            assert told["policy"].startswith("next@" if rules else "policy@")


async def test_what_the_canary_does_not_know_is_the_main_policys(tmp_path: Path) -> None:
    following = NEXT.replace("  auto:", "  another:")
    async with house_with(tmp_path, CANARY.replace("0.5", "0.99"), following) as house:
        for number in range(5):
            answer = await house.gateway.chat(f"hi {number}")
            assert answer.headers["x-signalbox-policy"].startswith("policy@")
        models = {model["id"] for model in (await house.gateway.get("/v1/models"))["data"]}
        assert "auto" in models and "another" not in models
