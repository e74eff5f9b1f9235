"""Chats that go on while something is done to the gateway's parts: none of them may fail for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.faults.scene import Scene

POLICY = """
version: 1
models:
  small: {{tier: small, model: m, base_url: "{url}/v1", retries: 0, price: {{input: 0.1, output: 0.2}}}}
default: small
routes:
  auto: {{cache: {{exact: {{ttl: 1h}}}}}}
"""


async def chats(scene: Scene, count: int, name: str) -> None:
    """So many chats, four at a time, streamed and plain; all must be answered well."""
    at_once = asyncio.Semaphore(4)

    async def one(number: int) -> None:
        async with at_once:
            answer = await scene.ask("auto", f"{name} {number}", stream=number % 2 == 0)
            assert answer.status_code == 200, answer.text

    await asyncio.gather(*(one(number) for number in range(count)))


@asynccontextmanager
async def steady_chats(scene: Scene, name: str = "steady") -> AsyncIterator[None]:
    """Chats without a pause for as long as the block runs."""
    over = asyncio.Event()

    async def go_on() -> None:
        turn = 0
        while not over.is_set():
            await chats(scene, 4, f"{name} {turn}")
            turn += 1
            await asyncio.sleep(0.1)

    task = asyncio.create_task(go_on())
    try:
        yield
    finally:
        over.set()
        await task
