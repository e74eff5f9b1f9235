"""The page of the shadow says what the report says, and how to get a shadow where there is none."""

from __future__ import annotations

from dataclasses import replace

import httpx

from router.domain import Outcome
from router.ledger.shadows import shadow_report
from router.ledger.store import SqlStore
from router.ledger.window import read_window
from tests.dashboard.conftest import POLICY, Parts
from tests.dashboard.rows import served
from tests.dashboard.test_pages import NOON, SINCE, SPAN, UNTIL, exact, read


def shadowed(number: int, model: str, shadow: str | None, cost_nano: int | None, gain: float | None) -> Outcome:
    """A request of `model` that the shadow would have given to another."""
    row = served(number, NOON + number, model=model)
    row.shadow_policy, row.shadow_model, row.shadow_rule = "next@06c4b78c94b0", shadow, "hard"
    row.shadow_cost_nano, row.shadow_gain = cost_nano, gain
    return row


def part_of(row: Outcome, purpose: str, cost_nano: int) -> Outcome:
    inner = replace(row, request_id=f"{row.request_id}.1", parent_id=row.request_id, cost_nano=cost_nano)
    inner.purpose, inner.shadow_policy = purpose, None  # type: ignore[assignment]
    return inner


async def test_every_figure_of_the_page_is_the_reports(visitor: httpx.AsyncClient, store: SqlStore) -> None:
    moved = [shadowed(1, "large", "small", 1_000, -0.2), shadowed(2, "large", "small", 3_000, -0.1)]
    stays, refused = shadowed(3, "small", "small", 2_000, 0.0), shadowed(4, "small", None, None, None)
    plan, audit = part_of(moved[0], "vote", 500_000), part_of(stays, "audit", 9_000_000)
    await store.write([*moved, stays, refused, plan, audit, served(5, NOON + 5)])
    report = await shadow_report(store, read_window(SINCE, UNTIL))
    assert (report.requests, report.moved, report.compared) == (4, 0.75, 3)
    spent = sum(row.cost_nano or 0 for row in (*moved, stays)) + 500_000
    assert report.cost_usd == spent / 1e9, "with the plan's inner call, without the audit"
    assert report.shadow_cost_usd == 6e-06
    assert report.gain is not None and round(report.gain, 9) == -0.1
    page = await read(visitor, f"/dashboard/shadow?{SPAN}")
    assert page.figures["tile-moved"] == exact(0.75)
    assert page.figures["tile-cost"] == exact(report.cost_usd, 3)
    assert page.figures["tile-shadow-cost"] == exact(report.shadow_cost_usd)
    assert page.figures["tile-gain"] == exact(report.gain)
    rows = [row.cells[:3] for row in page.rows["moves"][1:]]
    policy = "next@06c4b78c94b0"
    assert rows == [["large", "small", policy], ["small", "refused", policy], ["small", "stays", policy]]
    large = page.rows["moves"][1].figures
    move = report.moves[0]
    assert large[3:] == [exact(2), exact(0.5), exact(move.cost_usd), exact(move.shadow_cost_usd), exact(move.gain)]


async def test_filters_and_the_span_hold_here_too(visitor: httpx.AsyncClient, store: SqlStore) -> None:
    await store.write([shadowed(1, "large", "small", 1, 0.1), shadowed(2, "small", "small", 1, 0.0)])
    page = await read(visitor, f"/dashboard/shadow?{SPAN}&model=large")
    assert page.figures["tile-requests"] == ["1"]
    assert "No shadow decided anything" in (await read(visitor, "/dashboard/shadow?since=1h")).text


async def test_without_a_shadow_the_page_says_how_to_get_one_and_no_page_points_to_it(
    visitor: httpx.AsyncClient,
) -> None:
    assert "shadow: next.yaml" in (await read(visitor, "/dashboard/shadow")).text
    assert not any(link.startswith("/dashboard/shadow") for link in (await read(visitor, "/dashboard")).links)


async def test_a_policy_with_a_shadow_has_its_page_in_reach_and_its_trouble_on_every_page(
    parts: Parts, visitor: httpx.AsyncClient
) -> None:
    parts.policy.path.write_text("shadow: next.yaml\n" + POLICY)
    assert parts.policy.poll() is True
    page = await read(visitor, "/dashboard")
    assert any(link.startswith("/dashboard/shadow") for link in page.links)
    assert "A policy beside" in page.text and "next.yaml: cannot be read" in page.text
    parts.policy.path.with_name("next.yaml").write_text(POLICY)
    assert parts.policy.poll() is True
    assert "A policy beside" not in (await read(visitor, "/dashboard")).text
