"""Fixtures that many tests share: real servers, and the folder of outcome data. Only missing things may skip."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import settings

from tests.servers import PostgresServer, RedisServer, Server, ServerMissing

S = TypeVar("S", bound=Server)

# A shared machine may stand still for a second in the middle of any example; how long one takes is not what is tested.
settings.register_profile("signalbox", deadline=None)
settings.load_profile("signalbox")

IN_CI = os.environ.get("CI", "").lower() in ("true", "1")


def start(make: Callable[[], S]) -> S:
    """A running server; without it the test is skipped, but never in CI."""
    try:
        return make()
    except ServerMissing as missing:
        if IN_CI:
            pytest.fail(str(missing))
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One Redis for the whole session; `redis_url` is an empty one."""
    server = start(RedisServer)
    yield server
    server.close()


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The session's Redis, emptied."""
    redis_server.empty()
    return redis_server.url


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One PostgreSQL for the whole session; `postgres_url` is an empty database of it."""
    server = start(PostgresServer)
    yield server
    server.close()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """An empty database."""
    url = postgres_server.create_database()
    yield url
    postgres_server.recycle(url)


@pytest.fixture
def redis_process() -> Iterator[Callable[..., RedisServer]]:
    """Makes a Redis that the test may pause, kill and start again; arguments are further options of `redis-server`."""
    made: list[RedisServer] = []

    def make(*options: str) -> RedisServer:
        made.append(start(lambda: RedisServer(*options)))
        return made[-1]

    yield make
    for server in made:
        server.close()


@pytest.fixture
def postgres_process() -> Iterator[PostgresServer]:
    """A PostgreSQL that the test may pause, kill and start again."""
    server = start(PostgresServer)
    yield server
    server.close()


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of outcome files that SIGNALBOX_TEST_DATA names; without it the test is skipped."""
    named = os.environ.get("SIGNALBOX_TEST_DATA")
    if not named:
        pytest.skip("SIGNALBOX_TEST_DATA names no folder of outcome files")
    folder = Path(named)
    if not (folder / "outcomes").is_dir():
        if IN_CI:
            pytest.fail(f"SIGNALBOX_TEST_DATA: {folder} holds no outcome files")
        pytest.skip(f"SIGNALBOX_TEST_DATA: {folder} holds no outcome files")
    return folder
