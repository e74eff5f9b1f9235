"""The pages of the learning loop say what `/api` says, figure by figure, and what to do where there is nothing yet."""

from __future__ import annotations

import json
from typing import Any

import httpx
import plotly.graph_objects as go
import pytest

from router.api import control
from router.dashboard.loop_charts import labels_figure, reliability_figure, tradeoff_figure
from router.dashboard.marks import version_marks
from router.ledger.findings import Findings
from router.ledger.label_report import DayLabels
from router.ledger.quality import reliability_report
from router.ledger.registry import Registry
from router.ledger.store import SqlStore
from router.ledger.tradeoff import tradeoff_report
from router.ledger.versions import VersionEvent, version_report
from router.ledger.window import read_window
from router.policy.compiled import Proof
from tests.dashboard.conftest import POLICY, Parts, app_of, browser
from tests.dashboard.lessons import lessons, teach
from tests.dashboard.rows import served
from tests.dashboard.test_charts import charts_of
from tests.dashboard.test_pages import NOON, SINCE, SPAN, UNTIL, exact, read

AUDIT = "audit: {rate: 0.05, judge: large, budget_per_day: 1, judges_itself: true}"
HOSTILE = "<b>eve</b><a href='javascript:alert(1)'>"


@pytest.fixture
async def asked(parts: Parts) -> Any:
    """`/api` of the same parts, over the span of these tests."""
    app = app_of(parts)
    app.include_router(control.routes)
    async with browser(app) as client:

        async def ask(name: str, **params: str) -> Any:
            answer = await client.get(f"/api/{name}", params={"since": SINCE, "until": UNTIL, **params})
            assert answer.status_code == 200, answer.text
            return answer.json()

        yield ask


@pytest.fixture
async def taught(store: SqlStore) -> SqlStore:
    """The ledger with forty audited requests of the day."""
    await teach(store, lessons(40, NOON - 3600, NOON + 3600))
    return store


def estimated(found: dict[str, Any]) -> list[str]:
    return exact(found["mean"], found["low"], found["high"])


async def test_quality_beside_cost_is_the_apis(visitor: httpx.AsyncClient, taught: SqlStore, asked: Any) -> None:
    await taught.write([served(1, NOON, model="mystery")])
    for by in ("rule", "model", "task", "tenant"):
        page = await read(visitor, f"/dashboard/quality?{SPAN}&by={by}")
        report = await asked("quality", by=by)
        _, *rows = page.rows["quality-by"]
        assert [row.cells[0] for row in rows] == [*(row["key"] for row in report["rows"]), "Total"]
        for row, found in zip(rows, [*report["rows"], report["total"]], strict=True):
            priced = found["requests"] - found["unpriced"]
            each = None if found["cost_usd"] is None else found["cost_usd"] / priced
            labelled, audited = found["labelled"], found["audited"]
            assert row.figures[1:] == [
                exact(found["requests"]), exact(found["cost_usd"]), exact(each), exact(found["baseline_usd"]),
                exact(audited["n"]), estimated(audited), [], exact(labelled["n"], labelled["n"] / found["requests"]),
                estimated(labelled),
            ]  # fmt: skip
        audited = report["total"]["audited"]
        assert page.figures["tile-audited"] == exact(audited["mean"], audited["low"], audited["high"], 40)


async def test_misroutes_are_the_apis_and_lead_to_their_requests(
    visitor: httpx.AsyncClient, taught: SqlStore, asked: Any
) -> None:
    page, report = await read(visitor, f"/dashboard/quality?{SPAN}"), await asked("misroutes")
    for name, kind in (("cheap", report["cheap_and_bad"]), ("dear", report["dear_and_not_needed"])):
        assert kind["requests"], "the rows hold every kind"
        assert page.figures[f"tile-{name}"] == exact(kind["wrong"]["mean"], kind["served"])
        _, *rows = page.rows[f"list-{name}"]
        assert [row.figures[3:] for row in rows] == [
            [
                exact(one["small_score"]),
                exact(one["large_score"]),
                exact(one["wasted_usd" if name == "dear" else "lost"]),
            ]
            for one in kind["requests"][:12]
        ]
        for one in kind["requests"][:12]:
            assert f"/dashboard/requests/{one['request_id']}" in page.links
    cheap, dear = report["cheap_and_bad"], report["dear_and_not_needed"]
    lost = cheap["lost"]
    assert page.figures["sum-cheap"] == [
        *estimated(cheap["wrong"]), *exact(cheap["served"], lost["value"], lost["low"], lost["high"])
    ]  # fmt: skip
    assert page.figures["sum-dear"] == [
        *estimated(dear["wrong"]), *exact(dear["served"], dear["wasted_usd"], dear["spent_usd"])
    ]  # fmt: skip


