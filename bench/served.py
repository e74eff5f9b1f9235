"""A gateway, a stand-in upstream or any other server as a process of its own, with its CPU time and its memory.

For the benchmarks beside it. Everything listens on loopback; what was started is ended by its own pid.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__).parent
KEY = "sk-bench"
START_SECONDS = 60.0

POLICY = """
version: 1
models:
  small: {{tier: small, {small}, context: 32768, private: true, price: {{input: 0, output: 0}}}}
  large: {{tier: large, {large}, price: {{input: 2.5, output: 10}}}}
default: small
routes:
  auto:
    baseline: large
    rules:
      - {{name: private stays local, when: "size(ask.private) > 0", use: small, fallback: []}}
      - {{name: housekeeping,        when: "ask.housekeeping", use: small, fallback: [large]}}
      - {{name: easy,                when: "complexity < 0.35", use: small, fallback: [large]}}
      - {{name: hard,                use: large, fallback: [small]}}
    cache: {{exact: {{ttl: 1h}}}}
"""
"""As `policies/default.yaml` decides: privacy, housekeeping, the judge's complexity, an exact cache."""


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """One server process with its children."""

    def __init__(self, command: Sequence[str], env: dict[str, str] | None = None, log: Path | None = None):
        with ExitStack() as files:
            out: Any = files.enter_context(log.open("wb")) if log else subprocess.DEVNULL
            self._process = subprocess.Popen(
                command, env={**os.environ, **(env or {})}, stdout=out, stderr=out, start_new_session=True
            )

    @property
    def tree(self) -> list[psutil.Process]:
        try:
            root = psutil.Process(self._process.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def cpu_seconds(self) -> float:
        """User and system time of all its processes so far."""
        return sum(sum(process.cpu_times()[:2]) for process in self.tree)

    def mib(self) -> float:
        """Proportional set size of all its processes."""
        return sum(process.memory_full_info().pss for process in self.tree) / 2**20

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def stop(self, by: signal.Signals = signal.SIGTERM) -> None:
        """Ends it, and waits for the end. SIGINT lets a profiler write down what it saw."""
        tree = self.tree
        for process in tree:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(by)
        _, left = psutil.wait_procs(tree, timeout=20)
        for process in left:
            process.kill()
        self._process.wait()


@contextmanager
def process(command: Sequence[str], *, env: dict[str, str] | None = None, log: Path | None = None) -> Iterator[Process]:
    """A server process until the block ends."""
    started = Process(command, env, log)
    try:
        yield started
    finally:
        started.stop()


def wait_for(url: str, server: Process) -> None:
    """Waits until something answers there. Raises RuntimeError."""
    deadline = time.monotonic() + START_SECONDS
    while server.alive and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"nothing answers at {url}")


@contextmanager
def folder() -> Iterator[Path]:
    """A temporary folder."""
    with tempfile.TemporaryDirectory(prefix="signalbox-bench-") as name:
        yield Path(name)


def write_policy(path: Path, upstream: str, *, provider: str = "openai") -> Path:
    """Writes the policy of all benchmarks, for a stand-in at `upstream` (a URL without `/v1`)."""
    if provider == "litellm":
        models = [
            f'provider: litellm, model: "openai/{name}", base_url: "{upstream}/v1", api_key: none'
            for name in ("gpt-4o-mini", "gpt-4o")
        ]
    else:
        models = [f'model: "{name}", base_url: "{upstream}/v1"' for name in ("gpt-4o-mini", "gpt-4o")]
    path.write_text(POLICY.format(small=models[0], large=models[1]))
    return path


def signalbox(policy: Path, port: int) -> list[str]:
    """The command that serves a policy."""
    return [str(Path(sys.executable).with_name("signalbox")), "serve", "--policy", str(policy), "--port", str(port)]


def environment(data: Path, **more: str) -> dict[str, str]:
    """A key is asked for and the ledger is on, as in any real deployment."""
    data.mkdir(parents=True, exist_ok=True)
    return {"SIGNALBOX_API_KEYS": f"bench:{KEY}", "SIGNALBOX_DATA_DIR": str(data), **more}


@contextmanager
def stand_in() -> Iterator[str]:
    """The stand-in upstream in a process of its own; its URL."""
    program = (
        "import uvloop\nfrom router.upstream.standin import Reply, StandIn\n"
        "stand_in = StandIn('m', lambda question: Reply('words ' * 100, pieces=100))\n"
        "uvloop.run(stand_in.run({port}, lambda url: None))\n"
    )
    port = free_port()
    with process([sys.executable, "-c", program.format(port=port)]) as server:
        wait_for(f"http://127.0.0.1:{port}/v1/models", server)
        yield f"http://127.0.0.1:{port}"


@contextmanager
def redis() -> Iterator[str | None]:
    """A Redis of our own, where the machine has one; its URL."""
    program = shutil.which("redis-server")
    if program is None:
        yield None
        return
    port = free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with ExitStack() as parts, folder() as home:
        parts.enter_context(process([*command, "--dir", str(home)]))
        time.sleep(0.5)
        yield f"redis://127.0.0.1:{port}/0"


def load(url: str, **options: object) -> dict[str, float]:
    """Runs `load.py` against a chat URL; what it printed."""
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, str(HERE / "load.py"), url, "--key", KEY, *words]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, float] = json.loads(printed)
    return found
