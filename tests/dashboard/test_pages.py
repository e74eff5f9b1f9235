"""What pages say is what the reports say: every figure, every reason, and nothing that somebody smuggled in."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from router.access.keys import Key, KeyRing, digest
from router.domain import Outcome, RuleTrace
from router.ledger import reports
from router.ledger.store import SqlStore
from router.ledger.tally import Tally
from router.ledger.window import read_window
from router.policy.reload import PolicyWatcher
from tests.dashboard.conftest import Parts, app_of, browser
from tests.dashboard.reading import Page, Row
from tests.dashboard.rows import a_day, cached, estimated, failed, fell_back, served, unpriced

SINCE, UNTIL = "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"
SPAN = f"since={SINCE}&until={UNTIL}"
NOON = 1_772_366_400.0
HOSTILE = """</script><script>alert(1)</script>'"><img src=x onerror=alert(1)>{{ 7 * 7 }}&lt;"""


def at_noon(rows: list[Outcome]) -> list[Outcome]:
    """The same rows, around noon of the day that these tests ask about."""
    return [replace(row, at_unix=NOON + number) for number, row in enumerate(rows)]


async def read(visitor: httpx.AsyncClient, address: str, status: int = 200) -> Page:
    answer = await visitor.get(address)
    assert answer.status_code == status, answer.text[:400]
    return Page(answer.text)


def exact(*values: float | None) -> list[str]:
    """Figures as pages hold them; what is unknown has none."""
    return [str(value) for value in values if value is not None]


def cells_of(tally: Tally, total: Tally) -> list[list[str]]:
    known = [tally.spend_usd, tally.baseline_usd, tally.saved_usd]
    share = tally.requests / total.requests
    counted = [tally.requests, share, tally.input_tokens, tally.output_tokens, tally.cache_hits, tally.errors, *known]
    figures = [exact(value) for value in counted]
    return [*figures, exact(tally.unpriced)] if total.unpriced else figures


@pytest.mark.parametrize("address", ["/dashboard", "/dashboard/requests"])
async def test_an_empty_ledger_shows_a_command_to_paste(visitor: httpx.AsyncClient, address: str) -> None:
    page = await read(visitor, address)
    assert "No request in the last 24 hours" in page.text
    assert "curl http://127.0.0.1:8080/v1/chat/completions" in page.text
    assert '"model": "auto"' in page.text
    assert "authorization" not in page.text


async def test_where_keys_are_asked_for_the_command_says_so(parts: Parts) -> None:
    parts.keys = KeyRing([Key("web", "acme", digest("s3cret-key"))])
    async with browser(app_of(parts)) as visitor:
        page = await read(visitor, "/dashboard")
    assert "authorization: Bearer YOUR_KEY" in page.text
    assert "s3cret-key" not in page.text


async def test_an_empty_ledger_shows_no_amounts(visitor: httpx.AsyncClient) -> None:
    page = await read(visitor, "/dashboard")
    assert "$" not in page.text
    assert page.figures["tile-requests"] == ["0"]


async def test_every_figure_of_the_tiles_is_the_reports(visitor: httpx.AsyncClient, store: SqlStore) -> None:
    await store.write(at_noon(a_day(240)))
    page = await read(visitor, f"/dashboard?{SPAN}")
    summary = await reports.summary(store, read_window(SINCE, UNTIL))
    tally = summary.tally
    assert tally.saved_usd is not None and tally.baseline_usd is not None
    assert tally.unpriced and tally.estimated and tally.errors and tally.cache_hits, "the rows hold every kind"
    assert {name: page.figures[f"tile-{name}"] for name in ("requests", "spend", "saved", "cache", "tokens")} == {
        "requests": exact(tally.requests),
        "spend": exact(tally.spend_usd, tally.unpriced, tally.estimated, tally.inner_usd),
        "saved": exact(tally.saved_usd, tally.saved_usd / tally.baseline_usd, tally.baseline_usd),
        "cache": exact(tally.cache_share, tally.cache_hits),
        "tokens": exact(tally.input_tokens, tally.output_tokens),
    }
    assert page.figures["tile-errors"] == exact(tally.errors, tally.errors / tally.requests)
    assert page.figures["tile-latency"] == exact(*astuple(summary.latency_ms))
    assert page.figures["tile-overhead"] == exact(*astuple(summary.overhead_ms))


