"""A run that did not end in order is told from one that did, and from one that goes on."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import time
from pathlib import Path

import pytest

from router.ledger.runs import Run, RunNote, last_killed

KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from router.ledger.runs import RunNote

async def main(folder):
    note = RunNote(Path(folder), lambda: (7, 3))
    await note.begin()
    await note.poll()
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main(sys.argv[1]))
"""


def kill_one(folder: Path) -> None:
    """A process that notes its run, and is killed."""
    assert subprocess.run([sys.executable, "-c", KILLED, str(folder)], check=False).returncode == -9


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_a_run_that_ended_in_order_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there"
    note = RunNote(folder, lambda: (0, 0))
    await note.poll()
    await note.begin()
    await note.poll()
    assert len(names(folder)) == 1
    assert last_killed(folder) is None, "it runs"
    await note.end()
    await note.poll()
    assert names(folder) == []
    assert last_killed(folder) is None


async def test_a_killed_run_is_told_of_once_and_remembered(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kill_one(tmp_path)
    found = last_killed(tmp_path)
    assert found is not None
    assert (found.in_flight, found.unwritten) == (7, 3)
    assert 0 <= time.time() - found.seen_unix < 60
    caplog.set_level(logging.WARNING)
    notes = [RunNote(tmp_path, lambda: (0, 0)) for _ in range(8)]
    await asyncio.gather(*(note.begin() for note in notes))
    assert [record.getMessage() for record in caplog.records] == [str(found)]
    assert "7 requests" in str(found)
    assert "3 rows" in str(found)
    assert last_killed(tmp_path) == found
    assert len(names(tmp_path)) == 9, "eight that run, and what is remembered"
    await asyncio.gather(*(note.end() for note in notes))
    assert names(tmp_path) == ["killed.json"]
    kill_one(tmp_path)
    newer = last_killed(tmp_path)
    assert newer is not None
    assert newer.seen_unix > found.seen_unix


async def test_a_note_that_was_never_written_is_that_of_a_killed_run_too(tmp_path: Path) -> None:
    (tmp_path / "running-1-00.json").touch()
    (tmp_path / "killed.json").write_text("[]")
    found = last_killed(tmp_path)
    assert isinstance(found, Run)
    assert (found.in_flight, found.unwritten) == (0, 0)


async def test_a_folder_that_cannot_be_written_to_costs_the_note_alone(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    note = RunNote(tmp_path / "file" / "folder", lambda: (0, 0))
    await note.begin()
    await note.poll()
    await note.end()
    assert last_killed(tmp_path / "file" / "folder") is None
