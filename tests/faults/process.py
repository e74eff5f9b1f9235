"""A gateway in a process of its own, for what must not befall the process of the tests: limits of the system."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import resource
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from asyncio.subprocess import Process as Child
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from router.ledger.store import SqlStore
from router.ledger.tables import outcomes
from tests.faults.models import Heard
from tests.faults.scene import counted
from tests.running import chat_body
from tests.servers import free_port

_OURS = re.compile("SIGNALBOX_|OPENAI_|ANTHROPIC_|OLLAMA_")


@dataclass
class GatewayProcess:
    """One that serves `policy.yaml` of its folder; ledger and log lie there too."""

    url: str
    child: Child
    folder: Path
    client: httpx.AsyncClient

    @property
    def pid(self) -> int:
        return self.child.pid

    @property
    def files(self) -> int:
        """How many files and sockets it holds open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def limit(self, what: int, soft: int) -> None:
        """Sets one of its limits; the hard one stays as it is."""
        _, hard = resource.prlimit(self.pid, what)
        resource.prlimit(self.pid, what, (soft, hard))

    async def ask(self, text: str) -> httpx.Response:
        """A chat completion on the route `auto`."""
        return await self.client.post("/v1/chat/completions", json=chat_body(text))

    async def ready(self) -> dict[str, Any]:
        """What `/readyz` says."""
        return dict((await self.client.get("/readyz")).json())

    async def until_ready(self, **parts: str) -> None:
        """Waits until it says so of its parts."""
        for _ in range(600):
            with contextlib.suppress(httpx.TransportError):
                if parts.items() <= (await self.ready()).items():
                    return
            await asyncio.sleep(0.05)
        raise AssertionError(f"never {parts}")

    async def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        return counted((await self.client.get("/metrics")).content, name)

    async def add_up(self, requests: int, model: Heard) -> None:
        """Proves that every request has a row or a counted drop, and that the calls are those that were heard."""
        store = SqlStore(f"sqlite:///{self.folder / 'signalbox.sqlite3'}")
        try:
            for _ in range(400):
                rows = await store.rows(outcomes.select())
                dropped = await self.metric("signalbox_ledger_dropped_total")
                chats = [row for row in rows if row["purpose"] == "chat"]
                if len(chats) + dropped == requests:
                    break
                await asyncio.sleep(0.05)
        finally:
            await store.aclose()
        assert len(chats) + dropped == requests == await self.metric("signalbox_requests_total")
        assert dropped or sum(row["attempts"] for row in chats) == model.calls
        assert not model.busy


async def start(folder: Path, *arguments: str) -> Child:
    """`signalbox serve` with the policy of the folder; what it says goes to pipes."""
    clean = {name: value for name, value in os.environ.items() if not _OURS.match(name)}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "router.cli", "serve", "--policy", "policy.yaml", *arguments),
        cwd=folder,
        env={**clean, "SIGNALBOX_DATA_DIR": str(folder)},
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )


@contextlib.asynccontextmanager
async def gateway_process(folder: Path) -> AsyncIterator[GatewayProcess]:
    """One that answers; it is told to end with the block, and must end well."""
    port = free_port()
    child = await start(folder, "--port", str(port))
    said = asyncio.create_task(child.communicate())
    url = f"http://127.0.0.1:{port}"
    try:
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            gateway = GatewayProcess(url, child, folder, client)
            await gateway.until_ready(status="ok")
            yield gateway
        child.terminate()
        await asyncio.wait_for(asyncio.shield(said), 40)
        assert child.returncode in (0, -signal.SIGTERM)
        assert b"Traceback" not in said.result()[1], said.result()[1].decode()
    finally:
        if child.returncode is None:
            child.kill()
        await said
