"""A real `signalbox serve` process for the clients to go through: its policy, its start and its end."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

import httpx

MODEL = "the-upstreams-own-name"
KEY = "the-upstreams-own-key"
ROUTE, KEPT = "relayed-always", "relayed-and-kept"
"""Routes without and with a cache."""

_POLICY = f"""
version: 1
models:
  replayed:
    tier: small
    model: "{MODEL}"
    base_url: "UPSTREAM/v1"
    api_key: "${{REPLAY_KEY}}"
    context: 1000000
    retries: 0
    price: {{input: 1, output: 2}}
default: replayed
routes:
  {ROUTE}: {{rules: [{{name: all, use: replayed}}]}}
  {KEPT}: {{rules: [{{name: all, use: replayed}}], cache: {{exact: {{ttl: 1h}}}}}}
"""


async def outcomes(url: str) -> dict[str, str]:
    """What the ledger calls each request, by its id. Rows are readable within a second of the answer."""
    await asyncio.sleep(1)
    found: dict[str, str] = {}
    cursor = ""
    async with httpx.AsyncClient(base_url=url) as client:
        while cursor is not None:
            page = (await client.get("/api/requests", params={"since": "1h", "limit": 500, "cursor": cursor})).json()
            found |= {row["request_id"]: row["outcome"] for row in page["rows"]}
            cursor = page["next"]
    return found


class GatewayFailed(Exception):
    """The gateway did not start; says the end of its log."""


@asynccontextmanager
async def serving(upstream_url: str, folder: Path) -> AsyncIterator[tuple[str, int]]:
    """Runs the gateway before the upstream until the block ends; yields its host and port. Its log lies in `folder`."""
    policy = folder / "policy.yaml"
    policy.write_text(_POLICY.replace("UPSTREAM", upstream_url), "utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    signalbox = Path(sys.executable).with_name("signalbox")
    env = {name: value for name, value in os.environ.items() if not name.startswith("SIGNALBOX_")}
    with (folder / "gateway.log").open("w+b") as log:
        process = await asyncio.create_subprocess_exec(
            *(str(signalbox), "serve", "--policy", str(policy), "--port", str(port)),
            env={**env, "SIGNALBOX_DATA_DIR": str(folder / "data"), "REPLAY_KEY": KEY},
            stdout=log,
            stderr=log,
        )
        try:
            if not await _is_ready(process, f"http://127.0.0.1:{port}/readyz"):
                raise GatewayFailed(f"the gateway did not start: {_end_of(log)}")
            yield "127.0.0.1", port
        finally:
            if process.returncode is None:
                process.terminate()
            await asyncio.wait_for(process.wait(), 40)


def _end_of(log: IO[bytes]) -> str:
    log.seek(0)
    return log.read()[-2000:].decode()


async def _is_ready(process: asyncio.subprocess.Process, url: str) -> bool:
    """Waits up to 30 s."""
    async with httpx.AsyncClient() as client:
        for _ in range(300):
            try:
                if (await client.get(url)).status_code == 200:
                    return True
            except httpx.TransportError:
                pass
            if process.returncode is not None:
                break
            await asyncio.sleep(0.1)
    return False
