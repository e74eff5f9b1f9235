"""The gateway of a rehearsal: the real one, on a free port of the loopback, with a data folder of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import uvicorn

from router.api.connection import BoundedConnection
from router.app import create_app
from router.errors import SignalboxError
from router.gateway import Gateway
from router.policy.compiled import Policy
from router.rehearsal.recorded import Take
from router.settings import Settings

AT_A_TIME = 8
START_SECONDS = 30.0
AUDITS_AHEAD = 32
"""Audits that may wait while requests go on; the gateway would drop them beyond 64."""

JUDGE = "rehearsal-judge"


class RehearsalError(SignalboxError):
    """A rehearsal could not go on."""


@dataclass(frozen=True, slots=True)
class Audits:
    """rate, review: shares of requests audited and, of the others, reviewed. judge_price: dollars per million tokens,
    in and out. noise: share of judged scores turned round."""

    rate: float
    review: float
    judge_price: tuple[float, float]
    noise: float


@dataclass(frozen=True, slots=True)
class Roles:
    """Which models of the policy play the recorded ones."""

    small: str
    large: str


def roles_of(policy: Policy) -> Roles:
    """The baseline of the route `auto`, and the cheapest model of tier `small`. Raises RehearsalError."""
    route = policy.routes.get("auto")
    if route is None or route.baseline is None:
        raise RehearsalError(f"{policy.name} needs a route `auto` with a `baseline`, to be the large model")
    if policy.cheapest_small is None or policy.cheapest_small.name == route.baseline:
        raise RehearsalError(f"{policy.name} needs a model of tier `small` beside the baseline")
    return Roles(policy.cheapest_small.name, route.baseline)


def rehearsal_policy(
    written: Mapping[str, Any], policy: Policy, roles: Roles, urls: Mapping[str, str], audits: Audits
) -> dict[str, Any]:
    """The policy as it is rehearsed: models answered for by stand-ins, audits on, no cache; all else as written.

    written: the file's plain values. urls: of the stand-ins `small`, `large` and `judge`. Models that play no role are
    answered for by the one of their tier.
    """
    models = {}
    for name, model in policy.models.items():
        role = "small" if name == roles.small or (model.tier == "small" and name != roles.large) else "large"
        default = (0.24, 0.24) if role == "small" else (24.7, 24.7)
        price = (model.price.input, model.price.output) if model.price is not None else default
        models[name] = {
            "tier": model.tier,
            "model": f"recorded-{name}",
            "base_url": f"{urls[role]}/v1",
            "private": model.private,
            "price": {"input": price[0], "output": price[1]},
        }
    models[JUDGE] = {
        "tier": "judge",
        "model": "recorded-judge",
        "base_url": f"{urls['judge']}/v1",
        "supports": [],
        "price": {"input": audits.judge_price[0], "output": audits.judge_price[1]},
    }
    auto = {name: value for name, value in written["routes"]["auto"].items() if name != "cache"}
    auto |= {"privacy": "observe"}
    if audits.rate > 0 or audits.review > 0:
        auto["audit"] = {"rate": audits.rate, "review": audits.review, "judge": JUDGE, "budget_per_day": 1_000_000}
    kept = {name: value for name, value in written.items() if name in ("version", "default", "options", "retrievers")}
    return {**kept, "models": models, "routes": {"auto": auto}}


def write_policy(values: Mapping[str, Any], file: Path) -> None:
    """Writes plain values as JSON, which is YAML too."""
    file.write_bytes(orjson.dumps(values, option=orjson.OPT_INDENT_2))


class House:
    """A running gateway, and how the rehearsal speaks with it."""

    def __init__(self, url: str, gateway: Gateway):
        self.url, self.gateway = url, gateway
        self._client = httpx.AsyncClient(base_url=url, timeout=60)

    async def ask(self, takes: list[Take]) -> list[tuple[str, str]]:
        """Asks every query; (which model answered, the request id) of each. Raises RehearsalError where none did."""
        answered: dict[int, tuple[str, str]] = {}
        waiting = list(reversed(takes))

        async def work() -> None:
            while waiting:
                take = waiting.pop()
                while self.gateway.auditor.waiting > AUDITS_AHEAD:  # noqa: ASYNC110 - it lives in another loop
                    await asyncio.sleep(0.05)
                body = {"model": "auto", "messages": [{"role": "user", "content": take.query}]}
                reply = await self._client.post("/v1/chat/completions", json=body)
                if reply.status_code != 200:
                    raise RehearsalError(f"query {take.number} was answered {reply.status_code}: {reply.text[:200]}")
                answered[take.number] = (reply.headers["x-signalbox-model"], reply.headers["x-request-id"])

        workers = [asyncio.create_task(work()) for _ in range(AT_A_TIME)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
        return [answered[take.number] for take in takes]

    async def settle(self) -> None:
        """Waits until no audit is under way and every row is written."""
        calm = 0
        while calm < 3:
            auditor, recorder = self.gateway.auditor, self.gateway.recorder
            calm = calm + 1 if auditor.waiting + auditor.running + recorder.waiting == 0 else 0
            await asyncio.sleep(0.25)

    async def aclose(self) -> None:
        await self._client.aclose()


@asynccontextmanager
async def open_house(policy: Path, folder: Path) -> AsyncIterator[House]:
    """A gateway on `policy`, in a thread of its own, until the block ends. Raises RehearsalError."""
    app = create_app(Settings(policy=policy, data_dir=folder, port=0, grace_seconds=5))
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, http=BoundedConnection, ws="none", loop="uvloop", log_config=None
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        async with asyncio.timeout(START_SECONDS):
            while not server.started:
                if not thread.is_alive():
                    raise RehearsalError("the gateway did not start")
                await asyncio.sleep(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        house = House(f"http://127.0.0.1:{port}", app.state.gateway)
        try:
            yield house
        finally:
            await house.aclose()
    finally:
        server.should_exit = True
        await asyncio.to_thread(thread.join, 20)
