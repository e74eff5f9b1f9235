"""Runs the services of docker-compose.yml as processes: their own commands and environments, other hosts and ports.

Redis and PostgreSQL are real; the models are the stand-in. What Docker does (images, networks, users) is not run.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from tests.servers import PostgresServer, RedisServer, free_port

from .compose import NEEDED, ROOT, Command, as_process, dockerfile_lines, read_services

READY_SECONDS = 60.0
SERVICES = read_services(NEEDED | {"RETRAIN_SECONDS": "3600", "SIGNALBOX_CLASSIFIER": "fast"})
"""Without the encoder, which is not installed here; `tests/encoder` has it."""
PROGRAMS = Path(sys.executable).parent


def image() -> dict[str, Any]:
    """What the Dockerfile gives every container of ours, as far as a process needs it."""
    lines = dockerfile_lines()
    last = dict(lines)
    words = [word.split("=", 1) for name, rest in lines if name == "ENV" for word in rest.split()]
    ours = {name: value for name, value in words if name.startswith("SIGNALBOX_")}
    return {"entrypoint": json.loads(last["ENTRYPOINT"]), "command": json.loads(last["CMD"]), "environment": ours}


@dataclass
class Process:
    """A service that runs. `url` is where it listens, if it does; `log` is what it said."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path
    url: str = ""

    def said(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def end(self) -> int:
        """Asks it and its children to stop, as `docker stop` does, and waits; what does not stop is killed."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGTERM)
        try:
            return self.popen.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.popen.pid, signal.SIGKILL)
            return self.popen.wait()


class Stack:
    """Servers, stand-in and the services of ours that were asked for."""

    def __init__(self, folder: Path, redis: RedisServer, postgres: PostgresServer, models: str) -> None:
        self.folder, self.redis, self.models = folder, redis, models
        self.instead = {
            "/etc/signalbox/policies": str(ROOT / "policies"),
            "@postgres:5432": f"@127.0.0.1:{postgres.port}",
            "redis:6379": f"127.0.0.1:{redis.port}",
            "http://ollama:11434": models,
            "0.0.0.0": "127.0.0.1",  # tests listen on loopback only
        }

    @contextmanager
    def run(self, name: str, label: str = "") -> Iterator[Process]:
        """A service's own command, in a folder of its own."""
        label = label or name
        port, data = free_port(), self.folder / label
        data.mkdir(exist_ok=True)
        command = as_process(
            SERVICES[name], image(), self.instead | {"8080": str(port), "/var/lib/signalbox": str(data)}
        )
        log = data / "log"
        with log.open("ab") as out:
            popen = subprocess.Popen(
                command.arguments, cwd=data, env=self._around(command), stdout=out, stderr=out, start_new_session=True
            )
        process = Process(label, popen, log, f"http://127.0.0.1:{port}")
        try:
            yield process
        finally:
            process.end()

    def once(self, *arguments: str) -> str:
        """What our program prints in the retraining job's environment; it must end well."""
        command = as_process(SERVICES["retrain"], image(), self.instead | {"/var/lib/signalbox": str(self.folder)})
        ended = subprocess.run(
            ["signalbox", *arguments],
            cwd=self.folder,
            env=self._around(command),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert ended.returncode == 0, f"{arguments}: {ended.stdout}{ended.stderr}"
        return ended.stdout

    def _around(self, command: Command) -> Mapping[str, str]:
        path = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"
        return {"PATH": path, "HOME": str(self.folder), "ANTHROPIC_BASE_URL": self.models, **command.environment}


def wait_ready(process: Process) -> dict[str, Any]:
    """What `/readyz` says as soon as it says it is well."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        assert process.popen.poll() is None, f"{process.name} ended: {process.said()}"
        try:
            answer = httpx.get(f"{process.url}/readyz", timeout=2)
        except httpx.HTTPError:
            answer = None
        if answer is not None and answer.status_code == 200 and answer.json()["status"] == "ok":
            return dict(answer.json())
        time.sleep(0.1)
    raise AssertionError(f"{process.name} never became ready: {process.said()}")


async def _create_database(url: str, user: str, name: str) -> None:
    connection = await asyncpg.connect(f"{url}/postgres")
    await connection.execute(f'CREATE ROLE "{user}" LOGIN')
    await connection.execute(f'CREATE DATABASE "{name}" OWNER "{user}"')
    await connection.close()


@contextmanager
def running_stack(postgres: PostgresServer, models: str) -> Iterator[Stack]:
    """Redis by the file's own command, the database and its user by the file's own names."""
    database = SERVICES["postgres"]["environment"]
    asyncio.run(_create_database(postgres.url, database["POSTGRES_USER"], database["POSTGRES_DB"]))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="signalbox-stack-")))
        program, *options = SERVICES["redis"]["command"]
        assert program == "redis-server"
        redis = RedisServer(*options)
        stack.callback(redis.close)
        yield Stack(folder, redis, postgres, models)
