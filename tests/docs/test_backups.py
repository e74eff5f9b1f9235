"""The backups of docs/deployment.md, taken as it says from a database in use: what comes back is all there was."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from router.ledger.registry import Registry
from router.ledger.reports import request as story_of
from router.ledger.store import SqlStore
from tests.docs.reading import DOCS, Block, blocks_of
from tests.docs.running_pages import Reader
from tests.ledger.outcomes import an_outcome
from tests.servers import PostgresServer

ARTEFACT = bytes(range(256)) * 100


async def follow(url: str, restored: str, program: str, folder: Path, env: Mapping[str, str]) -> None:
    """Fills a database, does what the page says while it is open, and compares."""
    store, outcome = SqlStore(url), an_outcome()
    await store.open()
    try:
        await store.write([outcome])
        sha256 = await Registry(store).save(ARTEFACT, {})
        await Registry(store).promote(sha256, "me")
        with Reader(folder, env) as reader:
            reader.follow([block_with(program)])
    finally:
        await store.aclose()
    copy = SqlStore(restored)
    await copy.open()
    try:
        told = await story_of(copy, outcome.request_id)
        assert told is not None
        assert told.outcome.cost_nano == outcome.cost_nano
        assert await Registry(copy).current() == sha256
        assert await Registry(copy).fetch(sha256) == ARTEFACT
        await copy.write([later := an_outcome()])
        assert await story_of(copy, later.request_id) is not None
    finally:
        await copy.aclose()


def block_with(program: str) -> Block:
    [block] = [block for block in blocks_of(DOCS / "deployment.md") if block.language == "sh" and program in block.text]
    return block


async def test_a_postgres_comes_back_whole(postgres_server: PostgresServer, tmp_path: Path) -> None:
    if not (postgres_server.programs / "pg_dump").exists():
        pytest.skip("this PostgreSQL comes without pg_dump")
    url, restored = postgres_server.create_database(), postgres_server.create_database()
    path = f"{postgres_server.programs}{os.pathsep}{os.environ['PATH']}"
    env = {"PATH": path, "SIGNALBOX_DATABASE_URL": url, "RESTORED_URL": restored}
    try:
        await follow(url, restored, "pg_dump", tmp_path, env)
    finally:
        postgres_server.recycle(url)
        postgres_server.recycle(restored)


async def test_an_sqlite_file_comes_back_whole(tmp_path: Path) -> None:
    if shutil.which("sqlite3") is None:
        pytest.skip("sqlite3 is not installed")
    (tmp_path / ".signalbox").mkdir()
    url, restored = (f"sqlite:///{tmp_path / name}" for name in (".signalbox/signalbox.sqlite3", "copy.sqlite3"))
    await follow(url, restored, "sqlite3", tmp_path, {})
