"""In a real Chromium: spans, groups, order, filters, drill-down and the way back, by mouse and by keyboard alone."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.dashboard.chromium import EMPTY_SPAN, SPAN, WIDTHS, tab
from tests.dashboard.conftest import Served

A_REQUEST = "SELECT request_id FROM outcomes WHERE purpose = 'chat' AND model = 'large' LIMIT 1"


def query_of(page: Page) -> dict[str, str]:
    """What stands in the address."""
    return {name: values[-1] for name, values in parse_qs(urlsplit(page.url).query).items()}


def pressed(page: Page, key: str, most: int, until: str) -> bool:
    """Presses a key until what has the focus matches a selector."""
    for _ in range(most):
        page.keyboard.press(key)
        if page.evaluate("selector => document.activeElement.matches(selector)", until):
            return True
    return False


def test_span_and_group_are_chosen_and_stand_in_the_address(chromium: Browser, served_day: Served) -> None:
    with tab(chromium, served_day.url) as page:
        page.goto("/dashboard")
        page.get_by_role("navigation", name="Span of time").get_by_role("link", name="30d").click()
        page.get_by_role("navigation", name="Group costs by").get_by_role("link", name="tenant").click()
        page.wait_for_url("**by=tenant*")
        assert query_of(page) == {"since": "30d", "by": "tenant"}
        page.goto(f"/dashboard?{SPAN}&by=tenant")
        assert page.locator("#by-tenant tbody th").all_inner_texts() == ["acme", "globex"]
        page.go_back()
        assert query_of(page) == {"since": "30d", "by": "tenant"}
        page.go_back()
        assert query_of(page)["by"] == "rule"


def test_filters_go_into_the_address_and_come_off_one_by_one(chromium: Browser, served_day: Served) -> None:
    with tab(chromium, served_day.url) as page:
        page.goto(f"/dashboard?{SPAN}")
        page.get_by_text("Filter and span").click()
        form = page.get_by_role("form", name="Filters")
        form.get_by_label("Model").select_option("large")
        form.get_by_label("Tenant").fill("acme")
        form.get_by_role("button", name="Filter").click()
        asked = query_of(page)
        assert {asked.pop("model"), asked.pop("tenant")} == {"large", "acme"}
        assert set(asked) == {"since", "until", "by"}, "empty fields leave no trace"
        expect(page.locator("#by-model tbody th")).to_have_text(["large"])
        page.get_by_role("navigation", name="Pages").get_by_role("link", name="Requests").click()
        assert query_of(page)["tenant"] == "acme", "filters go along from page to page"
        page.get_by_role("link", name="Remove the filter model large").click()
        assert "model" not in query_of(page)
        page.go_back()
        assert query_of(page)["model"] == "large", "and the way back is open"
        page.get_by_role("link", name="Clear filters").click()
        assert set(query_of(page)) == {"since", "until"}


def test_a_cost_table_is_ordered_by_a_click_on_its_head(chromium: Browser, served_day: Served) -> None:
    with tab(chromium, served_day.url) as page:
        page.goto(f"/dashboard?{SPAN}&by=task")
        head = page.locator("#by-task thead")
        for direction, backwards in (("descending", True), ("ascending", False)):
            head.get_by_role("link", name="Requests").click()
            expect(head.locator("th", has_text="Requests").first).to_have_attribute("aria-sort", direction)
            shown = page.locator("#by-task tbody tr td:nth-child(2) data").evaluate_all(
                "all => all.map(one => +one.value)"
            )
            assert shown == sorted(shown, reverse=backwards)
        head.get_by_role("link", name="Task").click()
        expect(head.locator("th", has_text="Task").first).to_have_attribute("aria-sort", "ascending")
        *names, last = page.locator("#by-task tbody th").all_inner_texts()
        assert names == sorted(names)
        assert last == "no task", "what has no name comes last"
        assert query_of(page)["sort"] == "key"


def test_from_a_row_of_costs_to_one_request_and_back_again(chromium: Browser, served_day: Served) -> None:
    with tab(chromium, served_day.url) as page:
        page.goto(f"/dashboard?{SPAN}")
        page.locator("#by-model").get_by_role("link", name="large").click()
        assert query_of(page)["model"] == "large"
        row = page.locator("#list tbody tr").first
        name = row.get_attribute("data-id")
        row.get_by_role("link").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(name or "")
        assert "Answered by" in page.inner_text("main") or "Ended in" in page.inner_text("main")
        page.get_by_role("link", name="Requests").last.click()
        assert query_of(page)["model"] == "large", "the crumb leads back to the list that was left"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (f"/dashboard?{EMPTY_SPAN}", "No request in"),
        (f"/dashboard?{EMPTY_SPAN}&model=large", "Nothing matches"),
        (f"/dashboard/requests?{EMPTY_SPAN}", "No request in"),
        (f"/dashboard/requests?{SPAN}&rule=nobody", "Nothing matches"),
    ],
)
def test_where_there_is_nothing_the_page_says_what_to_do(
    chromium: Browser, served_day: Served, address: str, words: str
) -> None:
    with tab(chromium, served_day.url) as page:
        page.goto(address)
        expect(page.locator(".empty")).to_contain_text(words)
        assert page.locator(".empty pre, .empty a.button").count() == 1
        assert "$" not in page.inner_text("main")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "address",
    [f"/dashboard?{SPAN}&by=tenant&model=large", f"/dashboard/requests?{SPAN}&tenant=acme", f"/dashboard?{EMPTY_SPAN}",
     "/dashboard/requests/REQUEST", "/dashboard/nothing", "/docs"],
)  # fmt: skip
def test_no_page_is_wider_than_its_window(
    chromium: Browser, served_day: Served, width: int, scheme: str, address: str
) -> None:
    address = address.replace("REQUEST", served_day.sql(A_REQUEST)[0][0])
    view = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
    with tab(chromium, served_day.url, complaints=("404 (Not Found)",), **view) as page:
        page.goto(address)
        if page.locator(".chart:not(p)").count():
            page.wait_for_selector("#chart-requests .main-svg")
        page.evaluate("() => document.querySelectorAll('details').forEach(one => { one.open = true })")
        assert page.evaluate("document.documentElement.scrollWidth") == width
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (dark == "rgb(13, 16, 21)") is (scheme == "dark")


def test_the_keyboard_alone_suffices(chromium: Browser, served_day: Served) -> None:
    with tab(chromium, served_day.url) as page:
        page.goto(f"/dashboard?{SPAN}&by=task")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to content"
        expect(page.locator(".skip")).to_be_in_viewport()
        page.keyboard.press("Enter")
        assert pressed(page, "Tab", 3, "nav[aria-label='Span of time'] a"), "the skip link leads past the head"
        # Order a table.
        assert pressed(page, "Tab", 60, "#by-task th[aria-sort] a")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile("sort="))
        assert query_of(page)["sort"] == "key"
        # Filter.
        page.goto(f"/dashboard/requests?{SPAN}")
        assert pressed(page, "Tab", 30, "details.filter-card > summary")
        page.keyboard.press("Enter")
        assert pressed(page, "Tab", 2, "select[name=model]")
        page.keyboard.type("lar")
        assert pressed(page, "Tab", 20, "form.filters button")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile("model=large"))
        # Open a request, and go back.
        assert pressed(page, "Tab", 60, "#list tbody a")
        name = page.evaluate("document.activeElement.title")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(name))
        assert pressed(page, "Tab", 12, ".crumbs a")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile("model=large"))


@pytest.mark.parametrize("address", [f"/dashboard?{SPAN}&model=large", f"/dashboard/requests?{SPAN}&model=large"])
def test_whatever_has_the_focus_can_be_seen_to_have_it(chromium: Browser, served_day: Served, address: str) -> None:
    with tab(chromium, served_day.url) as page:
        page.goto(address)
        seen = 0
        while True:
            page.keyboard.press("Tab")
            ring = page.evaluate("""() => {
              const one = document.activeElement, style = getComputedStyle(one), box = one.getBoundingClientRect();
              if (one === document.body) return null;
              return [style.outlineStyle, parseFloat(style.outlineWidth), box.width * box.height, one.outerHTML];
            }""")
            if ring is None:
                break
            seen += 1
            assert ring[0] != "none", ring
            assert ring[1] >= 1, ring
            assert ring[2] > 0, ring
            assert seen < 400
        assert seen > 30


def test_without_a_script_the_pages_say_all_the_same(chromium: Browser, served_day: Served) -> None:
    with tab(chromium, served_day.url, java_script_enabled=False) as page:
        page.goto(f"/dashboard?{SPAN}")
        assert "Charts need JavaScript" in page.inner_text("main")
        assert page.locator("#chart-table tbody tr").count() > 20
        page.goto(f"/dashboard/requests?{SPAN}")
        expect(page.locator("#follow")).to_be_hidden()