@pytest.mark.parametrize("by", ["rule", "model", "route", "task", "tenant", "key"])
async def test_every_row_of_a_cost_table_is_the_reports(
    visitor: httpx.AsyncClient, store: SqlStore, by: reports.By
) -> None:
    await store.write(at_noon(a_day(240)))
    page = await read(visitor, f"/dashboard?{SPAN}&by={by}")
    for grouping in {by, "model"}:
        report = await reports.costs(store, read_window(SINCE, UNTIL), grouping)  # type: ignore[arg-type]
        head, *rows = page.rows[f"by-{grouping}"]
        assert head.cells[0] == grouping.capitalize()
        assert [row.cells[0] for row in rows] == [*(row.key or f"no {grouping}" for row in report.rows), "Total"]
        tallies = [*(row.tally for row in report.rows), report.total]
        assert [row.figures[1:] for row in rows] == [cells_of(tally, report.total) for tally in tallies]


async def test_the_charts_table_is_the_reports(visitor: httpx.AsyncClient, store: SqlStore) -> None:
    await store.write(at_noon(a_day(60)))
    page = await read(visitor, f"/dashboard?{SPAN}")
    points = await reports.spend_over_time(store, read_window(SINCE, UNTIL), "hour")
    assert [(row.cells[1], row.figures[2:]) for row in page.rows["chart-table"][1:]] == [
        (
            point.model or "no model",
            [exact(point.tally.requests), exact(point.tally.spend_usd), exact(point.tally.unpriced or None)],
        )
        for point in points
    ]


async def test_an_unknown_price_is_never_a_zero(visitor: httpx.AsyncClient, store: SqlStore) -> None:
    await store.write(at_noon([unpriced(1, 0), unpriced(2, 0)]))
    page = await read(visitor, f"/dashboard?{SPAN}")
    assert page.figures["tile-spend"] == ["2"]
    assert "Spend unknown 2 of unknown price" in page.text
    assert "$0" not in page.text
    row = page.rows["by-model"][1]
    assert row.cells[7:10] == ["unknown", "unknown", "unknown"]
    listed = await read(visitor, f"/dashboard/requests?{SPAN}")
    assert "unknown" in listed.rows["list"][1].cells[9]


async def test_what_is_known_beside_the_unknown_is_called_a_least(visitor: httpx.AsyncClient, store: SqlStore) -> None:
    await store.write(at_noon([served(1, 0), unpriced(2, 0)]))
    page = await read(visitor, f"/dashboard?{SPAN}")
    assert "Spend at least $" in page.text
    assert "1 of unknown price, not counted." in page.text


async def test_figures_on_estimated_usage_are_marked(
    visitor: httpx.AsyncClient, store: SqlStore, a_request_url: Callable[[Any], str]
) -> None:
    sure, guess = at_noon([served(1, 0), estimated(2, 0)])
    await store.write([sure, guess])
    page = await read(visitor, f"/dashboard?{SPAN}")
    assert "Usage of 1 estimated." in page.text
    by_model = {row.cells[0]: row for row in page.rows["by-model"]}
    assert "est." in by_model["large"].cells[7]
    assert "est." not in by_model["small"].cells[7]
    assert "est." in (await read(visitor, a_request_url(guess))).text
    assert "est." not in (await read(visitor, a_request_url(sure))).text


async def test_spans_and_groupings_are_links_that_keep_each_other(visitor: httpx.AsyncClient) -> None:
    page = await read(visitor, "/dashboard?since=7d&by=task")
    assert "/dashboard?since=30d&by=task" in page.links
    assert "/dashboard?since=7d&by=tenant" in page.links
    current = [named["href"] for tag, named in page.tags if tag == "a" and named.get("aria-current") == "true"]
    assert current == ["/dashboard?since=7d&by=task", "/dashboard?since=7d&by=task"]


