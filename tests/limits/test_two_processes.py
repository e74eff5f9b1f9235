"""A cap in dollars, two processes on one Redis, and callers who do not stop asking: it holds, and it is used."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from router.domain import Price
from router.upstream.standin import Reply, StandIn
from tests.faults.process import GatewayProcess, gateway_process
from tests.running import chat_body

CAP_USD = 1.0
CLIENTS = 16
BUDGET_TOKENS = 40
POLICY = """
version: 1
models:
  large: {{tier: large, model: m, base_url: "{url}/v1", retries: 0, price: {{input: 10, output: 1000}}}}
default: large
limits:
  - {{name: cap, per: all, dollars_per_day: {cap}}}
routes:
  auto: {{}}
"""
DEAREST_USD = (60 * 10 + BUDGET_TOKENS * 1000) / 1e6
"""What a request may cost at most: it asks for no more than its budget of tokens."""


async def spend_it_all(gateway: GatewayProcess, name: str) -> int:
    """Asks until nothing is left, and not only until what is left may go to others; how many were answered."""
    answered = 0
    for number in range(10_000):
        body = chat_body(f"{name} {number}", max_tokens=BUDGET_TOKENS, stream=number % 2 == 0)
        answer = await gateway.client.post("/v1/chat/completions", json=body)
        if answer.status_code == 200:
            answered += 1
            continue
        assert answer.status_code == 429, answer.text
        assert answer.json()["error"]["code"] == "insufficient_quota"
        if "until 00:00 UTC" in answer.json()["error"]["message"]:
            return answered
        await asyncio.sleep(0.02)
    raise AssertionError("the cap was never reached")


async def test_sixteen_callers_of_two_processes_never_spend_more_than_the_cap(tmp_path: Path, redis_url: str) -> None:
    chance = random.Random(7)
    model = StandIn(
        "m",
        lambda _: Reply(
            "some words", latency_seconds=0.02, input_tokens=20, output_tokens=chance.randint(1, BUDGET_TOKENS)
        ),
        price=Price(10, 1000),
    )
    folders = [tmp_path / name for name in ("one", "other")]
    async with model.serve() as url:
        for folder in folders:
            folder.mkdir()
            (folder / "policy.yaml").write_text(POLICY.format(url=url, cap=CAP_USD))
        env = {"SIGNALBOX_REDIS_URL": redis_url}
        async with gateway_process(folders[0], **env) as one, gateway_process(folders[1], **env) as other:
            answered = await asyncio.gather(
                *(spend_it_all((one, other)[number % 2], f"caller {number}") for number in range(CLIENTS))
            )
            ledger = 0.0
            for gateway in (one, other):
                await gateway.until_all_is_written()
                ledger += sum(row["cost_nano"] or 0 for row in await gateway.rows()) / 1e9
                assert await gateway.metric("signalbox_limits_alone_total") == 0, "Redis was never passed by"
                assert await gateway.metric("signalbox_limits_refused_total") > 0
            shown = (await one.client.get("/api/limits")).json()["rows"][0]["day"]
    billed = sum(entry.cost_usd for entry in model.journal)
    assert len(model.journal) == sum(answered)
    assert abs(ledger - billed) < 1e-9, "the ledger is what the model billed"
    assert CAP_USD - DEAREST_USD <= ledger <= CAP_USD
    assert abs(shown["spent_usd"] - ledger) < 1e-9
    assert shown["reserved_usd"] == 0
