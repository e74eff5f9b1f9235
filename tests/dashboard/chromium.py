"""A real Chromium on a real gateway: where the browser is found, and a page that takes down what it complains of."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from router.domain import Outcome
from router.ledger.store import SqlStore
from tests.dashboard.lessons import Lesson, redate, teach
from tests.dashboard.rows import a_day

DAY_START, DAY_END = 1_772_323_200.0, 1_772_409_600.0
"""2026-03-01 in UTC: the stand-in day lies in it whenever the tests run."""
SPAN = "since=2026-03-01T00:00:00Z&until=2026-03-02T00:00:00Z"
EMPTY_SPAN = "since=2020-01-01&until=2020-01-02"

WIDTHS = (390, 1600)


def find_chromium() -> str | None:
    """The program, as distributions name it."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextmanager
def launched(program: str) -> Iterator[Browser]:
    """A browser until the block ends. Its sandbox needs rights that test machines seldom give."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@contextmanager
def tab(browser: Browser, url: str, *, complaints: Sequence[str] = (), **context: Any) -> Iterator[Page]:
    """A page whose addresses begin at `url`. At the end the console must hold nothing but `complaints` (as parts).

    context: as `Browser.new_context` takes it: `viewport`, `color_scheme`, ...
    """
    opened = browser.new_context(base_url=url, **context)
    page = opened.new_page()
    heard: list[str] = []
    page.on("console", lambda said: heard.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: heard.append(str(error)))
    try:
        yield page
    finally:
        opened.close()
    assert [text for text in heard if not any(part in text for part in complaints)] == []


def a_fixed_day(requests: int = 320) -> list[Outcome]:
    """Mixed traffic of one day, now and then of a kind that no gateway has yet."""
    rows = a_day(requests)
    shift = DAY_END - 600 - max(row.at_unix for row in rows)
    rows = [replace(row, at_unix=row.at_unix + shift) for row in rows]
    hits = [row for row in rows if row.cache == "hit"]
    hits[0].cache = "semantic"  # type: ignore[assignment]
    hits[1].cache = "stale"  # type: ignore[assignment]
    return rows


def write(database: Path, rows: Sequence[Outcome]) -> None:
    """Puts rows into a ledger beside the gateway that uses it, as another gateway would."""
    _elsewhere(_write(database, rows))


def write_lessons(database: Path, given: Sequence[Lesson], begin: float, end: float, *, drifted: bool) -> None:
    """Puts audited requests with all that the loop makes of them into a ledger, from one moment to another."""
    _elsewhere(_teach(database, given, drifted))
    redate(database, begin, end)


async def _teach(database: Path, given: Sequence[Lesson], drifted: bool) -> None:
    store = SqlStore(f"sqlite:///{database}")
    await store.open()
    await teach(store, given, drifted=drifted)
    await store.aclose()


async def _write(database: Path, rows: Sequence[Outcome]) -> None:
    store = SqlStore(f"sqlite:///{database}")
    await store.open()
    await store.write(rows)
    await store.aclose()


def _elsewhere(job: Coroutine[Any, Any, None]) -> None:
    """Runs a coroutine in a thread: playwright's own loop occupies this one."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(job)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