@pytest.mark.parametrize(
    ("query", "word"),
    [("since=yesterday", "since"), ("since=1d&until=2d", "since"), ("by=colour", "by"), ("by=day", "by")],
)
async def test_an_address_that_makes_no_sense_is_told_so(visitor: httpx.AsyncClient, query: str, word: str) -> None:
    page = await read(visitor, f"/dashboard?{query}", 400)
    assert "This address makes no sense" in page.text
    assert word in page.text


@pytest.mark.parametrize("query", ["status=abc", "status=٢٠٠", "outcome=fine", "cache=maybe", "cursor=%FF", "cursor=x"])
async def test_a_filter_that_makes_no_sense_is_told_so(visitor: httpx.AsyncClient, query: str) -> None:
    await read(visitor, f"/dashboard/requests?{query}", 400)


async def test_pages_of_requests_show_each_once(visitor: httpx.AsyncClient, store: SqlStore) -> None:
    rows = at_noon([served(number, 0) for number in range(1, 124)])
    await store.write(rows)
    seen: list[str] = []
    address = f"/dashboard/requests?{SPAN}"
    for expected in (50, 50, 23):
        page = await read(visitor, address)
        found = [link.rpartition("/")[2] for link in page.links if link.startswith("/dashboard/requests/req_")]
        assert len(found) == expected
        seen += found
        older = [named["href"] for tag, named in page.tags if tag == "a" and named.get("rel") == "next"]
        address = older[0] or "" if older else ""
    assert seen == [row.request_id for row in reversed(rows)]
    assert not address


async def test_filters_stand_in_the_address_and_in_the_form(visitor: httpx.AsyncClient, store: SqlStore) -> None:
    await store.write(at_noon([served(1, 0), cached(2, 0), failed(3, 0), *fell_back(4, 0)]))
    for query, expected in (
        ("model=large", 2), ("cache=hit", 1), ("status=502", 1), ("outcome=upstream_error", 1), ("rule=easy", 2),
        ("tenant=globex", 1), ("key=web&model=small", 1), ("rule=nothing+of+the+kind", 0),
    ):  # fmt: skip
        page = await read(visitor, f"/dashboard/requests?{SPAN}&{query}")
        assert len(page.rows["list"][1:]) == expected, query
    page = await read(visitor, f"/dashboard/requests?{SPAN}&rule=easy&cache=miss")
    assert any(named.get("name") == "rule" and named.get("value") == "easy" for _, named in page.tags)
    assert any(tag == "option" and named.get("value") == "miss" and "selected" in named for tag, named in page.tags)


async def test_an_overviews_row_leads_to_its_requests(visitor: httpx.AsyncClient, store: SqlStore) -> None:
    await store.write(at_noon([served(1, 0, rule="a & b / c"), served(2, 0)]))
    page = await read(visitor, f"/dashboard?{SPAN}")
    link = next(link for link in page.links if "rule=a+" in link)
    assert len((await read(visitor, link)).rows["list"]) == 1 + 1


async def test_a_requests_page_says_why(
    visitor: httpx.AsyncClient, store: SqlStore, a_request_url: Callable[[Any], str]
) -> None:
    row = at_noon([served(5, 0, complexity=0.21)])[0]
    await store.write([row])
    await store.add_label(row.request_id, row.tenant, "web", "user", 0.25, comment="too short")
    page = await read(visitor, a_request_url(row))
    for words in (
        row.request_id, "Answered by small.", "The rule “easy” chose small: complexity 0.21 meets",
        "What was asked", "1 tool, JSON schema", "no : the context of 4,096 tokens is too short",
        "matched easy", "no match private stays local nothing private was found", "demo@3f9a1c02b7de",
        "fast@9c41d2e07a55", "prices from the policy", "too short", "Fallback large", "small-1",
    ):  # fmt: skip
        assert words in page.text, words
    assert row.cost_nano is not None and row.baseline_nano is not None and row.always_small_nano is not None
    assert page.figures["cost"][-3:] == exact(row.cost_nano / 1e9, row.baseline_nano / 1e9, row.always_small_nano / 1e9)


