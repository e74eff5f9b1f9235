"""A gateway that something is done to, and the sums that must come out right in the end.

Every scene ends by adding up: requests = rows + counted drops, calls that the stand-ins heard = calls in the ledger,
no call left open, and no task, socket or file that was not there before.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx
import sqlalchemy as sa

from router.ledger.store import SqlStore
from router.ledger.tables import outcomes
from tests.running import Running, chat_body, running

POOL = 8
"""Connections that a client of a database or of Redis may keep open."""


class Model(Protocol):
    """What a scene asks of a stand-in. calls: heard so far; busy: those not yet done with."""

    @property
    def calls(self) -> int: ...

    @property
    def busy(self) -> int: ...

    @property
    def open_connections(self) -> int: ...


@dataclass
class Scene:
    """requests: accepted by the gateway so far. unheard: calls that were tried, but that no stand-in can know of."""

    gateway: Running
    models: Sequence[Model]
    ledger_url: str
    requests: int = 0
    unheard: int = 0
    unsure: int = 0
    """Calls that may or may not have reached a stand-in, since their callers left."""
    tasks: int = 0
    sockets: int = 0
    pools: int = 0
    answers: list[httpx.Response] = field(default_factory=list)

    async def ask(self, route: str, text: str, **more: Any) -> httpx.Response:
        """One chat completion, counted."""
        self.requests += 1
        # Not verifying spares each client the reading of certificates, which takes longer than the chat.
        async with httpx.AsyncClient(base_url=self.gateway.url, timeout=60, verify=False) as client:
            answer = await client.post("/v1/chat/completions", json=chat_body(text, model=route, **more))
        self.answers.append(answer)
        return answer

    async def rows(self) -> list[dict[str, Any]]:
        """The whole ledger, in order of time."""
        store = SqlStore(self.ledger_url)
        try:
            return [dict(row) for row in await store.rows(sa.select(outcomes).order_by(outcomes.c.at_unix))]
        finally:
            await store.aclose()

    async def row_of(self, answer: httpx.Response) -> dict[str, Any]:
        """The row of one answer."""
        await until(lambda: not self.gateway.gateway.recorder.waiting, "its row")
        [row] = [row for row in await self.rows() if row["request_id"] == answer.headers["x-request-id"]]
        return row

    async def add_up(self) -> None:
        """Proves what this file promises, once all is quiet."""
        gateway = self.gateway.gateway
        recorder, telemetry = gateway.recorder, gateway.telemetry
        await until(lambda: counted(telemetry.page(), "signalbox_requests_in_flight") == 0, "the end of all requests")
        await until(lambda: not recorder.waiting, "the last row")
        rows = await self.rows()
        chats = [row for row in rows if row["purpose"] == "chat"]
        failed = [row for row in rows if row["purpose"] == "attempt"]
        tried = round(counted(telemetry.page(), "signalbox_upstream_failures_total"))
        assert len(chats) + len(failed) == len(rows) == recorder.written
        assert counted(telemetry.page(), "signalbox_requests_total") == self.requests
        assert len(rows) + recorder.dropped == self.requests + tried
        assert counted(telemetry.page(), "signalbox_ledger_dropped_total") == recorder.dropped
        if not recorder.dropped:
            assert len(chats) == self.requests
            logged = sum(row["attempts"] for row in chats)
            heard = sum(model.calls for model in self.models) + self.unheard
            # A kept connection that closes as it is used: nobody can tell whether that call was read.
            closed = sum(row["error_code"] == "upstream_unreachable" for row in rows if row["model"]) - self.unheard
            assert logged - self.unsure - max(closed, 0) <= heard <= logged, (
                f"{heard} calls were heard, {logged} are logged"
            )
            served = [row for row in chats if row["model"] is not None and row["cache"] != "hit"]
            assert logged == len(served) + len(failed)
            assert {row["parent_id"] for row in failed} <= {row["request_id"] for row in chats}
        await until(lambda: not any(model.busy for model in self.models), "the end of all upstream calls")
        loop = gateway._tasks[0].get_loop()
        await until(
            lambda: len(asyncio.all_tasks(loop)) <= self.tasks, f"{self.tasks} tasks: {asyncio.all_tasks(loop)}"
        )
        await until(lambda: sockets() <= self.sockets + self.pools + 2 * self._connections, "closed sockets")

    @property
    def _connections(self) -> int:
        """Kept open to the stand-ins; both ends are in this process."""
        return sum(model.open_connections for model in self.models)


@asynccontextmanager
async def scene(folder: Path, policy: str, *models: Model, pools: int = 0, **settings: Any) -> AsyncIterator[Scene]:
    """A gateway with this policy; what it did is added up when the block ends well."""
    before = files()
    async with running(folder, policy, **settings) as gateway:
        url = gateway.gateway.settings.store_url
        await gateway.get("/readyz")
        # The server, its lifespan, the recorder and the watches. A cache on Redis may write and mend.
        quiet = 3 + len(gateway.gateway._tasks) + (2 if gateway.gateway.cache.shared else 0)
        loop = gateway.gateway._tasks[0].get_loop()
        await until(lambda: len(asyncio.all_tasks(loop)) <= quiet, "a quiet start")
        built = Scene(gateway, models, url, tasks=quiet, sockets=sockets(), pools=pools)
        yield built
        await built.add_up()
    left: Callable[[], Counter[str]] = lambda: files() - before  # noqa: E731
    await until(lambda: sum(left().values()) <= 2 * built._connections, f"closed files: {left()}")


async def until(holds: Callable[[], object], what: str, seconds: float = 20.0) -> None:
    """Waits until something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"still waiting for {what}"
        await asyncio.sleep(0.02)


def files() -> Counter[str]:
    """What this process holds open, by kind; sockets and pipes without their numbers."""
    kinds: Counter[str] = Counter()
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            kinds[str(descriptor.readlink()).partition(":[")[0]] += 1
        except FileNotFoundError:
            continue
    return kinds


def sockets() -> int:
    """How many of them are sockets."""
    return files()["socket"]


def counted(page: bytes, name: str) -> float:
    """The sum of a metric over all its labels."""
    lines = [line for line in page.decode().splitlines() if line.startswith((f"{name} ", f"{name}{{"))]
    return sum(float(line.rpartition(" ")[2]) for line in lines)
