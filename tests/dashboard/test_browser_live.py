"""In a real Chromium: the list follows what comes, rests while nobody looks, and everything can be saved as a file."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from tests.dashboard.chromium import SPAN, tab, write
from tests.dashboard.conftest import POLICY, Served
from tests.dashboard.rows import estimated, failed, served
from tests.security.process import serving

HIDE = """hidden => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
"""What a browser does when its tab goes behind another; headless ones never do."""


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A gateway with an empty ledger, which tests write to."""
    folder = tmp_path_factory.mktemp("quiet")
    with serving(folder, POLICY) as process:
        yield Served(process.url, folder / "signalbox.sqlite3")


def tails(page: Page) -> list[str]:
    """The addresses that the page asks for what is new, as it asks."""
    asked: list[str] = []

    def hear(request: Request) -> None:
        if "/dashboard/tail" in request.url:
            asked.append(request.url)

    page.on("request", hear)
    return asked


def open_following(page: Page, query: str) -> list[str]:
    """Opens the list as one that follows, and returns what it asks for once it has begun to ask."""
    asked = tails(page)
    page.goto(f"/dashboard/requests?{query}&live=1")
    await_first(page, asked)
    return asked


def await_first(page: Page, asked: list[str]) -> None:
    deadline = time.monotonic() + 15
    while not asked:
        assert time.monotonic() < deadline, "nothing was asked"
        page.wait_for_timeout(50)


def ids(page: Page) -> list[str]:
    found: list[str] = page.locator("#list tbody tr").evaluate_all("rows => rows.map(row => row.dataset.id)")
    return found


def test_new_requests_come_by_themselves_in_order_and_once(chromium: Browser, quiet: Served) -> None:
    now = time.time()
    with tab(chromium, quiet.url) as page:
        page.goto("/dashboard/requests?since=24h")
        expect(page.locator("#nothing")).to_be_visible()
        page.get_by_role("button", name="Follow live").click()
        assert "live=1" in page.url
        write(quiet.database, [served(1, now)])
        expect(page.locator("#list tbody tr")).to_have_count(1, timeout=15_000)
        expect(page.locator("#nothing")).to_have_count(0)
        late = replace(failed(3, now - 30), latency_ms=(time.time() - now + 30) * 1000)
        write(quiet.database, [served(2, time.time()), late])
        expect(page.locator("#list tbody tr")).to_have_count(3, timeout=15_000)
        page.wait_for_timeout(3000)
        assert ids(page) == [served(2, 0).request_id, served(1, 0).request_id, late.request_id], (
            "newest first, each once"
        )
        expect(page.get_by_role("status")).to_contain_text("3 new")
        followed = page.locator("#list tbody").inner_text()
        page.reload()
        expect(page.get_by_role("button", name="Pause")).to_have_attribute("aria-pressed", "true")
        assert page.locator("#list tbody").inner_text() == followed, "as the server's own list has them"


def test_the_list_rests_while_paused_and_while_nobody_looks(chromium: Browser, quiet: Served) -> None:
    with tab(chromium, quiet.url) as page:
        asked = open_following(page, "since=24h")
        page.wait_for_timeout(500)
        page.evaluate(HIDE, True)
        before = len(asked)
        page.wait_for_timeout(3500)
        assert len(asked) == before, "nothing is asked behind the scenes"
        page.evaluate(HIDE, False)
        page.wait_for_timeout(1000)
        assert len(asked) > before
        button = page.get_by_role("button", name="Pause")
        button.focus()
        page.keyboard.press("Space")
        expect(page.get_by_role("button", name="Follow live")).to_have_attribute("aria-pressed", "false")
        assert "live" not in page.url
        page.wait_for_timeout(500)
        before = len(asked)
        page.wait_for_timeout(3500)
        assert len(asked) == before


def test_following_keeps_to_the_filters(chromium: Browser, quiet: Served) -> None:
    with tab(chromium, quiet.url) as page:
        asked = open_following(page, "since=24h&model=large")
        assert "/dashboard/tail?model=large&after=" in asked[0]
        before = ids(page)
        now = time.time()
        write(quiet.database, [served(11, now), served(12, now, model="large")])
        expect(page.locator("#list tbody tr")).to_have_count(len(before) + 1, timeout=15_000)
        assert ids(page)[0] == served(12, 0).request_id


def test_a_gateway_that_is_gone_is_said_and_asked_again(chromium: Browser, quiet: Served) -> None:
    with tab(chromium, quiet.url, complaints=("ERR_FAILED",)) as page:
        open_following(page, "since=24h")
        page.route("**/dashboard/tail?**", lambda route: route.abort())
        expect(page.get_by_role("status")).to_contain_text("does not answer", timeout=15_000)
        page.unroute("**/dashboard/tail?**")
        expect(page.get_by_role("status")).not_to_contain_text("does not answer", timeout=20_000)


def test_a_session_that_has_ended_stops_the_following(chromium: Browser, tmp_path: Path) -> None:
    with serving(tmp_path, POLICY, SIGNALBOX_ADMIN_KEY="boss") as process:
        with tab(chromium, process.url, complaints=("401 (Unauthorized)",)) as page:
            asked = tails(page)
            page.goto("/dashboard/requests?live=1")
            page.get_by_label("Admin key").fill("boss")
            page.keyboard.press("Enter")
            await_first(page, asked)
            [cookie] = page.context.cookies()
            assert cookie["httpOnly"]
            assert cookie["sameSite"] == "Strict"
            page.context.clear_cookies()
            expect(page.get_by_role("status")).to_contain_text("sign in again", timeout=15_000)
            expect(page.get_by_role("button", name="Follow live")).to_be_visible()


@pytest.mark.parametrize(
    ("query", "where"), [("", "1"), ("&model=large&usage=counted", "model = 'large' AND NOT usage_estimated")]
)
def test_the_list_is_saved_whole_under_the_pages_filters(
    chromium: Browser, served_day: Served, query: str, where: str
) -> None:
    expected = served_day.sql(
        "SELECT request_id, cost_nano / 1e9 FROM outcomes WHERE purpose = 'chat' AND at_unix < 1772409600 "
        f"AND {where} ORDER BY at_unix DESC, request_id DESC"
    )
    with tab(chromium, served_day.url) as page:
        page.goto(f"/dashboard/requests?{SPAN}{query}")
        for format in ("CSV", "JSON"):
            with page.expect_download() as saving:
                page.get_by_role("link", name=f"Save these requests as {format}").click()
            assert saving.value.suggested_filename == f"signalbox-requests.{format.lower()}"
            text = Path(saving.value.path()).read_text("utf-8")
            if format == "CSV":
                lines = list(csv.DictReader(io.StringIO(text, newline="")))
                found = [(line["request_id"], float(line["cost_usd"]) if line["cost_usd"] else None) for line in lines]
            else:
                found = [(row["request_id"], row["cost_usd"]) for row in json.loads(text)["rows"]]
            assert found == expected
            assert query or len(found) > 300


def test_the_cost_table_is_saved_as_it_stands(chromium: Browser, served_day: Served) -> None:
    with tab(chromium, served_day.url) as page:
        page.goto(f"/dashboard?{SPAN}&by=task&sort=-requests&tenant=acme")
        for by in ("task", "model"):
            shown = page.locator(f"#by-{by} tbody th").all_inner_texts()
            with page.expect_download() as saving:
                page.get_by_role("link", name=f"Save costs by {by} as CSV").click()
            text = Path(saving.value.path()).read_text("utf-8")
            lines = list(csv.DictReader(io.StringIO(text, newline="")))
            assert [line["key"] or f"no {by}" for line in lines] == shown
            requests = page.locator(f"#by-{by} tbody td:nth-child(2) data").evaluate_all("all => all.map(d => d.value)")
            assert [line["requests"] for line in lines] == requests


def test_what_is_estimated_is_marked_in_rows_that_come_live(chromium: Browser, quiet: Served) -> None:
    with tab(chromium, quiet.url) as page:
        open_following(page, "since=24h&usage=estimated")
        write(quiet.database, [estimated(21, time.time())])
        expect(page.locator("#list tbody tr").first).to_contain_text("est.", timeout=15_000)