async def test_a_fallbacks_page_shows_the_call_that_failed(
    visitor: httpx.AsyncClient, store: SqlStore, a_request_url: Callable[[Any], str]
) -> None:
    row, call = at_noon(fell_back(7, 0))
    await store.write([row, call])
    page = await read(visitor, a_request_url(row))
    assert "Answered by large, after small had failed." in page.text
    attempt = page.rows["attempts"][1]
    assert attempt.cells[1:5] == ["attempt", "small", "504 upstream error", "upstream_timeout"]
    assert attempt.figures[5] == ["5012.4"]
    inner = await read(visitor, a_request_url(call))
    assert a_request_url(row) in inner.links


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rule": "pinned"}, "The caller named small outright"),
        ({"rule": "default"}, "No rule matched"),
        ({"rule": "degraded"}, "A part that rules need was lost"),
        ({"rule": "", "model": None, "decided_model": None, "outcome": "caller_error", "ask": {}}, "before a rule"),
        ({"outcome": "client_closed", "status": 499}, "The caller left before small had finished."),
    ],
)
async def test_every_way_to_decide_has_its_words(
    visitor: httpx.AsyncClient,
    store: SqlStore,
    a_request_url: Callable[[Any], str],
    change: dict[str, Any],
    words: str,
) -> None:
    row = replace(at_noon([served(5, 0)])[0], **change)
    await store.write([row])
    assert words in (await read(visitor, a_request_url(row))).text


async def test_a_bare_row_has_a_page_too(
    visitor: httpx.AsyncClient, store: SqlStore, a_request_url: Callable[[Any], str]
) -> None:
    row = Outcome("req_bare", NOON, "default", "none", status=500, outcome="gateway_error")
    await store.write([row])
    assert "our own fault" in (await read(visitor, a_request_url(row))).text
    assert (await read(visitor, f"/dashboard?{SPAN}")).rows["by-rule"][1].cells[0] == "no rule"


async def test_an_unknown_request_is_a_404_with_a_way_back(visitor: httpx.AsyncClient) -> None:
    page = await read(visitor, "/dashboard/requests/req_nobody", 404)
    assert "No such request" in page.text
    assert "req_nobody" in page.text
    assert "/dashboard/requests" in page.links


async def test_other_addresses_lead_to_a_page_too(visitor: httpx.AsyncClient) -> None:
    assert "No such page" in (await read(visitor, "/dashboard/cost", 404)).text
    for address in ("/", "/dashboard/"):
        answer = await visitor.get(address)
        assert (answer.status_code, answer.headers["location"]) == (307, "/dashboard")


async def test_nothing_that_callers_send_becomes_markup(
    visitor: httpx.AsyncClient, store: SqlStore, a_request_url: Callable[[Any], str]
) -> None:
    row = replace(
        at_noon([served(1, 0)])[0],
        tenant=HOSTILE, key=HOSTILE, rule=HOSTILE, model=HOSTILE, decided_model=HOSTILE, route=HOSTILE, task=HOSTILE,
        caller_request_id=HOSTILE, conversation=HOSTILE, finish_reason=HOSTILE, upstream_model=HOSTILE,
        eligible={HOSTILE: HOSTILE}, rules=(RuleTrace(HOSTILE, True, f"`{HOSTILE}`"),), fallback=(HOSTILE,),
        ask={"task": HOSTILE, "private": [HOSTILE]}, request_text=HOSTILE, response_text=HOSTILE,
    )  # fmt: skip
    await store.write([row])
    await store.add_label(row.request_id, HOSTILE, HOSTILE, "user", 1.0, comment=HOSTILE)
    for address in (a_request_url(row), f"/dashboard?{SPAN}", f"/dashboard/requests?{SPAN}",
                    "/dashboard/requests?rule=" + httpx.QueryParams(q=HOSTILE)["q"].replace("&", "%26"),
                    "/dashboard/requests/" + HOSTILE.replace("/", "")):  # fmt: skip
        answer = await visitor.get(address)
        page = Page(answer.text)
        shown = page.text + " ".join(value or "" for _, named in page.tags for value in named.values())
        assert "alert(1)" in shown, "the text itself is there"
        assert not [tag for tag, _ in page.tags if tag == "img"]
        assert all("src" in script or script.get("type") == "application/json" for script in page.scripts)
        assert "49" not in shown.split("alert(1)")[1][:40], "no template inside a value"


