"""How a gateway ends: told to, with every answer and row; killed, with a small loss that it tells of, and no damage."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from router.ledger.registry import Registry
from router.ledger.store import SqlStore
from router.upstream.standin import Fault, Reply
from tests.faults.models import Heard
from tests.faults.process import gateway_process
from tests.faults.scene import until
from tests.faults.traffic import POLICY
from tests.faults.wire import ask
from tests.servers import RedisServer, free_port

LOST_AT_MOST_SECONDS = 2.0
"""Rows are written every 0.2 s; the rest is for a busy machine."""


async def test_fifty_streams_end_well_when_told_to_stop_and_nothing_new_is_taken(tmp_path: Path) -> None:
    model = Heard("m", lambda text: Reply("slowly but surely " * 5, pieces=20, gap_seconds=0.1))
    async with model.serve() as url:
        (tmp_path / "policy.yaml").write_text(POLICY.format(url=url))
        async with gateway_process(tmp_path) as gateway:
            asking = [asyncio.create_task(ask(gateway.port, f"hi {n}", stream=n % 5 != 0)) for n in range(50)]
            idle = await asyncio.open_connection("127.0.0.1", gateway.port)
            await model.received(50)
            await asyncio.sleep(0.3)
            told = time.monotonic()
            gateway.child.send_signal(signal.SIGTERM)
            answers = await asyncio.gather(*asking)
            with pytest.raises(OSError):
                await ask(gateway.port, "too late")
            await asyncio.wait_for(gateway.child.wait(), 30 - (time.monotonic() - told))
            idle[1].close()
        assert all(answer.whole for answer in answers)
        rows = await gateway.rows()
    assert {row["request_id"] for row in rows} == {answer.request_id for answer in answers}
    assert [row["outcome"] for row in rows] == ["ok"] * 50
    assert model.calls == sum(row["attempts"] for row in rows) == 50
    assert files(tmp_path) == {"policy.yaml", "signalbox.sqlite3", "tmp"}


async def test_streams_that_outlast_the_grace_are_cut_off_and_their_rows_are_written(tmp_path: Path) -> None:
    model = Heard("m", lambda text: Reply("word " * 9, fault=Fault("stall_after", after=4)))
    async with model.serve() as url:
        (tmp_path / "policy.yaml").write_text(POLICY.format(url=url))
        async with gateway_process(tmp_path, SIGNALBOX_GRACE_SECONDS="1") as gateway:
            asking = [asyncio.create_task(ask(gateway.port, f"hi {n}", stream=True)) for n in range(50)]
            await model.received(50)
            await asyncio.sleep(0.3)
            gateway.child.send_signal(signal.SIGTERM)
            await asyncio.wait_for(gateway.child.wait(), 8)
            ended = await asyncio.gather(*asking, return_exceptions=True)
        rows = await gateway.rows()
    assert len(rows) == 50
    assert Counter((row["outcome"], row["error_code"]) for row in rows) == {("gateway_error", "draining"): 50}
    assert all(row["cost_nano"] > 0 for row in rows)
    assert not [end for end in ended if not isinstance(end, OSError)], "none may be taken for a whole answer"
    assert not model.busy


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
async def test_a_gateway_that_is_killed_under_load_loses_its_last_moment_and_no_more(
    tmp_path: Path, request: pytest.FixtureRequest, database: str
) -> None:
    env = {}
    if database == "postgres":
        env["SIGNALBOX_DATABASE_URL"] = request.getfixturevalue("postgres_url")
    model, port = Heard("m", lambda text: Reply(f"You said: {text}", gap_seconds=0.02)), free_port()
    answered: dict[str, float] = {}

    async def go_on(name: str, port: int) -> None:
        with contextlib.suppress(OSError):
            turn = 0
            while True:
                answer = await ask(port, f"{name} {turn}", stream=turn % 2 == 0)
                assert answer.whole, answer
                answered[answer.request_id] = time.monotonic()
                turn += 1

    async with model.serve() as url:
        (tmp_path / "policy.yaml").write_text(POLICY.format(url=url))
        killed_at = []
        for run in range(2):
            async with gateway_process(tmp_path, port=port, **env) as gateway:
                if run:
                    assert (await gateway.ready())["status"] == "ok"
                callers = [asyncio.create_task(go_on(f"{run} {number}", port)) for number in range(20)]
                enough = len(answered) + 300
                await until(lambda enough=enough: len(answered) >= enough, "traffic", 60)
                gateway.kill()
                killed_at.append(time.monotonic())
                await asyncio.gather(*callers)
        async with gateway_process(tmp_path, port=port, **env) as gateway:
            for number in range(10):
                answer = await ask(port, f"after {number}")
                answered[answer.request_id] = time.monotonic()
    assert "did not end in order" in gateway.said
    rows = await gateway.rows()
    written = Counter(row["request_id"] for row in rows)
    assert max(written.values()) == 1
    assert all(row["status"] and row["latency_ms"] > 0 and row["hour"] for row in rows)
    lost = {name: at for name, at in answered.items() if name not in written}
    late = [at for at in lost.values() if not any(abs(end - at) < LOST_AT_MOST_SECONDS for end in killed_at)]
    assert not late, f"{len(late)} of {len(lost)} lost rows were older than a moment"
    assert len(rows) + len(lost) <= model.calls, "no row stands for a call that never was"
    if database == "sqlite":
        ledger = sqlite3.connect(tmp_path / "signalbox.sqlite3")
        assert ledger.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        ledger.close()
    left = {"policy.yaml", "tmp", "killed.json"} | ({"signalbox.sqlite3"} if database == "sqlite" else set())
    assert files(tmp_path) == left
    assert not list((tmp_path / "tmp").iterdir())
    assert json.loads((tmp_path / "killed.json").read_text())["in_flight"] > 0


async def test_workers_whose_parent_is_killed_end_too_and_a_new_start_takes_the_port(
    tmp_path: Path, redis_process: Callable[..., RedisServer]
) -> None:
    model, port, redis = Heard("m"), free_port(), redis_process()
    two = ("--workers", "2")
    async with model.serve() as url:
        (tmp_path / "policy.yaml").write_text(POLICY.format(url=url))
        async with gateway_process(tmp_path, *two, port=port, SIGNALBOX_REDIS_URL=redis.url) as gateway:
            await until(lambda: len(list(tmp_path.glob("running-*"))) == 2, "two workers")
            answers = [await ask(port, f"hi {number}") for number in range(8)]
            gateway.kill()
            await until(lambda: not list(tmp_path.glob("running-*")), "the workers' orderly end")
        async with gateway_process(tmp_path, *two, port=port, SIGNALBOX_REDIS_URL=redis.url) as gateway:
            answers += [await ask(port, f"hello {number}") for number in range(8)]
        rows = await gateway.rows()
    assert all(answer.whole for answer in answers)
    assert {row["request_id"] for row in rows} == {answer.request_id for answer in answers}
    assert not (tmp_path / "killed.json").exists(), "no worker was killed"


async def test_a_worker_that_is_killed_is_replaced_and_told_of(
    tmp_path: Path, redis_process: Callable[..., RedisServer]
) -> None:
    model, redis = Heard("m"), redis_process()
    async with model.serve() as url:
        (tmp_path / "policy.yaml").write_text(POLICY.format(url=url))
        async with gateway_process(tmp_path, "--workers", "2", SIGNALBOX_REDIS_URL=redis.url) as gateway:
            await until(lambda: len(list(tmp_path.glob("running-*"))) == 2, "two workers")
            victim = next(name for name in files(tmp_path) if name.startswith("running-"))
            os.kill(int(victim.split("-")[1]), signal.SIGKILL)
            await until(lambda: (tmp_path / "killed.json").exists(), "the next worker to tell of it", 60)
            await until(lambda: len(list(tmp_path.glob("running-*"))) == 2, "two workers again")
            answers = [await ask(gateway.port, f"hi {number}") for number in range(8)]
    assert all(answer.whole for answer in answers)
    assert "did not end in order" in gateway.said


HALF_DONE = """
import asyncio, hashlib, os, signal, sys, time
import sqlalchemy as sa
from router.ledger.store import SqlStore
from router.ledger.tables import artefacts, promotions

