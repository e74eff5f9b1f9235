"""A gateway with three small stand-ins, a large one and a retriever behind it, for the plans that ask several."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import pytest

from router.domain import Price
from router.upstream.standin import Reply, StandIn
from tests.plans.little_retriever import LittleRetriever
from tests.running import Running, chat_body, client_of, running

PRICES = {"a": Price(0.1, 0.2), "b": Price(0.3, 0.6), "c": Price(0.5, 1.0), "large": Price(3, 15)}
RETRIEVER_PRICE = 0.0005

POLICY = """
version: 1
models:
{models}
retrievers:
  handbook: {{url: "{handbook}", private: true, timeout: 2s, price: 0.0005}}
options:
  staff: {{use: a, with: handbook, description: "Rules for staff"}}
  staff-large: {{use: large, with: handbook, description: "Rules for staff, at length"}}
  cutting: {{use: b, description: "Cutting remarks"}}
default: a
routes:
  auto:
    baseline: large
    rules:
      - {rule}
"""
MODEL = (
    "  {name}: {{tier: {tier}, model: standin-{name}, base_url: '{url}/v1', context: 32768, private: {private}, "
    "retries: 0, price: {{input: {price.input}, output: {price.output}}}{more}}}"
)

Says = Mapping[str, Reply | str | Callable[[str], Reply | str]]


@dataclass
class Ledger:
    """One request in the ledger. row: its own; inner: the calls under it, in order of time."""

    row: dict[str, Any]
    inner: list[dict[str, Any]]

    @property
    def purposes(self) -> list[tuple[str, str]]:
        """Of the calls under it: what for, and whom; sorted, since they ran at once."""
        return sorted((call["purpose"], call["model"]) for call in self.inner)

    @property
    def cost_usd(self) -> float:
        """Of all of it."""
        return float(sum(call["cost_usd"] for call in [self.row, *self.inner]))

    @property
    def told(self) -> str:
        """What the rules' trace says."""
        return "; ".join(rule["why"] for rule in self.row["rules"])


@dataclass
class House:
    """What is behind the gateway, by name."""

    gateway: Running
    models: dict[str, StandIn]
    handbook: LittleRetriever
    ids: list[str] = field(default_factory=list)

    @property
    def billed_usd(self) -> float:
        """By the stand-ins and the retriever together."""
        models = sum(entry.cost_usd for model in self.models.values() for entry in model.journal)
        return models + RETRIEVER_PRICE * len(self.handbook.asked)

    def calls(self) -> dict[str, int]:
        """How often each model was asked; those that were not are left out."""
        return {name: len(model.journal) for name, model in self.models.items() if model.journal}

    def body(self, name: str, number: int = 1) -> dict[str, Any]:
        """What a model was sent."""
        return dict(json.loads(self.models[name].journal[number - 1].body))

    async def ask(self, text: str, **more: Any) -> httpx.Response:
        answer = await self.gateway.chat(text, **more)
        self.ids.append(answer.headers["x-request-id"])
        return answer

    async def ledger(self, request_id: str | None = None) -> Ledger:
        """Of the last request, or of this one, as soon as it is written."""
        for _ in range(200):
            async with client_of(self.gateway.url) as client:
                answer = await client.get(f"/api/requests/{request_id or self.ids[-1]}")
            if answer.status_code == 200:
                row = answer.json()
                return Ledger(row, row["inner"])
            await asyncio.sleep(0.05)
        raise AssertionError("no row was written")

    async def only_row(self) -> Ledger:
        """Of a request whose id nobody has heard, the only one there was."""
        [row] = await self.gateway.rows(1)
        return await self.ledger(row["request_id"])

    async def leave_during(self, text: str, arrived: Callable[[], bool], **more: Any) -> None:
        """Asks, and hangs up as soon as `arrived` says so."""
        async with client_of(self.gateway.url, timeout=30) as client:
            asking = asyncio.create_task(client.post("/v1/chat/completions", json=chat_body(text, **more)))
            async with asyncio.timeout(10):
                while not arrived():  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
            asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asking

    async def nobody_is_busy(self) -> None:
        """Every stand-in was done with, or left by, its callers, within seconds."""
        async with asyncio.timeout(5):
            for model in self.models.values():
                for entry in model.journal:
                    await entry.ended.wait()


def text_of(answer: httpx.Response) -> str:
    """The words of an answer, streamed or not."""
    if "event-stream" not in answer.headers["content-type"]:
        return str(answer.json()["choices"][0]["message"]["content"])
    return "".join(
        chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks_of(answer) if chunk.get("choices")
    )


def chunks_of(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    assert answer.text.endswith("data: [DONE]\n\n"), answer.text[-300:]
    for line in answer.text.splitlines():
        if line.startswith("data: {"):
            yield json.loads(line[6:])


@contextlib.asynccontextmanager
async def house(
    folder: Path,
    rule: str,
    says: Says,
    *,
    private: bool = False,
    handbook: LittleRetriever | None = None,
    more: Mapping[str, str] = MappingProxyType({}),
) -> AsyncIterator[House]:
    """Serves one rule of the route `auto`. says: what each model answers; `large` alone is not private.

    private: whether the small ones may see private text; then the route enforces it. more: further keys of models.
    """
    folder.mkdir(exist_ok=True)  # noqa: ASYNC240
    handbook = handbook or LittleRetriever()

    def saying(name: str) -> Callable[[str], Reply | str]:
        said = says.get(name, f"{name} was not to be asked")
        return said if callable(said) else lambda _question: said

    models = {name: StandIn(name, saying(name), price=price) for name, price in PRICES.items()}
    async with contextlib.AsyncExitStack() as stack:
        lines = [
            MODEL.format(
                name=name,
                tier="large" if name == "large" else "small",
                private=str(private and name != "large").lower(),
                price=PRICES[name],
                more=f", {more[name]}" if name in more else "",
                url=await stack.enter_async_context(model.serve()),
            )
            for name, model in models.items()
        ]
        url = await stack.enter_async_context(handbook.serve())
        policy = POLICY.format(models="\n".join(lines), handbook=url, rule=rule)
        gateway = await stack.enter_async_context(running(folder, policy))
        yield House(gateway, models, handbook)


def approx(dollars: float) -> Any:
    """To the nano-dollar, for each of a few calls is rounded once."""
    return pytest.approx(dollars, abs=5e-9)
