"""The dashboard on a real SQLite ledger, behind the real edge, with the parts of a gateway that pages read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from router.access.admin import AdminDoor
from router.access.keys import KeyRing
from router.api.edge import Edge
from router.dashboard import pages
from router.errors import RequestError
from router.ledger.recorder import Recorder
from router.ledger.store import SqlStore
from router.policy.reload import PolicyWatcher

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
