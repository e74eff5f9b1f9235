"""Whatever befalls the ledger's database, chats go on, and every row is there in the end or was counted as dropped."""

from __future__ import annotations

import asyncio
import resource
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from router.domain import Outcome
from router.ledger.recorder import Recorder
from router.ledger.tables import VERSION_TABLE
from tests.faults.models import Heard
from tests.faults.process import APART, gateway_process, start
from tests.faults.scene import POOL, scene, until
from tests.faults.traffic import POLICY, chats, steady_chats
from tests.ledger.outcomes import an_outcome
from tests.servers import PostgresServer

HOLDER = """
import sqlite3, sys
ledger = sqlite3.connect(sys.argv[1], isolation_level=None)
ledger.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


async def test_chats_go_on_while_another_process_has_sqlite_locked(tmp_path: Path) -> None:
    model = Heard("m")
    async with model.serve() as url, scene(tmp_path, POLICY.format(url=url), model) as built:
        recorder = built.gateway.gateway.recorder
        await chats(built, 4, "before")
        await until(lambda: recorder.written == 4, "the first rows")
        holder = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", HOLDER, str(tmp_path / "signalbox.sqlite3")),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert holder.stdout is not None
        assert await holder.stdout.readline() == b"locked\n"
        feedback = {"request_id": built.answers[-1].headers["x-request-id"], "thumb": "up"}
        opinion = asyncio.create_task(built.gateway.post("/v1/feedback", feedback))
        await chats(built, 12, "locked")
        await until(lambda: recorder.state == "degraded", "the lock to be noticed")
        assert (await built.gateway.get("/readyz"))["database"] == "degraded"
        assert (await opinion).status_code == 503
        assert (recorder.written, recorder.waiting) == (4, 12)
        await holder.communicate(b"")
        await until(lambda: recorder.state == "ok", "a ledger that is well again")
        assert (recorder.written, recorder.dropped) == (16, 0)


async def test_chats_go_on_while_the_disk_is_full(tmp_path: Path) -> None:
    """Simulated: the process may not make any file larger, so the write-ahead log cannot grow."""
    model = Heard("m")
    async with model.serve() as url:
        (tmp_path / "policy.yaml").write_text(POLICY.format(url=url))
        async with gateway_process(tmp_path) as gateway:
            assert (await gateway.ask("before")).status_code == 200
            await gateway.until_ready(database="ok")
            full = (tmp_path / "signalbox.sqlite3-wal").stat().st_size
            gateway.limit(resource.RLIMIT_FSIZE, full)
            asked = 1
            while (await gateway.ready())["database"] == "ok":
                assert (await gateway.ask(f"full {asked}")).status_code == 200
                asked += 1
                assert asked < 1000
            for _ in range(20):
                assert (await gateway.ask(f"full {asked}")).status_code == 200
                asked += 1
            gateway.limit(resource.RLIMIT_FSIZE, resource.RLIM_INFINITY)
            await gateway.until_ready(database="ok")
            await gateway.add_up(asked, model)


def may_mount() -> bool:
    """Does this system let anybody mount a file system for one process?"""
    if shutil.which(APART[0]) is None:
        return False
    tried = subprocess.run([*APART, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=False, capture_output=True)
    return tried.returncode == 0


@pytest.mark.skipif(not may_mount(), reason="this system lets nobody mount a file system")
async def test_chats_go_on_while_a_real_disk_is_full(tmp_path: Path) -> None:
    """The ledger lies on a file system of four megabytes that only the gateway sees, and a ballast fills it up."""
    model, disk = Heard("m"), tmp_path / "disk"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size=4m tmpfs {shlex.quote(str(disk))}"
    async with model.serve() as url:
        (tmp_path / "policy.yaml").write_text(POLICY.format(url=url))
        ledger = f"sqlite:///{disk / 'ledger.sqlite3'}"
        async with gateway_process(tmp_path, before=mount, apart=True, SIGNALBOX_DATABASE_URL=ledger) as gateway:
            seen = Path(f"/proc/{gateway.pid}/root{disk}")
            assert (await gateway.ask("before")).status_code == 200
            with pytest.raises(OSError, match="No space left"), (seen / "ballast").open("wb", buffering=0) as ballast:
                while True:
                    ballast.write(bytes(4096))
            asked = 1
            while (await gateway.ready())["database"] == "ok":
                assert (await gateway.ask(f"full {asked}")).status_code == 200
                asked += 1
                assert asked < 1000
            for _ in range(20):
                assert (await gateway.ask(f"full {asked}")).status_code == 200
                asked += 1
            (seen / "ballast").unlink()
            await gateway.until_ready(database="ok")
            await gateway.until_all_is_written()
            gateway.database_url = f"sqlite:///{copied(seen, tmp_path / 'copy') / 'ledger.sqlite3'}"
            await gateway.add_up(asked, model)


def copied(ledger: Path, folder: Path) -> Path:
    """A ledger's files as they are, where SQLite finds them: it takes the ways into other processes for its own."""
    folder.mkdir()
    for file in ledger.glob("ledger*"):
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


