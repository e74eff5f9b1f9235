"""`signalbox serve` as a process: with no policy, refused starts, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from router.upstream.standin import Reply, StandIn
from tests.running import POLICY, chat_body
from tests.servers import free_port

CLEAN = {
    name: value for name, value in os.environ.items() if not re.match("SIGNALBOX_|OPENAI_|ANTHROPIC_|OLLAMA_", name)
}


async def start(folder: Path, *arguments: str, **env: str) -> Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "router.cli", "serve", *arguments),
        cwd=folder,
        env={**CLEAN, "SIGNALBOX_DATA_DIR": str(folder), "OLLAMA_HOST": "127.0.0.1:1", **env},
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )


@contextlib.asynccontextmanager
async def serving(folder: Path, *arguments: str, **env: str) -> AsyncIterator[tuple[str, Process]]:
    port = free_port()
    process = await start(folder, *arguments, "--port", str(port), **env)
    url = f"http://127.0.0.1:{port}"
    try:
        async with httpx.AsyncClient() as client:
            for _ in range(300):
                assert process.returncode is None, (await process.communicate())[1].decode()
                with contextlib.suppress(httpx.TransportError):
                    if (await client.get(f"{url}/readyz")).status_code == 200:
                        break
                await asyncio.sleep(0.1)
        yield url, process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def ask(url: str, text: str, **more: object) -> httpx.Response:
    async with httpx.AsyncClient(timeout=30) as client:
        return await client.post(f"{url}/v1/chat/completions", json=chat_body(text, **more))


async def test_with_a_key_and_no_policy_it_serves_and_the_printed_policy_can_be_used(tmp_path: Path) -> None:
    provider = StandIn("provider", lambda text: f"heard: {text}", api_key="sk-canary")
    async with provider.serve() as base:
        env = {"OPENAI_API_KEY": "sk-canary", "OPENAI_BASE_URL": f"{base}/v1"}
        async with serving(tmp_path, **env) as (url, process):
            answer = await ask(url, "hi")
            assert answer.json()["choices"][0]["message"]["content"] == "heard: hi"
            process.terminate()
            printed = (await process.communicate())[1].decode()
        assert "OPENAI_API_KEY" in printed
        assert "sk-canary" not in printed
        saved = tmp_path / "saved.yaml"
        saved.write_text(printed[printed.index("version: 1") :].split("\n20")[0])
        async with serving(tmp_path, "--policy", str(saved), **env) as (url, _):
            assert (await ask(url, "hi")).headers["x-signalbox-policy"].startswith("saved@")


@pytest.mark.parametrize(
    ("arguments", "env", "said"),
    [
        ([], {}, "OPENAI_API_KEY"),
        (["--policy", "nowhere.yaml"], {}, "nowhere.yaml"),
        (["--policy", "policy.yaml", "--host", "0.0.0.0"], {}, "--insecure"),
        (["--policy", "policy.yaml", "--workers", "2"], {}, "SIGNALBOX_REDIS_URL"),
        (["--policy", "policy.yaml"], {"SIGNALBOX_PORT": "x"}, "SIGNALBOX_PORT"),
        (["--policy", "policy.yaml"], {"SIGNALBOX_API_KEYS": "canary-secret"}, "tenant:key"),
        (["--policy", "policy.yaml"], {"SIGNALBOX_ARTEFACT": "nowhere"}, "missing artefact"),
        (["--policy", "broken.yaml"], {}, "broken.yaml:3:"),
        (["--policy", "variable.yaml"], {}, "NO_SUCH_VARIABLE"),
    ],
)
async def test_a_start_that_cannot_work_is_refused_with_what_to_mend(
    tmp_path: Path, arguments: list[str], env: dict[str, str], said: str
) -> None:
    good = POLICY.format(small="http://127.0.0.1:1", large="http://127.0.0.1:1")
    (tmp_path / "policy.yaml").write_text(good)
    (tmp_path / "broken.yaml").write_text("version: 1\nmodels:\n  small: {teir: small, model: x}\ndefault: small\n")
    (tmp_path / "variable.yaml").write_text(
        good.replace("tier: small,", 'tier: small, api_key: "${NO_SUCH_VARIABLE}",')
    )
    process = await start(tmp_path, *arguments, **env)
    _, stderr = await asyncio.wait_for(process.communicate(), 60)
    words = stderr.decode()
    assert process.returncode == 2, words
    assert said in words
    assert "Traceback" not in words
    assert "canary-secret" not in words


async def test_sigterm_lets_streams_finish_and_writes_their_rows(tmp_path: Path) -> None:
    model = StandIn("m", lambda text: Reply("slowly but surely " * 5, pieces=20, gap_seconds=0.05))
    async with model.serve() as base:
        (tmp_path / "policy.yaml").write_text(POLICY.format(small=base, large=base))
        async with serving(tmp_path, "--policy", "policy.yaml") as (url, process):
            streams = [asyncio.create_task(ask(url, f"hi {number}", stream=True)) for number in range(10)]
            await model.received(10)
            await asyncio.sleep(0.2)
            process.send_signal(signal.SIGTERM)
            answers = await asyncio.gather(*streams)
            await asyncio.wait_for(process.wait(), 20)
        assert process.returncode in (0, -signal.SIGTERM)
        assert all(answer.text.endswith("data: [DONE]\n\n") for answer in answers)
        async with serving(tmp_path, "--policy", "policy.yaml") as (url, _), httpx.AsyncClient() as client:
            kept = (await client.get(f"{url}/api/requests?since=1h")).json()
    assert kept["total"] == 10
    assert {row["outcome"] for row in kept["rows"]} == {"ok"}


async def test_a_caller_who_leaves_closes_the_upstream_and_is_counted(tmp_path: Path) -> None:
    model = StandIn("m", lambda text: Reply("on and on " * 50, pieces=100, gap_seconds=0.1))
    async with model.serve() as base:
        (tmp_path / "policy.yaml").write_text(POLICY.format(small=base, large=base))
        async with serving(tmp_path, "--policy", "policy.yaml") as (url, _), httpx.AsyncClient() as client:
            async with client.stream("POST", f"{url}/v1/chat/completions", json=chat_body("hi", stream=True)) as answer:
                async for _chunk in answer.aiter_bytes():
                    break
            received = await model.received(1)
            await asyncio.wait_for(received.left.wait(), 2)
            for _ in range(100):
                rows = (await client.get(f"{url}/api/requests?since=1h")).json()["rows"]
                if rows:
                    break
                await asyncio.sleep(0.05)
    assert rows[0]["outcome"] == "client_closed"
    assert rows[0]["output_tokens"] > 0
