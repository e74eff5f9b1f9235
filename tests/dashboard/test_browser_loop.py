"""In a real Chromium: the pages of the learning loop say what SQL says, draw, fit, and need no mouse and no script."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.dashboard.chromium import DAY_END, DAY_START, SPAN, WIDTHS, tab
from tests.dashboard.conftest import Served
from tests.dashboard.test_browser_figures import assert_rounded, close, figures
from tests.dashboard.test_browser_use import pressed, query_of

QUALITY, LEARNING = f"/dashboard/quality?{SPAN}", f"/dashboard/learning?{SPAN}"
PAIRS = f"""
    SELECT o.model = o.baseline_model AS dear, own.score AS own, theirs.score AS theirs,
           o.cost_nano / 1e9 AS cost, a.cost_nano / 1e9 AS other_cost
    FROM outcomes o JOIN outcomes a ON a.parent_id = o.request_id AND a.purpose = 'audit'
    JOIN labels own ON own.request_id = o.request_id AND own.key = 'audit'
    JOIN labels theirs ON theirs.request_id = a.request_id AND theirs.key = 'audit'
    WHERE o.at_unix >= {DAY_START} AND o.at_unix < {DAY_END}
"""


def drawn(page: Page, *charts: str) -> None:
    for chart in charts:
        expect(page.locator(f"#chart-{chart} .main-svg").first).to_be_visible()


def test_quality_and_misroutes_are_what_sql_says(chromium: Browser, taught_day: Served) -> None:
    pairs = taught_day.sql(PAIRS)
    cheap, dear = ([pair for pair in pairs if pair[0] == side] for side in (0, 1))
    bad = [theirs - own for _, own, theirs, *_ in cheap if theirs - own >= 0.2]
    needless = [cost - other for _, own, theirs, cost, other in dear if own - theirs <= 0.05]
    with tab(chromium, taught_day.url) as page:
        page.goto(QUALITY)
        places, found = figures(page)
        assert len(pairs) == 160
        assert close(places["tile-audited"][0], sum(own for _, own, *_ in pairs) / len(pairs))
        assert places["tile-audited"][-1] == len(pairs)
        assert close(places["tile-cheap"], [len(bad) / len(cheap), len(cheap)])
        assert close(places["tile-dear"], [len(needless) / len(dear), len(dear)])
        assert close(places["sum-cheap"][4], sum(bad) / len(cheap))
        assert close(places["sum-dear"][4:], [sum(max(0, usd) for usd in needless), sum(one[3] for one in dear)])
        today = [len(dear) / len(pairs), sum(one[3] for one in pairs) / len(pairs)]
        assert close(places["today"][:2], today)
        for one in found:
            assert_rounded(one)


def test_what_audits_and_judging_cost_is_said_and_leads_to_the_calls(chromium: Browser, taught_day: Served) -> None:
    where = f"at_unix >= {DAY_START} AND at_unix < {DAY_END}"
    with tab(chromium, taught_day.url) as page:
        page.goto(QUALITY)
        for kind in ("audit", "judge"):
            [(calls, cost)] = taught_day.sql(
                f"SELECT count(*), total(cost_nano) / 1e9 FROM outcomes WHERE purpose = '{kind}' AND {where}"
            )
            link = page.locator("#quality-by").get_by_role("link", name=f"{kind} calls")
            expect(link.locator("data")).to_have_attribute("value", str(calls))
            said = page.locator("#quality-by .notes data").evaluate_all("all => all.map(one => +one.value)")
            assert any(close(figure, cost) for figure in said)
        page.locator("#quality-by").get_by_role("link", name="judge calls").click()
        expect(page.locator("#total")).to_contain_text("inner calls, not requests")


def test_the_cost_chart_marks_versions_and_the_table_beside_it_names_them(
    chromium: Browser, taught_day: Served
) -> None:
    with tab(chromium, taught_day.url) as page:
        page.goto(f"/dashboard?{SPAN}")
        drawn(page, "spend")
        legend = page.locator("#chart-spend .legendtext")
        for kind in ("retrained", "promoted", "rolled back"):
            expect(legend.get_by_text(kind, exact=True)).to_be_visible()
        expect(page.locator("#versions tbody tr")).to_have_count(6)
        lines = page.evaluate(
            "document.querySelector('#chart-spend .js-plotly-plot').data.filter(one => one.type === 'scatter')"
            ".map(one => [one.name, one.x.filter(Boolean).length / 2])"
        )
        told = [("retrained", 3), ("promoted", 2), ("rolled back", 1)]
        assert [tuple(one) for one in lines] == told
        page.locator("#versions").get_by_role("link", name="Learning").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Learning")
        expect(page.locator("#versions tbody tr")).to_have_count(6)


def test_groups_and_misroutes_are_a_click_away(chromium: Browser, taught_day: Served) -> None:
    with tab(chromium, taught_day.url) as page:
        page.goto(QUALITY)
        page.get_by_role("navigation", name="Group quality by").get_by_role("link", name="model").click()
        expect(page.locator("#quality-by tbody th").first).to_be_visible()
        expect(page.locator("#h-quality-by")).to_have_text("Quality beside cost, by model")
        assert query_of(page)["by"] == "model"
        link = page.locator("#list-cheap tbody a").first
        name = link.get_attribute("title") or ""
        link.click()
        expect(page.get_by_role("heading", level=1)).to_have_text(name)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("address", [QUALITY, LEARNING, f"/dashboard?{SPAN}"])
def test_no_page_is_wider_than_its_window_and_the_alarm_is_seen(
    chromium: Browser, taught_day: Served, width: int, scheme: str, address: str
) -> None:
    view = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
    with tab(chromium, taught_day.url, **view) as page:
        page.goto(address)
        expect(page.locator("#drift-alarm")).to_be_in_viewport()
        charts = page.locator("div.chart").evaluate_all("all => all.map(one => one.id.replace('chart-', ''))")
        drawn(page, *charts)
        assert charts
        page.evaluate("() => document.querySelectorAll('details').forEach(one => { one.open = true })")
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_without_a_script_every_chart_has_its_table(chromium: Browser, taught_day: Served) -> None:
    with tab(chromium, taught_day.url, java_script_enabled=False) as page:
        page.goto(QUALITY)
        for name, rows in (("curve-table", 44), ("reliability-table", 4)):
            page.locator(f"#{name} summary").click()
            expect(page.locator(f"#{name} table")).to_be_visible()
            assert page.locator(f"#{name} tbody tr").count() >= rows
        page.goto(LEARNING)
        page.locator("#labels-table summary").click()
        expect(page.locator("#labels-table tbody tr").first).to_be_visible()


@pytest.mark.parametrize("address", [QUALITY, LEARNING])
def test_whatever_has_the_focus_is_seen_and_tables_are_reached_by_keyboard(
    chromium: Browser, taught_day: Served, address: str
) -> None:
    with tab(chromium, taught_day.url) as page:
        page.goto(address)
        seen = []
        while len(seen) < 200:
            page.keyboard.press("Tab")
            ring = page.evaluate("""() => {
              const one = document.activeElement, style = getComputedStyle(one);
              if (one === document.body) return null;
              return [style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1,
                      one.getAttribute('aria-label') || one.textContent.trim()];
            }""")
            if ring is None:
                break
            assert ring[0], ring
            seen.append(ring[1])
        regions = page.locator("[role=region]:visible").evaluate_all("all => all.map(one => one.ariaLabel)")
        assert set(regions) <= set(seen), "what scrolls can be scrolled by keyboard"
        assert len(set(regions)) == len(regions), "and each has a name of its own"
        page.goto(address)
        assert pressed(page, "Tab", 60, "details.body > summary")
        page.keyboard.press("Enter")
        expect(page.locator("details.body[open]")).to_have_count(1)


def test_every_table_has_heads_that_say_what_they_head(chromium: Browser, taught_day: Served) -> None:
    with tab(chromium, taught_day.url) as page:
        for address in (QUALITY, LEARNING):
            page.goto(address)
            assert page.locator("main th:not([scope])").count() == 0
            levels = page.locator("main h1, main h2, main h3").evaluate_all("all => all.map(one => +one.tagName[1])")
            assert levels[0] == 1 and set(levels[1:]) == {2}
            for chart in page.locator("div.chart").all():
                assert re.search("the table below says the same", chart.get_attribute("aria-label") or "")
