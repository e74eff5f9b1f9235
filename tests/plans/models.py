"""A gateway in front of stand-ins that bill by the prices of its policy, and what both say was spent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from router.domain import Price
from router.upstream.standin import Reply, StandIn
from tests.running import Running, running

PRICES = {"small": Price(0.1, 0.2), "large": Price(3.0, 15.0), "third": Price(1.0, 2.0)}

HEAD = """
version: 1
models:
  small: {{tier: small, model: m-small, base_url: "{small}/v1", context: 200000, retries: 0, price: {{input: 0.1, output: 0.2}},
          supports: [tools, json_schema, images, logprobs]}}
  large: {{tier: large, model: m-large, base_url: "{large}/v1", context: 200000, retries: 0, price: {{input: 3, output: 15}}}}
  third: {{tier: large, model: m-third, base_url: "{third}/v1", context: 200000, retries: 0, price: {{input: 1, output: 2}}}}
default: large
"""  # noqa: E501


@dataclass(frozen=True)
class Plant:
    """Three models and the gateway before them."""

    gateway: Running
    small: StandIn
    large: StandIn
    third: StandIn

    @property
    def billed_usd(self) -> float:
        """What the stand-ins billed, whether or not anybody read it."""
        return sum(entry.cost_usd for model in (self.small, self.large, self.third) for entry in model.journal)

    async def story(self) -> dict[str, Any]:
        """The newest request as `/v1/decisions` tells it, once it is in the ledger."""
        [row] = await self.gateway.rows(1)
        return await self.told(row["request_id"])

    async def told(self, request_id: str) -> dict[str, Any]:
        told: dict[str, Any] = await self.gateway.get(f"/v1/decisions/{request_id}")
        return told

    async def spent_usd(self) -> float:
        """What the ledger says was spent, inner calls and all."""
        costs = await self.gateway.get("/api/costs?by=model&since=1h")
        spent: float = costs["total"]["spend_usd"]
        return spent

    async def at_rest(self) -> None:
        """Until no model is at work any more."""
        deadline = time.monotonic() + 5
        for model in (self.small, self.large, self.third):
            for entry in model.journal:
                await asyncio.wait_for(entry.ended.wait(), deadline - time.monotonic())


@asynccontextmanager
async def plant(folder: Path, routes: str) -> AsyncIterator[Plant]:
    """One tenant, no keys, no cache, SQLite. routes: the policy's, as YAML."""
    models = {name: StandIn(name, _says(name), price=price) for name, price in PRICES.items()}
    async with AsyncExitStack() as stack:
        urls = {name: await stack.enter_async_context(model.serve()) for name, model in models.items()}
        gateway = await stack.enter_async_context(running(folder, HEAD.format(**urls) + routes))
        yield Plant(gateway, **models)


def _says(name: str) -> Any:
    return lambda text: Reply(f"{name} says: {text}")


def purposes(told: dict[str, Any]) -> list[tuple[str, str, int]]:
    """The rows under a request, in the order of the alphabet: purpose, model, status."""
    return sorted((call["purpose"], call["model"], call["status"]) for call in told["outcome"]["attempts"])


def whys(told: dict[str, Any]) -> list[str]:
    """The reasons of the trace of rules."""
    return [rule["why"] for rule in told["rules"]]


def ledger_usd(told: dict[str, Any]) -> float:
    """A request's own row and those under it."""
    outcome = told["outcome"]
    return float(outcome["cost_usd"] + sum(call["cost_usd"] for call in outcome["attempts"]))
