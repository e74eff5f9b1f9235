"""Charts are figures plotly takes, add up to the reports, and cannot break out of their page."""

from __future__ import annotations

import json
from typing import Any

import httpx
import plotly.graph_objects as go
import pytest

from router.dashboard.charts import NAMED_MOST, NOBODY, OTHERS, requests_figure, series_of, spend_figure
from router.ledger import reports
from router.ledger.store import SqlStore
from router.ledger.summary import SpendPoint
from router.ledger.tally import Tally
from router.ledger.window import Window, read_window
from tests.dashboard.reading import Page
from tests.dashboard.rows import cached, served, unpriced
from tests.dashboard.test_pages import NOON, SINCE, SPAN, UNTIL, a_day, at_noon

DAY = Window(NOON - 43_200, NOON + 43_200)


def points(**requests: int) -> tuple[SpendPoint, ...]:
    return tuple(
        SpendPoint("2026-03-01T12:00:00Z", name, Tally(requests=number, spend_nano=number * 1000))
        for name, number in requests.items()
    )


def charts_of(html: str) -> dict[str, Any]:
    page = Page(html)
    names = [script["data-chart"] for script in page.scripts if script.get("type") == "application/json"]
    return dict(zip((name or "" for name in names), map(json.loads, page.blocks), strict=True))


@pytest.mark.parametrize("step", ["hour", "day"])
async def test_plotly_takes_every_figure(store: SqlStore, step: Any) -> None:
    await store.write(at_noon(a_day(60)))
    found = await reports.spend_over_time(store, read_window(SINCE, UNTIL), step)
    for figure in (spend_figure, requests_figure):
        made = figure(found, DAY, step, ("small", "large"))
        assert go.Figure(made).to_plotly_json()["layout"]["barmode"] == "stack", "refused names raise"
        assert json.loads(json.dumps(made, allow_nan=False)) == made


async def test_charts_add_up_to_the_reports(visitor: httpx.AsyncClient, store: SqlStore) -> None:
    await store.write(at_noon(a_day(240)))
    charts = charts_of((await visitor.get(f"/dashboard?{SPAN}")).text)
    report = await reports.costs(store, read_window(SINCE, UNTIL), "model")
    spend = {trace["name"]: sum(trace["y"]) for trace in charts["chart-spend"]["data"]}
    requests = {trace["name"]: sum(trace["y"]) for trace in charts["chart-requests"]["data"]}
    assert requests == {row.key: row.tally.requests for row in report.rows}
    assert spend == pytest.approx({row.key: row.tally.spend_usd for row in report.rows if row.tally.spend_usd})


def test_models_keep_their_colour_whatever_they_cost() -> None:
    found = points(large=1, zeta=9, small=5)
    colours = {one.name: one.colour for one in series_of(found, ("small", "large"))}
    assert colours == {"small": 0, "large": 1, "zeta": 2}
    assert {one.name: one.colour for one in series_of(points(large=1), ("small", "large"))} == {"large": 1}


def test_more_models_than_colours_share_the_last() -> None:
    found = points(**{f"m{number}": 10 + number for number in range(9)})
    series = series_of(found, ())
    assert [one.name for one in series] == ["m4", "m5", "m6", "m7", "m8", OTHERS]
    assert [one.colour for one in series] == list(range(NAMED_MOST + 1))
    assert sum(tally.requests for one in series for tally in one.tallies.values()) == sum(range(10, 19))


def test_requests_that_no_model_saw_have_a_name() -> None:
    found = (SpendPoint("2026-03-01T12:00:00Z", None, Tally(requests=1)), *points(small=1))
    assert [one.name for one in series_of(found, ("small",))] == ["small", NOBODY]


def test_an_unknown_price_is_not_drawn() -> None:
    point = SpendPoint("2026-03-01T12:00:00Z", "mystery", Tally(requests=3, unpriced=3))
    assert spend_figure((point,), DAY, "hour", ())["data"] == []
    assert requests_figure((point,), DAY, "hour", ())["data"][0]["y"] == [3]


@pytest.mark.parametrize(("step", "seconds"), [("hour", 3600), ("day", 86_400)])
def test_the_axis_spans_the_whole_window_and_bars_fit_it(step: Any, seconds: int) -> None:
    figure = spend_figure(points(small=1), Window(NOON + 61, NOON + 3 * 86_400 + 61), step, ())
    start, end = figure["layout"]["xaxis"]["range"]
    assert (start, end) == {
        "hour": ("2026-03-01 12:00:00", "2026-03-04 13:00:00"),
        "day": ("2026-03-01 00:00:00", "2026-03-05 00:00:00"),
    }[step]
    bar = figure["data"][0]
    assert bar["offset"] + bar["width"] <= seconds * 1000


async def test_a_models_name_can_break_out_of_neither_script_nor_label(
    visitor: httpx.AsyncClient, store: SqlStore
) -> None:
    name = "</script><b>x</b><a href='javascript:alert(1)'>y</a>&lt;"
    row = at_noon([served(1, 0)])[0]
    row.model = name
    await store.write([row])
    html = (await visitor.get(f"/dashboard?{SPAN}")).text
    trace = charts_of(html)["chart-requests"]["data"][0]
    assert "<" not in trace["name"], "plotly would read tags"
    assert trace["name"].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == name


async def test_nothing_spent_is_said_not_drawn(visitor: httpx.AsyncClient, store: SqlStore) -> None:
    await store.write(at_noon([cached(1, 0)]))
    html = (await visitor.get(f"/dashboard?{SPAN}")).text
    assert "Nothing was spent." in html
    assert list(charts_of(html)) == ["chart-requests"]


async def test_without_requests_nothing_is_loaded(visitor: httpx.AsyncClient, store: SqlStore) -> None:
    assert "plotly" not in (await visitor.get(f"/dashboard?{SPAN}")).text
    await store.write(at_noon([unpriced(1, 0)]))
    assert "plotly" in (await visitor.get(f"/dashboard?{SPAN}")).text