async def test_chats_go_on_while_postgres_is_down_and_comes_back(
    tmp_path: Path, postgres_process: PostgresServer
) -> None:
    # The tests' server answers before it has written, and so would lose the last rows: not here.
    database, model = postgres_process.create_database() + "?synchronous_commit=on", Heard("m")
    async with model.serve() as url:
        async with scene(tmp_path, POLICY.format(url=url), model, pools=POOL, database_url=database) as built:
            recorder = built.gateway.gateway.recorder
            async with steady_chats(built):
                await until(lambda: recorder.written > 4, "the first rows")
                await asyncio.to_thread(postgres_process.kill)
                await until(lambda: recorder.state == "degraded", "the loss to be noticed")
                await chats(built, 20, "without")
                await asyncio.to_thread(postgres_process.start)
                await until(lambda: recorder.state == "ok", "a ledger that is well again")
            assert recorder.dropped == 0


async def test_chats_go_on_where_postgres_is_down_at_the_start_and_comes_later(
    tmp_path: Path, postgres_process: PostgresServer
) -> None:
    database, model = postgres_process.create_database(), Heard("m")
    await asyncio.to_thread(postgres_process.kill)
    async with model.serve() as url:
        async with scene(tmp_path, POLICY.format(url=url), model, pools=POOL, database_url=database) as built:
            await chats(built, 8, "without")
            assert (await built.gateway.get("/readyz"))["database"] == "degraded"
            await asyncio.to_thread(postgres_process.start)
            await until(lambda: built.gateway.gateway.recorder.state == "ok", "the database")
            await chats(built, 8, "with")


async def test_chats_go_on_while_postgres_hangs(tmp_path: Path, postgres_process: PostgresServer) -> None:
    database, model = postgres_process.create_database(), Heard("m")
    async with model.serve() as url:
        async with scene(tmp_path, POLICY.format(url=url), model, pools=POOL, database_url=database) as built:
            async with steady_chats(built):
                await until(lambda: built.gateway.gateway.recorder.written > 4, "the first rows")
                postgres_process.pause()
                await chats(built, 20, "hanging")
                postgres_process.resume()


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (f"CREATE TABLE {VERSION_TABLE} (version_num TEXT); INSERT INTO {VERSION_TABLE} VALUES ('9999')", "9999"),
        ("CREATE TABLE customers (name TEXT)", "customers"),
    ],
    ids=["newer", "foreign"],
)
async def test_a_database_that_cannot_be_used_stops_the_start_with_one_line(
    tmp_path: Path, statement: str, said: str
) -> None:
    with sqlite3.connect(tmp_path / "signalbox.sqlite3") as ledger:
        ledger.executescript(statement)
    ledger.close()
    (tmp_path / "policy.yaml").write_text(POLICY.format(url="http://127.0.0.1:1"))
    ended = await refused(tmp_path)
    assert said in ended


async def test_a_file_that_is_no_database_stops_the_start_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "signalbox.sqlite3").write_bytes(b"not a database at all" * 500)
    (tmp_path / "policy.yaml").write_text(POLICY.format(url="http://127.0.0.1:1"))
    assert "not a sound SQLite database" in await refused(tmp_path)


async def refused(folder: Path) -> str:
    """What `serve` says when it does not start: one line, and exit code 2."""
    process = await start(folder)
    _, stderr = await asyncio.wait_for(process.communicate(), 60)
    words = stderr.decode()
    assert process.returncode == 2, words
    assert len(words.strip().splitlines()) == 1, words
    return words


class Odd:
    """A writer that fails twice as no driver should."""

    def __init__(self) -> None:
        self.failures, self.rows = 2, 0

    async def open(self) -> None:
        return None

    async def write(self, batch: Sequence[Outcome]) -> None:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("can't start new thread")
        self.rows += len(batch)


async def test_the_recorder_outlives_errors_that_nobody_foresaw() -> None:
    store = Odd()
    recorder = Recorder(store)
    await recorder.start()
    recorder.record(an_outcome())
    await until(lambda: recorder.state == "degraded", "the error to be noticed")
    await until(lambda: store.rows == 1, "the row")
    assert (recorder.written, recorder.dropped) == (1, 0)
    await until(lambda: recorder.state == "ok", "a ledger that is well again")
    await recorder.drain(10)