async def test_pages_hold_nothing_that_their_policy_refuses(visitor: httpx.AsyncClient, store: SqlStore) -> None:
    row = at_noon([served(1, 0)])[0]
    await store.write([row])
    for address in (
        f"/dashboard?{SPAN}",
        f"/dashboard/requests?{SPAN}",
        f"/dashboard/requests/{row.request_id}",
        "/docs",
    ):
        page = await read(visitor, address)
        for tag, named in page.tags:
            assert tag != "style" and "style" not in named, (address, tag)
            assert not [name for name in named if name.startswith("on")]
            for name in ("src", "href", "action"):
                where = named.get(name) or "/"
                assert where.startswith(("/", "#", "data:image/")) and not where.startswith("//"), where
        assert all(script.get("src") or script.get("type") == "application/json" for script in page.scripts)


async def test_pages_name_their_parts_for_those_who_cannot_see(visitor: httpx.AsyncClient, store: SqlStore) -> None:
    row = at_noon([served(1, 0)])[0]
    await store.write([row])
    for address in (f"/dashboard?{SPAN}", f"/dashboard/requests?{SPAN}", f"/dashboard/requests/{row.request_id}"):
        page = await read(visitor, address)
        assert [tag for tag, _ in page.tags].count("h1") == 1
        assert [tag for tag, _ in page.tags].count("main") == 1
        ids = [named["id"] for _, named in page.tags if named.get("id")]
        assert len(ids) == len(set(ids))
        assert all(named["aria-labelledby"] in ids for _, named in page.tags if "aria-labelledby" in named)
        assert all("datetime" in named for tag, named in page.tags if tag == "time")


async def test_only_the_demos_policy_is_called_simulated(
    store: SqlStore, policy_named: Callable[[str], PolicyWatcher]
) -> None:
    for name, simulated in (("demo", True), ("default", False), ("demolition", False)):
        async with browser(app_of(Parts(store, policy_named(name)))) as visitor:
            assert ("SIMULATED" in (await read(visitor, "/dashboard")).text) is simulated


async def test_a_policy_file_that_cannot_be_used_is_shown(parts: Parts, visitor: httpx.AsyncClient) -> None:
    parts.policy.path.write_text("version: <b>1</b>\n")
    assert not parts.policy.poll()
    page = await read(visitor, "/dashboard")
    assert "The policy file as it is now cannot be used" in page.text
    assert parts.policy.current.label in page.text


async def test_rows_that_could_not_be_written_are_confessed(parts: Parts, visitor: httpx.AsyncClient) -> None:
    assert "too low" not in (await read(visitor, "/dashboard")).text
    parts.recorder.dropped = 1_234
    assert "could not write 1,234 ledger rows" in (await read(visitor, "/dashboard")).text


async def test_a_ledger_that_cannot_be_read_is_a_page_too(
    tmp_path: Path, policy_named: Callable[[str], PolicyWatcher]
) -> None:
    away = SqlStore(f"sqlite:///{tmp_path / 'never_opened.sqlite3'}")
    async with browser(app_of(Parts(away, policy_named("default")))) as visitor:
        for address in ("/dashboard", "/dashboard/requests", "/dashboard/requests/x"):
            assert "The ledger is out of reach" in (await read(visitor, address, 503)).text
    await away.aclose()


async def test_the_usual_span_is_the_last_day(visitor: httpx.AsyncClient, store: SqlStore) -> None:
    now = time.time()
    await store.write([served(1, now - 60), served(2, now - 3 * 86_400)])
    assert (await read(visitor, "/dashboard")).figures["tile-requests"] == ["1"]
    assert (await read(visitor, "/dashboard?since=7d")).figures["tile-requests"] == ["2"]


def test_reading_finds_figures_in_cells() -> None:
    page = Page('<section id="a"><table><tr><th>x</th><td><data value="1.5">2</data></td></tr></table></section>')
    assert page.rows["a"] == [Row(["x", "2"], [[], ["1.5"]])]