async def main(url):
    store = SqlStore(url)
    await store.open()
    async with store.transaction() as connection:
        await store.take_turn(connection)
        kept = {"sha256": "0" * 64, "bytes": b"half an artefact", "created_unix": time.time(), "parent": None,
                "metrics": {}, "report": {}}
        await connection.execute(sa.insert(artefacts).values(kept))
        row = {"action": "promote", "sha256": "0" * 64, "below": None, "by": "nobody", "at_unix": time.time()}
        await connection.execute(sa.insert(promotions).values(row))
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
async def test_a_promotion_that_is_killed_half_way_never_was_and_holds_nobody_up(
    tmp_path: Path, request: pytest.FixtureRequest, database: str
) -> None:
    url = (
        f"sqlite:///{tmp_path / 'ledger.sqlite3'}" if database == "sqlite" else request.getfixturevalue("postgres_url")
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", HALF_DONE, url)
    assert await process.wait() == -signal.SIGKILL
    store = SqlStore(url)
    registry = Registry(store)
    try:
        await store.open()
        assert await registry.current() is None
        assert await registry.list() == ()
        async with asyncio.timeout(10):
            sha256 = await registry.save(b"a whole one", {})
            await registry.promote(sha256, "somebody")
        assert await registry.current() == sha256
    finally:
        await store.aclose()


def files(folder: Path) -> set[str]:
    """What lies in a data folder."""
    return {path.name for path in folder.iterdir()}
