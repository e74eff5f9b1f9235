"""The dashboard on a real SQLite ledger, behind the real edge, with the parts of a gateway that pages read."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from playwright.sync_api import Browser

from router.access.admin import AdminDoor
from router.access.keys import KeyRing
from router.api.edge import Edge
from router.dashboard import pages
from router.errors import RequestError
from router.ledger.recorder import Recorder
from router.ledger.store import SqlStore
from router.policy.proofs import Proofs
from router.policy.reload import PolicyWatcher
from tests.conftest import IN_CI
from tests.dashboard.chromium import (
    DAY_END,
    DAY_START,
    a_fixed_day,
    find_chromium,
    launched,
    write,
    write_lessons,
)
from tests.dashboard.lessons import lessons
from tests.security.process import serving

POLICY = """
version: 1
models:
  small: {tier: small, model: small-1, base_url: "http://127.0.0.1:9/v1", price: {input: 0.1, output: 0.4}}
  large: {tier: large, model: large-1, base_url: "http://127.0.0.1:9/v1", price: {input: 3, output: 15}}
default: small
routes:
  auto: {baseline: large, rules: [{name: easy, when: "complexity < 0.35", use: small}]}
"""

HERE = "http://127.0.0.1:8080"


@dataclass
class Parts:
    """As much of `router.gateway.Gateway` as pages read."""

    store: SqlStore
    policy: PolicyWatcher
    door: AdminDoor = field(default_factory=lambda: AdminDoor(None))
    keys: KeyRing = field(default_factory=KeyRing)
    judge: Any = field(default_factory=lambda: SimpleNamespace(name="fast@9c41d2e07a55"))
    proving: Any = field(default_factory=lambda: SimpleNamespace(proofs=Proofs()))
    recorder: Recorder = field(init=False)

    def __post_init__(self) -> None:
        self.recorder = Recorder(self.store)


async def answer_error(_request: Request, error: Exception) -> JSONResponse:
    """As `router.app` does."""
    assert isinstance(error, RequestError)
    return JSONResponse(error.body(), error.status)


def app_of(parts: Parts) -> FastAPI:
    """An application with the dashboard behind the edge."""
    app = FastAPI(title="Signalbox", version="0", docs_url=None, redoc_url=None)
    app.state.gateway = parts
    app.include_router(pages.routes)
    app.add_middleware(Edge, door=parts.door)
    app.add_exception_handler(RequestError, answer_error)
    return app


def browser(app: FastAPI) -> httpx.AsyncClient:
    """A client on loopback that asks for pages, as browsers do."""
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 5000))
    return httpx.AsyncClient(
        transport=transport, base_url=HERE, headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    )


@pytest.fixture
def policy_named(tmp_path: Path) -> Callable[[str], PolicyWatcher]:
    """Makes a policy of that name."""

    def make(name: str) -> PolicyWatcher:
        file = tmp_path / f"{name}.yaml"
        file.write_text(POLICY)
        return PolicyWatcher(file, {})

    return make


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    """An empty ledger."""
    ledger = SqlStore(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    await ledger.open()
    yield ledger
    await ledger.aclose()


@pytest.fixture
def parts(store: SqlStore, policy_named: Callable[[str], PolicyWatcher]) -> Parts:
    """The parts on that ledger; no keys set."""
    return Parts(store, policy_named("default"))


@pytest.fixture
async def visitor(parts: Parts) -> AsyncIterator[httpx.AsyncClient]:
    """A browser on those parts."""
    async with browser(app_of(parts)) as client:
        yield client


@pytest.fixture
def a_request_url() -> Callable[[Any], str]:
    """The address of a request's page."""
    return lambda row: f"/dashboard/requests/{row.request_id}"


@dataclass(frozen=True)
class Served:
    """A real gateway with the stand-in day in its ledger. database: the ledger's file."""

    url: str
    database: Path

    def sql(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """What the database itself says."""
        with closing(sqlite3.connect(self.database)) as connection:
            return connection.execute(query, values).fetchall()


@pytest.fixture(scope="session")
def served_day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One gateway for all tests in a browser; they change nothing within the stand-in day."""
    folder = tmp_path_factory.mktemp("served")
    with serving(folder, POLICY) as process:
        database = folder / "signalbox.sqlite3"
        write(database, a_fixed_day())
        yield Served(process.url, database)


@pytest.fixture(scope="session")
def taught_day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A gateway whose ledger has, of the same day, audited requests, versions of the judge, and drift."""
    folder = tmp_path_factory.mktemp("taught")
    with serving(folder, POLICY) as process:
        database = folder / "signalbox.sqlite3"
        given = lessons(160, DAY_START + 60, DAY_END - 60)
        write_lessons(database, given, DAY_START, DAY_END, drifted=True)
        yield Served(process.url, database)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A real Chromium. One for each file: an event loop of playwright's own runs as long as it does."""
    program = find_chromium()
    if program is None:
        if IN_CI:
            pytest.fail("there is no chromium on PATH")
        pytest.skip("there is no chromium on PATH")
    with launched(program) as browser:
        yield browser