async def test_the_curve_its_table_and_todays_place_are_the_apis(
    visitor: httpx.AsyncClient, parts: Parts, taught: SqlStore, asked: Any
) -> None:
    rule = "{name: promise, choose: cheapest, among: [small, large], keep_quality: 0.9}"
    parts.policy.path.write_text(POLICY.replace("use: small}", f"use: small}}, {rule}"))
    assert parts.policy.poll() is True
    html = (await visitor.get(f"/dashboard/quality?{SPAN}")).text
    page, report = await read(visitor, f"/dashboard/quality?{SPAN}"), await asked("curve")
    _, *rows = page.rows["curve-table"]
    points = [*report["by_gain"], *report["by_length"], *report["by_chance"]]
    assert [row.figures[1:] for row in rows] == [
        [exact(point["share_large"]), exact(point["usd"]), exact(point["quality"])] for point in points
    ]
    _, served_row, promised = page.rows["today"]
    today, spread = report["today"], report["today_quality"]
    assert served_row.figures[1:] == [
        exact(today["share_large"]), exact(today["usd"]), exact(today["quality"], spread["low"], spread["high"])
    ]  # fmt: skip
    [threshold] = report["thresholds"]
    assert promised.cells[0] == "promise: keep_quality 0.9"
    assert promised.figures[1:] == [exact(threshold["point"][name]) for name in ("share_large", "usd", "quality")]
    drawn = {trace["name"]: trace for trace in charts_of(html)["chart-curve"]["data"]}
    assert drawn["by predicted gain"]["y"] == [point["quality"] for point in report["by_gain"]]
    assert (drawn["today"]["x"], drawn["promise"]["x"]) == ([today["usd"]], [threshold["point"]["usd"]])


async def test_the_reliability_diagram_and_its_table_are_the_apis(
    visitor: httpx.AsyncClient, taught: SqlStore, asked: Any
) -> None:
    html = (await visitor.get(f"/dashboard/quality?{SPAN}")).text
    page, report = await read(visitor, f"/dashboard/quality?{SPAN}"), await asked("reliability")
    assert len(report["versions"]) == 2
    assert [row.figures[1:] for row in page.rows["calibration"][1:]] == [
        [exact(one["n"]), exact(one["error"])] for one in report["versions"]
    ]
    filled = [one for version in report["versions"] for one in version["bins"] if one["predicted"] is not None]
    assert [row.figures[1:] for row in page.rows["reliability-table"][1:]] == [
        [exact(one["predicted"]), estimated(one["labelled"]), exact(one["labelled"]["n"])] for one in filled
    ]
    _, *series = charts_of(html)["chart-reliability"]["data"]
    assert [y for trace in series for y in trace["y"]] == [one["labelled"]["mean"] for one in filled]


async def test_versions_labels_and_drift_are_the_apis(visitor: httpx.AsyncClient, taught: SqlStore, asked: Any) -> None:
    page = await read(visitor, "/dashboard/learning?since=2026-02-01")
    versions = (await asked("versions", since="2026-02-01", until=""))["events"]
    assert [row.cells[1] for row in page.rows["versions"][1:]] == [one["kind"] for one in versions]
    assert [row.cells[3] for row in page.rows["versions"][1:]] == [one["by"] or "–" for one in versions]
    assert {"let through", "held back"} == {row.cells[4] for row in page.rows["versions"][1:]}
    labels = await asked("labels", since="2026-02-01", until="")
    assert [(row.cells[0], row.figures[1:3]) for row in page.rows["by-source"][1:]] == [
        (one["source"], [exact(one["n"]), exact(one["mean"])]) for one in labels["by_source"]
    ]
    assert [row.figures[1] for row in page.rows["agreement"][1:]] == [exact(one["n"]) for one in labels["agreement"]]
    [drift] = [await asked("drift")]
    assert [row.figures[1:3] for row in page.rows["drift-parts"][1:]] == [
        [exact(one["n"]), exact(one["moved"])] for one in drift["newest"]["parts"]
    ]
    assert "no alarm" in page.text


