"""The servers that other tests stand on."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import asyncpg
import psutil

from tests.servers import PostgresServer, RedisServer

ROOT = Path(__file__).parent.parent


def ping(server: RedisServer, seconds: float = 0.3) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port), timeout=seconds) as wire:
        wire.sendall(b"PING\r\n")
        return wire.recv(64)


def test_a_redis_can_be_paused_killed_and_started_again(redis_process: Callable[..., RedisServer]) -> None:
    server = redis_process()
    server.pause()
    try:
        ping(server)
        raise AssertionError("a paused server answered")
    except TimeoutError:
        server.resume()
    assert ping(server, 5) == b"+PONG\r\n"
    server.kill()
    server.start()
    assert ping(server, 5) == b"+PONG\r\n"


async def test_a_killed_postgres_comes_back_with_what_was_committed(postgres_process: PostgresServer) -> None:
    url = postgres_process.create_database()
    connection = await asyncpg.connect(url)
    await connection.execute("SET synchronous_commit = on; CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)")
    postgres_process.kill()
    postgres_process.start()
    again = await asyncpg.connect(url)
    assert await again.fetchval("SELECT n FROM kept") == 7
    await again.close()
    connection.terminate()


def test_a_program_that_ends_leaves_no_server_behind() -> None:
    code = "from tests.servers import RedisServer; server = RedisServer(); print(server.pid, server.folder)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    pid, folder = run.stdout.split()
    assert not psutil.pid_exists(int(pid))
    assert not Path(folder).exists()
