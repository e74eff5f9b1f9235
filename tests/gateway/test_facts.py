"""What policies can see of a caller, and what callers can see of a policy with unusual names."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from router.access.keys import Key, digest, write_keys_file
from router.upstream.standin import Reply, StandIn
from tests.running import chat_body, running

ODD_NAMES = ["team/route-one", "a.b:c@d+e", "odd/model:3b"]

RULES = """
version: 1
models:
  plain: {{tier: small, model: plain, base_url: "{url}/v1", price: {{input: 1, output: 2, cache_read: 0.1}}}}
  gold: {{tier: large, model: gold, base_url: "{url}/v1", retries: 0}}
  "odd/model:3b": {{tier: small, model: odd, base_url: "{url}/v1", retries: 0}}
default: plain
routes:
  auto:
    baseline: plain
    rules:
      - {{name: gold key, when: "'gold' in key.tags", use: gold}}
      - {{name: by header, when: "headers['x-team'] == 'research'", use: gold}}
      - {{name: by metadata, when: "metadata.plan == 'paid'", use: gold}}
      - {{name: always open, when: "hour >= 0 && hour < 24 && weekday >= 1 && weekday <= 7", use: plain}}
  team/route-one: {{rules: []}}
  "a.b:c@d+e": {{rules: []}}
"""


async def test_keys_headers_and_metadata_decide_where_rules_say_so(tmp_path: Path) -> None:
    model, file = StandIn("m", lambda text: "ok"), tmp_path / "keys.yaml"
    write_keys_file(file, [Key("g", "acme", digest("sb-gold"), ("gold",)), Key("p", "acme", digest("sb-plain"))])
    async with model.serve() as url, running(tmp_path, RULES.format(url=url), keys_file=file) as gateway:

        async def rule(key: str, headers: dict[str, str], **more: object) -> str:
            sent = {"authorization": f"Bearer {key}", **headers}
            for path in ("/v1/route", "/v1/chat/completions"):
                answer = await gateway.post(path, chat_body("hi", **more), **sent)
                assert answer.status_code == 200, answer.text
            return answer.headers["x-signalbox-rule"]

        assert await rule("sb-gold", {}) == "gold key"
        assert await rule("sb-plain", {"x-team": "research"}) == "by header"
        assert await rule("sb-plain", {}, metadata={"plan": "paid"}) == "by metadata"
        assert await rule("sb-plain", {}, metadata={"plan": ["odd"]}) == "always open"
        assert (await gateway.post("/v1/chat/completions", chat_body("hi"))).status_code == 401
    assert all("authorization" not in received.headers for received in model.journal)


@pytest.mark.parametrize("name", ODD_NAMES)
async def test_routes_and_models_of_any_name_can_be_listed_asked_for_and_reported(tmp_path: Path, name: str) -> None:
    model = StandIn("m", lambda text: "ok")
    async with model.serve() as url, running(tmp_path, RULES.format(url=url)) as gateway:
        async with httpx.AsyncClient(base_url=gateway.url) as client:
            for written in (httpx.URL("/", path=f"/v1/models/{name}"), f"/v1/models/{name.replace('/', '%2F')}"):
                assert (await client.get(written)).json()["id"] == name
        answer = await gateway.chat("hi", model=name)
        assert answer.status_code == 200
        told = answer.headers.get("x-signalbox-route") or answer.headers["x-signalbox-model"]
        assert told == name
        [row] = await gateway.rows(1)
        assert name in (row["route"], row["model"])
        by = "model" if name == "odd/model:3b" else "route"
        costs = await gateway.get(f"/api/costs?by={by}&since=1h")
        assert [line["key"] for line in costs["rows"]] == [name]


async def test_cached_and_reasoning_tokens_are_priced_once_and_an_unknown_price_is_null(tmp_path: Path) -> None:
    reply = Reply("thought", input_tokens=1000, cached_tokens=400, output_tokens=50, reasoning_tokens=30)
    model = StandIn("m", lambda text: reply)
    async with model.serve() as url, running(tmp_path, RULES.format(url=url)) as gateway:
        priced = await gateway.chat("hi")
        unknown = await gateway.chat("hi", model="gold")
        streamed = await gateway.chat("hi", stream=True)
        rows = await gateway.rows(3)
        costs = (await gateway.get("/api/costs?by=model&since=1h"))["total"]
    wanted = (600 * 1 + 400 * 0.1 + 50 * 2) / 1e6
    assert float(priced.headers["x-signalbox-cost-usd"]) == pytest.approx(wanted)
    assert "x-signalbox-cost-usd" not in unknown.headers
    assert "x-signalbox-cost-usd" not in streamed.headers
    assert [row["cost_usd"] for row in rows] == [pytest.approx(wanted), None, pytest.approx(wanted)]
    assert costs["unpriced"] == 1