async def test_an_alarm_stands_over_every_page_until_a_look_without_one(
    visitor: httpx.AsyncClient, store: SqlStore
) -> None:
    await teach(store, lessons(8, NOON, NOON + 60), drifted=True)
    pages = ["/dashboard", "/dashboard/requests", "/dashboard/quality", "/dashboard/learning", "/dashboard/shadow"]
    for address in (*pages, f"/dashboard/requests/{lessons(8, NOON, NOON + 60)[0].asked.request_id}"):
        page = await read(visitor, address)
        assert "Traffic is no longer what the judge was trained on" in page.text, address
        assert "(tasks)" in page.text
        assert "/dashboard/learning#drift" in page.links
    newest = await Findings(store).newest("drift")
    assert newest is not None
    calm = [{**part, "alarm": False} for part in newest.document["parts"]]
    await Findings(store).add("drift", newest.subject, {**newest.document, "parts": calm})
    for address in pages:
        assert "no longer" not in (await read(visitor, address)).text


async def test_versions_are_marked_on_the_chart_of_spend_and_told_beside_it(
    visitor: httpx.AsyncClient, store: SqlStore
) -> None:
    assert "Versions of the judge" not in (await read(visitor, "/dashboard")).text
    await teach(store, lessons(8, NOON, NOON + 60))
    await store.write([served(1, (await version_report(store, read_window("1h"))).events[0].at_unix - 60)])
    html = (await visitor.get("/dashboard?since=1h")).text
    traces = {trace["name"]: trace for trace in charts_of(html)["chart-spend"]["data"]}
    bars, lines = {"small"}, {"retrained", "promoted", "rolled back"}
    assert traces.keys() == bars | lines
    assert len(traces["retrained"]["x"]) == 9, "three lines of two ends and a gap"
    assert max(y for y in traces["promoted"]["y"] if y is not None) == max(traces["small"]["y"])
    assert "ada" in traces["promoted"]["customdata"][0]
    page = await read(visitor, "/dashboard?since=1h")
    assert sorted(row.cells[1] for row in page.rows["versions"][1:]) == [
        "promoted", "promoted", "retrained", "retrained", "retrained", "rolled back"
    ]  # fmt: skip
    assert lines.isdisjoint(trace["name"] for trace in charts_of(html)["chart-requests"]["data"])


async def test_what_somebody_wrote_is_only_ever_text(visitor: httpx.AsyncClient, store: SqlStore) -> None:
    registry = Registry(store)
    sha256 = await registry.save(b"one", {}, metrics={"passed": True, "reason": HOSTILE})
    await registry.promote(sha256, HOSTILE, reason=HOSTILE)
    page = await read(visitor, "/dashboard/learning")
    assert page.text.count("<b>eve</b>") == 4
    assert not any(link.startswith("javascript:") for link in page.links)
    [_, mark] = version_marks((await version_report(store, read_window("1h"))).events, 1.0)
    assert "<" not in mark["customdata"][0]


async def test_plotly_takes_every_figure(taught: SqlStore) -> None:
    window = read_window(SINCE, UNTIL)
    event = VersionEvent("canary", NOON, None, "ada", None, None, None, True, 0.1)
    figures = [
        reliability_figure(await reliability_report(taught, window)),
        tradeoff_figure(await tradeoff_report(taught, window)),
        labels_figure([DayLabels("2026-03-01", "user", 3, 0.5)], window),
        {"data": version_marks([event], 2.0), "layout": {}},
    ]
    for made in figures:
        assert go.Figure(made).to_plotly_json()["data"], "refused names raise"
        assert json.loads(json.dumps(made, allow_nan=False)) == made


