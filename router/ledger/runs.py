"""Notes that a gateway runs, so that the next start can tell whether this run ended in order.

A note is a small file in the data folder, locked for as long as its process lives, in whatever way that ends; it is
written anew each second and taken away at an orderly end. So a note that nobody has locked is that of a gateway that
was killed, and says what was unfinished a second before. Nothing here is needed to serve: a folder that cannot be
written to costs the notes alone.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

log = logging.getLogger(__name__)

_PATTERN = "running-*.json"
_KEPT = "killed.json"
_BYTES = 512
"""Of every note: it is written over in place, which a full disk does not hinder."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run, as it last looked at itself. in_flight: requests that it was answering; unwritten: rows that waited."""

    began_unix: float
    seen_unix: float
    in_flight: int
    unwritten: int

    def __str__(self) -> str:
        began, seen = (
            datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
            for at in (self.began_unix, self.seen_unix)
        )
        return (
            f"a gateway that ran from {began} on did not end in order; last seen {seen}, when {self.in_flight} "
            f"requests were being answered and {self.unwritten} rows waited to be written: these may be missing in the "
            "ledger, and what came in the second after"
        )


class RunNote:
    """The note of this process. unfinished: how many requests are being answered, and how many rows wait."""

    def __init__(self, folder: Path, unfinished: Callable[[], tuple[int, int]]):
        self._folder, self._unfinished = folder, unfinished
        self._began = time.time()
        self._path: Path | None = None
        self._file: int | None = None

    async def begin(self) -> None:
        """Says which earlier runs were killed, and begins to note this one."""
        try:
            for killed in await asyncio.to_thread(self._begin):
                log.warning("%s", killed)
        except OSError as error:
            log.info("no note is kept of this run: %s", error.strerror)

    async def poll(self) -> None:
        """Notes how things stand."""
        if self._file is not None:
            try:
                await asyncio.to_thread(self._write, self._file)
            except OSError as error:
                log.debug("the note of this run could not be written: %s", error.strerror)

    async def end(self) -> None:
        """The run ended in order."""
        if self._file is not None and self._path is not None:
            self._path.unlink(missing_ok=True)
            os.close(self._file)
            self._file = None

    def _begin(self) -> list[Run]:
        self._folder.mkdir(parents=True, exist_ok=True)
        killed = [run for path, run in _abandoned(self._folder) if _take_away(path)]
        if killed:
            newest = max(killed, key=lambda run: run.seen_unix)
            (self._folder / _KEPT).write_text(json.dumps(asdict(newest)), "utf-8")
        path = self._folder / f"running-{os.getpid()}-{secrets.token_hex(4)}.json"
        draft = path.with_suffix(".new")  # under its own name only once it is locked: others start at the same time
        file = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._write(file)
            draft.replace(path)
        except OSError:
            os.close(file)
            draft.unlink(missing_ok=True)
            raise
        self._path, self._file = path, file
        return killed

    def _write(self, file: int) -> None:
        run = Run(self._began, time.time(), *self._unfinished())
        os.pwrite(file, json.dumps(asdict(run)).encode().ljust(_BYTES), 0)


def last_killed(folder: Path) -> Run | None:
    """The newest run in this folder that was killed, whether or not another has begun since."""
    found = [run for _, run in _abandoned(folder)]
    if (kept := _read(folder / _KEPT)) is not None:
        found.append(kept)
    return max(found, key=lambda run: run.seen_unix, default=None)


def _abandoned(folder: Path) -> Iterator[tuple[Path, Run]]:
    """Notes whose process is gone."""
    for path in sorted(folder.glob(_PATTERN)):
        try:
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                changed = os.fstat(file.fileno()).st_mtime
        except OSError:  # it lives, or another has just taken it away
            continue
        yield path, _read(path) or Run(changed, changed, 0, 0)


def _take_away(path: Path) -> bool:
    """False where another gateway, starting at the same time, was quicker."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def _read(path: Path) -> Run | None:
    try:
        values = json.loads(path.read_bytes())
        return Run(
            float(values["began_unix"]), float(values["seen_unix"]), int(values["in_flight"]), int(values["unwritten"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
