"""A real `signalbox serve` process with recording models behind it, for tests that must not share its interpreter."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from router.upstream.standin import StandIn
from tests.servers import free_port

CLEAN = {
    name: value
    for name, value in os.environ.items()
    if not re.match("SIGNALBOX_|OPENAI_|ANTHROPIC_|OLLAMA_|LITELLM_", name)
}


@dataclass(frozen=True)
class Process:
    """A gateway that answers on `port`; what it says goes to `log`."""

    port: int
    log: Path
    pid: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def said(self) -> str:
        """All that it wrote to stdout and stderr so far."""
        return self.log.read_text("utf-8", "replace")


@contextmanager
def serving(folder: Path, policy: str, **env: str) -> Iterator[Process]:
    """`signalbox serve` with this policy text and these environment variables, until the block ends."""
    (folder / "policy.yaml").write_text(policy)
    port, log = free_port(), folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "router.cli", "serve", "--policy", "policy.yaml", "--port", str(port)],
            cwd=folder,
            env={**CLEAN, "SIGNALBOX_DATA_DIR": str(folder), **env},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    running = Process(port, log, process.pid)
    try:
        deadline = time.monotonic() + 60
        while not _is_ready(running.url):
            assert process.poll() is None, running.said()
            assert time.monotonic() < deadline, running.said()
            time.sleep(0.05)
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def standing(*models: StandIn) -> Iterator[list[str]]:
    """The models' base URLs; they are served by a thread of their own until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    contexts = [model.serve() for model in models]
    try:
        yield [asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result(10) for context in contexts]
    finally:
        for context in contexts:
            asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