@pytest.mark.parametrize("address", ["/dashboard/quality", "/dashboard/learning"])
async def test_an_empty_ledger_says_what_to_do_and_loads_no_charts(visitor: httpx.AsyncClient, address: str) -> None:
    html = (await visitor.get(address)).text
    page = await read(visitor, address)
    assert "audit: {rate: 0.05" in page.text
    assert "plotly" not in html
    assert "$" not in page.text


async def test_requests_without_labels_say_how_to_get_some(visitor: httpx.AsyncClient, store: SqlStore) -> None:
    await store.write([served(1, NOON)])
    page = await read(visitor, f"/dashboard/quality?{SPAN}")
    assert "Nothing says yet how good these answers were" in page.text
    assert "No audited requests yet" in page.text
    assert page.figures.get("tile-audited") is None, "no mean is no zero"


async def test_where_a_route_is_audited_the_page_does_not_ask_for_it(
    parts: Parts, visitor: httpx.AsyncClient, store: SqlStore
) -> None:
    parts.policy.path.write_text(POLICY.replace("{baseline: large,", f"{{baseline: large, {AUDIT},"))
    assert parts.policy.poll() is True
    await store.write([served(1, NOON)])
    text = (await read(visitor, f"/dashboard/quality?{SPAN}")).text
    assert "Audits are on for auto" in text
    assert "rate: 0.05" not in text


async def test_what_is_proven_is_shown_rule_by_rule(parts: Parts, visitor: httpx.AsyncClient) -> None:
    rule = "{name: promise, choose: cheapest, among: [small, large], keep_quality: 0.9, max_risk: 0.02}"
    written = POLICY.replace("use: small}", f"use: small}}, {rule}")
    parts.policy.path.write_text(written.replace("{baseline: large,", f"{{baseline: large, {AUDIT},"))
    assert parts.policy.poll() is True, parts.policy.error
    page = await read(visitor, "/dashboard/learning")
    [row] = page.rows["risks"][1:]
    assert (row.cells[0], row.cells[-1], row.figures[2]) == ("auto", "large serves", exact(0.02))
    key = parts.policy.current.digest, parts.judge.name
    parts.proving.proofs.put({key: {("auto", "promise"): Proof(0.015, 820, 0.004, 0, NOON)}}, NOON)
    [row] = (await read(visitor, "/dashboard/learning")).rows["risks"][1:]
    assert (row.cells[-1], row.figures[2:6]) == ("proven", [exact(0.02), exact(0.015), exact(0.004), exact(820)])
    parts.proving.proofs.put({key: {("auto", "promise"): Proof(0.08, 40, 0.004, 900, NOON)}}, NOON)
    [row] = (await read(visitor, "/dashboard/learning")).rows["risks"][1:]
    assert row.cells[-1] == "large serves about 900 more pairs"


async def test_filters_and_the_span_go_along(visitor: httpx.AsyncClient, taught: SqlStore, asked: Any) -> None:
    page = await read(visitor, f"/dashboard/quality?{SPAN}&task=code&by=model")
    assert page.rows["quality-by"][-1].figures[1] == exact((await asked("quality", task="code"))["total"]["requests"])
    assert any("task=code" in link and link.startswith("/dashboard/learning") for link in page.links)
    assert "Nothing matches" in (await read(visitor, f"/dashboard/quality?{SPAN}&rule=nobody")).text
    assert (await visitor.get("/dashboard/quality?model=&since=1h")).status_code == 303


@pytest.mark.parametrize("address", ["/dashboard/quality?by=hour", "/dashboard/learning?since=x"])
async def test_an_address_that_makes_no_sense_is_said(visitor: httpx.AsyncClient, address: str) -> None:
    await read(visitor, address, 400)


async def test_a_ledger_out_of_reach_is_said(parts: Parts) -> None:
    parts.store = SqlStore("postgresql://nobody@127.0.0.1:1/nothing")
    async with browser(app_of(parts)) as visitor:
        for address in ("/dashboard/quality", "/dashboard/learning"):
            assert "The ledger is out of reach" in (await read(visitor, address, 503)).text
    await parts.store.aclose()
