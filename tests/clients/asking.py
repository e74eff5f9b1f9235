"""The clients: in which ways each can ask, what it cannot read, and how its script is run in its own process."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

from tests.clients.environments import Environment
from tests.clients.replay import ASKED_BY
from tests.clients.scenarios import SCENARIOS

_ALL = ("plain", "stream", "stream-usage")
_ALWAYS_COUNTS = ("plain", "stream-usage")
CLIENTS = {
    "raw_http": _ALL,
    "openai_python": _ALL,
    "openai_node": _ALL,
    "langchain": _ALL,
    "llama_index": _ALL,
    "pydantic_ai": _ALWAYS_COUNTS,
    "instructor": _ALL,
    "llm": _ALWAYS_COUNTS,
    "ai_sdk": _ALL,
}
"""Folder of each client, and the ways in which it can ask."""

CANNOT_READ = {
    ("instructor", "parallel-tools/stream"): "it reads one tool call of a stream",
    ("instructor", "parallel-tools/stream-usage"): "it reads one tool call of a stream",
}
"""What a client raises at even directly, and hangs up on. All else it must read, so that equal failures do not pass."""

READS_PIECES = {
    ("openai_node", "reasoning/stream"): "it keeps the last piece of a field that it does not know",
    ("openai_node", "reasoning/stream-usage"): "it keeps the last piece of a field that it does not know",
}
"""Where a result depends on the pieces of a stream: a stored answer comes in other pieces than the first time."""

_GLYPHS = 'Grüße, 日本語, 👩🏽‍🚀, "quoted" \\ and \u2028.'
"""So that requests also hold what is easily lost."""

_CLIENT_SECONDS = 300


class ClientFailed(Exception):
    """A client's script broke before it could tell anything."""


def leaves(client: str, name: str | None) -> bool:
    """Whether this client may hang up in the middle of this answer."""
    return any(client == one and about.split("/")[0] == name for one, about in CANNOT_READ)


def tasks_for(client: str) -> list[dict[str, str]]:
    """What a client is given to do. Client and mode stand in the prompt, so that a cache keeps each apart."""
    return [
        {
            "id": f"{name}/{mode}",
            "prompt": f"{ASKED_BY.format(name)} Asked by {client}: {mode}. {_GLYPHS}",
            "kind": answer.kind,
            "mode": mode,
        }
        for name, answer in SCENARIOS.items()
        for mode in CLIENTS[client]
        if mode != "plain" or answer.plain is not None
    ]


async def run_client(environment: Environment, url: str, model: str, tasks: list[dict[str, str]]) -> dict[str, Any]:
    """What the client told of each task. Raises ClientFailed when its script breaks."""
    process = await asyncio.create_subprocess_exec(
        *environment.command,
        env={**os.environ, **environment.variables},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    work = json.dumps({"base_url": f"{url}/v1", "model": model, "tasks": tasks}).encode()
    try:
        out, err = await asyncio.wait_for(process.communicate(work), _CLIENT_SECONDS)
    except TimeoutError:
        raise ClientFailed(f"{environment.name} took longer than {_CLIENT_SECONDS} s") from None
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode != 0:
        raise ClientFailed(f"{environment.name} broke: {err.decode()[-2000:]}")
    told: dict[str, Any] = json.loads(out.decode().replace(url, "URL").replace(model, "MODEL"))
    return told
