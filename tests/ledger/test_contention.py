"""Several processes on one SQLite file: gateways that write, and a command that reads and promotes."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import sqlalchemy as sa

from router.ledger.registry import Registry
from router.ledger.store import SqlStore
from router.ledger.tables import outcomes

WRITER = """
import asyncio, sys, time
from router.domain import Outcome
from router.ledger.recorder import Recorder
from router.ledger.store import SqlStore

async def main(url, name, rows):
    store = SqlStore(url)
    recorder = Recorder(store)
    await recorder.start()
    for number in range(rows):
        recorder.record(Outcome(f"{name}-{number}", time.time(), "acme", name))
        if number % 10 == 0:
            await recorder.flush()
    await recorder.drain(60)
    await store.aclose()
    print(recorder.written, recorder.dropped)

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


async def test_gateways_and_commands_share_a_file_without_losing_a_row(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    gateways = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            WRITER,
            url,
            name,
            "400",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        for name in ("one", "two", "three")
    ]
    store = SqlStore(url)
    await store.open()
    registry = Registry(store)
    ended = asyncio.gather(*(gateway.communicate() for gateway in gateways))
    promoted = 0
    while not ended.done():
        await registry.promote(await registry.save(str(promoted).encode(), {}), "retrain")
        promoted += 1
        await asyncio.sleep(0.01)
    for out, err in ended.result():
        assert out.split() == [b"400", b"0"], err.decode()
    rows = await store.rows(sa.select(outcomes.c.key, sa.func.count().label("n")).group_by(outcomes.c.key))
    assert {row["key"]: row["n"] for row in rows} == {"one": 400, "two": 400, "three": 400}
    assert len(await registry.history()) == promoted > 0
    await store.aclose()
