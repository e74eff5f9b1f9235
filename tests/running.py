"""A whole gateway behind a real socket, for tests: the real app in a thread with its own loop, on a free port."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from router.api.connection import BoundedConnection
from router.app import create_app
from router.gateway import Gateway
from router.settings import Settings

POLICY = """
version: 1
models:
  small: {{tier: small, model: standin-small, base_url: "{small}/v1", context: 32768, private: true, retries: 0, price: {{input: 0.1, output: 0.2}}}}
  large: {{tier: large, model: standin-large, base_url: "{large}/v1", context: 200000, retries: 0, price: {{input: 3, output: 15}}}}
default: small
routes:
  auto:
    baseline: large
    rules:
      - {{name: private, when: "size(ask.private) > 0", use: small, fallback: []}}
      - {{name: easy, when: "complexity < 0.35", use: small, fallback: [large]}}
      - {{name: hard, when: "true", use: large, fallback: [small]}}
    cache: {{exact: {{ttl: 1h}}}}
"""  # noqa: E501


@dataclass(frozen=True)
class Running:
    """A gateway that answers at `url`."""

    url: str
    gateway: Gateway
    folder: Path

    async def get(self, path: str, **headers: str) -> Any:
        """A document of the gateway."""
        async with client_of(self.url, headers=headers) as client:
            answer = await client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        """An answer of the gateway. body: JSON-able, or bytes as they are."""
        raw = {"content": body} if isinstance(body, bytes) else {"json": body}
        async with client_of(self.url, headers=headers, timeout=30) as client:
            return await client.post(path, **raw)

    async def chat(self, text: str, **more: Any) -> httpx.Response:
        """A chat completion on the route `auto`."""
        return await self.post("/v1/chat/completions", chat_body(text, **more))

    async def rows(self, count: int) -> list[dict[str, Any]]:
        """The newest rows of the ledger, oldest first, once there are so many."""
        deadline = time.monotonic() + 10
        while True:
            page = await self.get("/api/requests?since=1h&limit=500")
            if page["total"] >= count:
                return list(reversed(page["rows"]))
            assert time.monotonic() < deadline, f"{page['total']} rows, {count} were expected"
            await asyncio.sleep(0.05)


def client_of(url: str, **more: Any) -> httpx.AsyncClient:
    """A client of a gateway on this machine. Verifying nothing spares the reading of certificates, which takes longer
    than the chat."""
    return httpx.AsyncClient(base_url=url, verify=False, **more)


def chat_body(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "auto", "messages": [{"role": "user", "content": text}], **more}


@asynccontextmanager
async def running(
    folder: Path, policy: str, *, connection: type[BoundedConnection] = BoundedConnection, **settings: Any
) -> AsyncIterator[Running]:
    """Serves `policy` until the block ends; the data lies in `folder`."""
    path = folder / "policy.yaml"
    path.write_text(policy)
    app = create_app(Settings(policy=path, data_dir=folder, grace_seconds=5, **settings))
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        http=connection,
        ws="none",
        loop="uvloop",
        log_config=None,
        server_header=False,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the gateway did not start"
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Running(f"http://127.0.0.1:{port}", app.state.gateway, folder)
    finally:
        server.should_exit = True
        await asyncio.to_thread(thread.join, 20)
        assert not thread.is_alive(), "the gateway did not stop"
