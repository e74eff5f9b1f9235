"""In a real Chromium: every number that a page shows is what plain SQL says, and is rounded as it should be."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.dashboard.chromium import DAY_END, DAY_START, SPAN, tab
from tests.dashboard.conftest import Served
from tests.dashboard.truth import Truth

FIGURES = """() => [...document.querySelectorAll('main data')].map(one => ({
  place: one.closest('[id]').id, value: Number(one.value), text: one.textContent}))"""

REST = """() => {
  const copy = document.querySelector('main').cloneNode(true);
  copy.querySelectorAll('data, time, form, nav, .segments, .chips, .chart, script, a.mono, .badge, h1.mono')
    .forEach(one => one.remove());
  return copy.textContent;
}"""
"""What is left of a page without its figures, times, ids, forms and pictures."""

SAYINGS = ("p50", "p95", "p99", "at a price of 0 counts as 0", "litellm 1.106.2 (installed 2026-11-02)",
           "2026-03-01T00:00:00Z to 2026-03-02T00:00:00Z")  # fmt: skip
"""Digits that are no figures."""

BARS = """id => Object.fromEntries(document.querySelector(`#chart-${id} .js-plotly-plot`).data
  .map(bars => [bars.name, Object.fromEntries(bars.x.map((x, number) => [x, bars.y[number]]))]))"""


def figures(page: Page) -> tuple[dict[str, list[float]], list[dict[str, Any]]]:
    """The exact figures by the nearest id around them, in order; and all of them with their texts."""
    found = page.evaluate(FIGURES)
    places: dict[str, list[float]] = {}
    for one in found:
        places.setdefault(one["place"], []).append(one["value"])
    return places, found


def close(found: Any, expected: Any) -> bool:
    """Equal but for the last bits of sums in floating point."""
    return bool(found == pytest.approx(expected, rel=1e-12, abs=1e-15))


def half_a_unit(text: str) -> tuple[float, float]:
    """What a rounded figure says, and half a unit of its last place, in the figure's own unit."""
    if minutes := re.fullmatch(r"(\d+) min (\d+) s", text):
        return (60 * int(minutes[1]) + int(minutes[2])) * 1000.0, 500.0
    match = re.fullmatch(r"(<|−)?\$?([\d,]+(?:\.(\d+))?)( ms| s|%)?", text)
    assert match, f"no figure: {text!r}"
    scale = {" s": 1000.0, "%": 0.01}.get(match[4] or "", 1.0)
    sign = -1 if match[1] == "−" else 1
    return sign * float(match[2].replace(",", "")) * scale, 0.5 * 10 ** -len(match[3] or "") * scale


def assert_rounded(one: dict[str, Any]) -> None:
    """A text says what its figure is, as nearly as its places allow; shares next to 0 and 1 are said with care."""
    if one["text"] in ("<0.1%", "$0.00") or 0.99 < abs(one["value"]) < 1:
        return
    said, half = half_a_unit(one["text"])
    assert abs(said - one["value"]) <= half * (1 + 1e-9), one


def assert_no_other_digits(page: Page) -> None:
    """Nothing on the page is a number without being one of its figures."""
    rest = page.evaluate(REST)
    for saying in SAYINGS:
        rest = rest.replace(saying, "")
    assert re.findall(r".{0,30}\d.{0,30}", rest) == []


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("", "1"),
        ("&model=large", "model = 'large'"),
        ("&cache=miss&tenant=acme", "cache = 'miss' AND tenant = 'acme'"),
    ],
)
@pytest.mark.parametrize("by", ["rule", "tenant"])
def test_every_number_of_the_overview_is_what_sql_says(
    chromium: Browser, served_day: Served, query: str, where: str, by: str
) -> None:
    truth = Truth(served_day.sql, DAY_START, DAY_END, where)
    with tab(chromium, served_day.url) as page:
        page.goto(f"/dashboard?{SPAN}&by={by}{query}")
        places, found = figures(page)
        expected = {**truth.tiles(), **truth.savings(), "cache": truth.cache(), "chart-table": truth.over_time()}
        if inner := truth.inner():
            expected["inner"] = inner
        else:
            assert "None in" in page.inner_text("#inner")
        note = [truth.one("count(*)", "usage_estimated")] if truth.one("count(*)", "usage_estimated") else []
        for grouping in (by, "model"):
            rows = truth.by(grouping)
            expected[f"by-{grouping}"] = [*(figure for _, cells in rows for figure in cells), *note]
            names = page.locator(f"#by-{grouping} tbody th, #by-{grouping} tfoot th").all_inner_texts()
            assert names == [name for name, _ in rows]
        recent = truth.listed(10)
        expected["recent"] = [figure for _, cells in recent for figure in cells]
        # Outside of any part with a name: what the charts leave out, and how many requests there are in all.
        unpriced = truth.one("count(*)", "cost_nano IS NULL")
        expected["main"] = [*([unpriced] if unpriced else []), truth.one("count(*)", "purpose = 'chat'")]
        expected = {place: values for place, values in expected.items() if values}
        assert places.keys() == expected.keys()
        for place, values in expected.items():
            assert close(places[place], values), (place, places[place], values)
        for one in found:
            assert_rounded(one)
        assert_no_other_digits(page)


