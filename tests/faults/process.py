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
from tests.running import chat_body, client_of
from tests.servers import free_port

APART = ("unshare", "--map-root-user", "--mount")

_OURS = re.compile("SIGNALBOX_|OPENAI_|ANTHROPIC_|OLLAMA_")


@dataclass
class GatewayProcess:
    """One that serves `policy.yaml` of its folder; ledger and log lie there too."""

    url: str
    child: Child
    folder: Path
    client: httpx.AsyncClient
    database_url: str | None = None
    killed: bool = False
    said: str = ""
    """All that it wrote to stderr, once it has ended."""

    def kill(self) -> None:
        """SIGKILL."""
        self.killed = True
        self.child.kill()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    async def rows(self) -> list[dict[str, Any]]:
        """The whole ledger."""
        store = SqlStore(self.database_url or f"sqlite:///{self.folder / 'signalbox.sqlite3'}")
        try:
            return [dict(row) for row in await store.rows(outcomes.select())]
        finally:
            await store.aclose()

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
            assert self.child.returncode is None, "it ended"
            with contextlib.suppress(httpx.TransportError):
                if parts.items() <= (await self.ready()).items():
                    return
            await asyncio.sleep(0.05)
        raise AssertionError(f"never {parts}")

    async def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        return counted((await self.client.get("/metrics")).content, name)

    async def until_all_is_written(self) -> None:
        """Waits until no row waits."""
        for _ in range(600):
            if await self.metric("signalbox_ledger_waiting") == 0:
                return
            await asyncio.sleep(0.05)
        raise AssertionError("rows wait")

    async def add_up(self, requests: int, model: Heard) -> None:
        """Proves that every request has a row or a counted drop, and that the calls are those that were heard."""
        for _ in range(400):
            dropped = await self.metric("signalbox_ledger_dropped_total")
            chats = [row for row in await self.rows() if row["purpose"] == "chat"]
            if len(chats) + dropped == requests:
                break
            await asyncio.sleep(0.05)
        assert len(chats) + dropped == requests == await self.metric("signalbox_requests_total")
        assert dropped or sum(row["attempts"] for row in chats) == model.calls
        assert not model.busy


async def start(folder: Path, *arguments: str, before: str | None = None, apart: bool = False, **env: str) -> Child:
    """`signalbox serve` with the policy of the folder; what it says goes to pipes.

    before: a shell command that its process runs first. apart: with mounts of its own, which need no taking down. What
    it puts into temporary files goes to `tmp` in the folder.
    """
    clean = {name: value for name, value in os.environ.items() if not _OURS.match(name)}
    command = [sys.executable, "-m", "router.cli", "serve", "--policy", "policy.yaml", *arguments]
    if before is not None:
        command = ["sh", "-c", f'{before} && exec "$@"', "sh", *command]
    if apart:
        command = [*APART, *command]
    (folder / "tmp").mkdir(exist_ok=True)
    return await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env={**clean, "SIGNALBOX_DATA_DIR": str(folder), "TMPDIR": str(folder / "tmp"), **env},
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )


@contextlib.asynccontextmanager
async def gateway_process(
    folder: Path, *arguments: str, port: int | None = None, before: str | None = None, apart: bool = False, **env: str
) -> AsyncIterator[GatewayProcess]:
    """One that answers. With the block it is told to end, and must end well; one that was killed must have said no
    traceback either."""
    port = port or free_port()
    child = await start(folder, "--port", str(port), *arguments, before=before, apart=apart, **env)
    said = asyncio.create_task(child.communicate())
    url = f"http://127.0.0.1:{port}"
    try:
        async with client_of(url, timeout=60) as client:
            gateway = GatewayProcess(url, child, folder, client, env.get("SIGNALBOX_DATABASE_URL"))
            await gateway.until_ready(status="ok")
            yield gateway
        if child.returncode is None and not gateway.killed:
            child.terminate()
        gateway.said = (await asyncio.wait_for(asyncio.shield(said), 40))[1].decode()
        assert child.returncode in ((-signal.SIGKILL,) if gateway.killed else (0, -signal.SIGTERM))
        assert "Traceback" not in gateway.said, gateway.said
    finally:
        if child.returncode is None:
            child.kill()
        await said
