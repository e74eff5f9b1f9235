"""The dashboard on a real SQLite ledger, without the rest of the gateway: pages only read the parts named here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import JSONResponse

from router.access.admin import AdminDoor
from router.access.keys import KeyRing
from router.api.edge import Edge
from router.dashboard import pages
from router.errors import RequestError
from router.ledger.store import SqlStore


@dataclass
class Policy:
    """What pages read of a policy."""

    label: str = "default@3f9a1c02b7de"
    models: dict[str, Any] = field(default_factory=lambda: {"small": None, "large": None})
    routes: dict[str, Any] = field(default_factory=lambda: {"auto": None})


@dataclass
class Current:
    """A policy that never changes."""

    current: Policy = field(default_factory=Policy)


@dataclass
class Parts:
    """The parts of a gateway that pages read."""

    store: SqlStore
    door: AdminDoor = field(default_factory=lambda: AdminDoor(None))
    policy: Current = field(default_factory=Current)
    keys: KeyRing = field(default_factory=KeyRing)


def app_of(parts: Parts) -> FastAPI:
    """An application with the dashboard behind the real edge."""
    app = FastAPI(title="Signalbox", version="0", docs_url=None, redoc_url=None)
    app.state.gateway = parts
    app.include_router(pages.routes)
    app.add_middleware(Edge, door=parts.door)
    app.add_exception_handler(RequestError, lambda _, error: JSONResponse(error.body(), error.status))  # type: ignore
    return app


def browser(parts: Parts, **options: Any) -> httpx.AsyncClient:
    """A client on loopback that takes HTML."""
    transport = httpx.ASGITransport(app_of(parts), client=("127.0.0.1", 5000))
    headers = {"accept": "text/html,*/*;q=0.8"} | options.pop("headers", {})
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080", headers=headers, **options)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    """An empty ledger."""
    ledger = SqlStore(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    await ledger.open()
    yield ledger
    await ledger.aclose()


@pytest.fixture
def parts(store: SqlStore) -> Parts:
    """The parts on that ledger, no keys set."""
    return Parts(store)


@pytest.fixture
async def visitor(parts: Parts) -> AsyncIterator[httpx.AsyncClient]:
    """A browser on those parts."""
    async with browser(parts) as client:
        yield client