def test_the_charts_draw_what_sql_says(chromium: Browser, served_day: Served) -> None:
    truth = Truth(served_day.sql, DAY_START, DAY_END)
    with tab(chromium, served_day.url) as page:
        page.goto(f"/dashboard?{SPAN}")
        page.wait_for_selector("#chart-spend .main-svg")
        page.wait_for_selector("#chart-requests .main-svg")
        for name, what in (("spend", "total(cost_nano) / 1e9"), ("requests", "sum(purpose = 'chat')")):
            drawn, expected = page.evaluate(BARS, name), truth.bars(what)
            assert drawn.keys() == expected.keys()
            for model, bars in expected.items():
                assert close(drawn[model], bars)


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("", "1"),
        ("&priced=no", "cost_nano IS NULL"),
        ("&usage=estimated", "usage_estimated"),
        ("&status=502", "status = 502"),
    ],
)
def test_every_number_of_the_list_is_what_sql_says(
    chromium: Browser, served_day: Served, query: str, where: str
) -> None:
    truth = Truth(served_day.sql, DAY_START, DAY_END, where)
    with tab(chromium, served_day.url) as page:
        page.goto(f"/dashboard/requests?{SPAN}{query}")
        places, found = figures(page)
        rows = truth.listed(50)
        assert page.locator("#list tbody tr").evaluate_all("rows => rows.map(row => row.dataset.id)") == [
            name for name, _ in rows
        ]
        assert close(places["list"], [figure for _, cells in rows for figure in cells])
        assert places["total"] == [truth.one("count(*)", "purpose = 'chat'")]
        assert places.keys() == {"list", "total"}
        for one in found:
            assert_rounded(one)
        assert_no_other_digits(page)


def test_the_counts_of_unpriced_and_estimated_lead_to_as_many_requests(chromium: Browser, served_day: Served) -> None:
    with tab(chromium, served_day.url) as page:
        for note in ("unpriced", "usage"):
            page.goto(f"/dashboard?{SPAN}")
            link = page.locator(f"#note-{note} a")
            said = link.locator("data").get_attribute("value")
            link.click()
            assert page.locator("#total data").get_attribute("value") == said
            assert page.locator("#list tbody tr").count() == int(said or 0)


@pytest.mark.parametrize("kind", ["attempt", "audit", "judge"])
def test_inner_calls_lead_to_their_own_list(chromium: Browser, served_day: Served, kind: str) -> None:
    truth = Truth(served_day.sql, DAY_START, DAY_END)
    with tab(chromium, served_day.url) as page:
        page.goto(f"/dashboard?{SPAN}")
        page.locator("#inner").get_by_role("link", name=kind).click()
        calls = truth.one("count(*)", f"purpose = '{kind}'")
        assert page.locator("#list tbody tr").count() == calls > 0
        assert "inner calls, not requests" in page.inner_text("#total")


def test_every_number_of_one_request_is_what_sql_says(chromium: Browser, served_day: Served) -> None:
    [(name,)] = served_day.sql(
        "SELECT parent_id FROM outcomes WHERE purpose = 'judge' AND at_unix < ? LIMIT 1", DAY_END
    )
    truth = Truth(served_day.sql, DAY_START, DAY_END, f"request_id = '{name}'")
    inner = Truth(served_day.sql, DAY_START, DAY_END, f"parent_id = '{name}'")
    tokens_in, tokens_out = truth.one("uncached_input + cache_read + cache_write"), truth.one("output")
    price = served_day.sql(
        "SELECT json_extract(price, '$.input'), json_extract(price, '$.output') FROM outcomes WHERE request_id = ?",
        name,
    )[0]
    with tab(chromium, served_day.url) as page:
        page.goto(f"/dashboard/requests/{name}")
        places, found = figures(page)
        parts = [tokens_in, tokens_in * price[0] / 1e6, tokens_out, tokens_out * price[1] / 1e6]
        cost, baseline = truth.one("cost_nano") / 1e9, truth.one("baseline_nano") / 1e9
        small = truth.one("always_small_nano") / 1e9
        assert close(places["cost"], [*parts, tokens_in + tokens_out, cost, baseline, small])
        calls = [inner.one("latency_ms", "purpose = 'audit'"), inner.one("cost_nano", "purpose = 'audit'") / 1e9]
        assert close(places["attempts"], [*calls, inner.one("latency_ms", "purpose = 'judge'")])
        for one in found:
            assert_rounded(one)
