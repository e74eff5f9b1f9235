"""Two stand-in models and a gateway in front of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from router.upstream.standin import StandIn
from tests.running import POLICY, Running, running


@dataclass(frozen=True)
class House:
    """A gateway and the models behind it."""

    gateway: Running
    small: StandIn
    large: StandIn


@asynccontextmanager
async def make_house(folder: Path) -> AsyncIterator[House]:
    """One tenant, no keys, memory cache, SQLite."""
    small, large = StandIn("small", lambda text: f"small says: {text}"), StandIn("large", lambda text: f"large: {text}")
    async with small.serve() as small_url, large.serve() as large_url:
        async with running(folder, POLICY.format(small=small_url, large=large_url)) as gateway:
            yield House(gateway, small, large)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """One for this test alone."""
    async with make_house(tmp_path) as made:
        yield made
