"""Filters mean the same in every report; the first page adds up; tails and exports miss none."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from router.domain import Outcome, Price, Usage
from router.ledger import reports
from router.ledger.reports import SORTS, Filters
from router.ledger.store import SqlStore
from router.ledger.tally import Tally
from router.ledger.window import Window

from .outcomes import an_outcome
from .test_reports import T0, fresh_week, summed

LISTED = Price(3.0, 15.0, source="litellm 1.0 (installed 2026-01-01)")


def mixed(window: Window) -> list[Outcome]:
    """Rows of every kind that a filter tells apart."""
    at, owns = window.since_unix, Price(0.1, 0.4)
    return [
        an_outcome(at_unix=at, price=owns),
        an_outcome(
            at_unix=at + 1, price=LISTED, model="large", cost_nano=700, usage=Usage(9, output=4, estimated=True)
        ),
        an_outcome(at_unix=at + 2, model="mystery", cost_nano=None),
        an_outcome(at_unix=at + 3, cache="hit", cost_nano=0),
        an_outcome(at_unix=at + 4, cache="bypass", status=502, outcome="upstream_error", cost_nano=0),
        an_outcome(at_unix=at + 5, purpose="attempt", parent_id="x", status=504, outcome="upstream_error", cost_nano=5),
        an_outcome(at_unix=at + 6, purpose="audit", parent_id="x", model="large", price=LISTED, cost_nano=40),
        an_outcome(at_unix=at + 7, purpose="audit", parent_id="x", model="mystery", cost_nano=None),
    ]


def passes(row: Outcome, name: str, value: object) -> bool:
    """What a filter means, in plain Python."""
    match name:
        case "priced":
            return (row.cost_nano is not None) is (value == "yes")
        case "usage":
            return row.usage.estimated is (value == "estimated")
    return bool(getattr(row, name) == value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("model", "large"), ("model", "mystery"), ("status", 502), ("cache", "hit"), ("outcome", "upstream_error"),
     ("priced", "no"), ("priced", "yes"), ("usage", "estimated"), ("usage", "counted"), ("purpose", "audit"),
     ("purpose", "chat"), ("model", "\0"), ("tenant", "acme")],
)  # fmt: skip
async def test_a_filter_means_the_same_in_every_report(store: SqlStore, name: str, value: object) -> None:
    window = fresh_week()
    rows = mixed(window)
    await store.write(rows)
    filters = Filters(**{name: value})  # type: ignore[arg-type]
    found = [row for row in rows if passes(row, name, value)]
    assert (await reports.costs(store, window, "model", filters)).total == summed(found)
    assert (await reports.summary(store, window, filters)).tally == summed(found)
    points = await reports.spend_over_time(store, window, "day", filters)
    assert sum((point.tally for point in points), Tally()) == summed(found)
    listed = [row for row in found if name == "purpose" or row.purpose == "chat"]
    page = await reports.requests(store, window, filters)
    assert page.total == len(listed)
    assert [row.request_id for row in page.rows] == [row.request_id for row in reversed(listed)]


async def test_filters_narrow_each_other(store: SqlStore) -> None:
    window = fresh_week()
    await store.write(mixed(window))
    both = Filters(purpose="audit", priced="no")
    assert (await reports.requests(store, window, both)).total == 1
    assert (await reports.requests(store, window, replace(both, model="large"))).total == 0


async def test_the_cache_is_told_by_kind_hits_of_every_kind_first(store: SqlStore) -> None:
    window = fresh_week()
    kinds: list[Any] = ["bypass", "miss", "semantic", "hit", "miss", "stale"]
    await store.write([an_outcome(at_unix=window.since_unix, cache=kind) for kind in kinds])
    found = await reports.summary(store, window)
    assert [(kind.verdict, kind.tally.requests) for kind in found.cache] == [
        ("hit", 1), ("semantic", 1), ("stale", 1), ("miss", 2), ("bypass", 1)
    ]  # fmt: skip
    assert sum((kind.tally for kind in found.cache), Tally()) == found.tally
    assert found.tally.cache_hits == 3


async def test_inner_calls_are_told_by_purpose(store: SqlStore) -> None:
    window = fresh_week()
    await store.write(mixed(window))
    found = await reports.summary(store, window)
    assert [
        (kind.purpose, kind.calls, kind.failed, kind.tally.inner_nano, kind.tally.inner_unpriced)
        for kind in found.inner
    ] == [("audit", 2, 0, 40, 1), ("attempt", 1, 1, 5, 0)]
    assert sum(kind.tally.inner_nano for kind in found.inner) == found.tally.inner_nano
    assert found.tally.asked_usd == (found.tally.spend_nano - 45) / 1e9


async def test_prices_are_told_by_where_they_are_from(store: SqlStore) -> None:
    window = fresh_week()
    await store.write(mixed(window))
    prices = (await reports.summary(store, window)).prices
    assert [(place.source, place.calls, place.spend_nano) for place in prices] == [
        (LISTED.source, 2, 740), ("policy", 1, 100)
    ]  # fmt: skip


@pytest.mark.parametrize("sort", SORTS)
async def test_a_report_is_sorted_by_any_column_with_the_unknown_last(store: SqlStore, sort: Any) -> None:
    window = fresh_week()
    await store.write(mixed(window))
    plain = await reports.costs(store, window, "model")
    found = await reports.costs(store, window, "model", sort=sort)
    assert found.total == plain.total
    assert {row.key for row in found.rows} == {row.key for row in plain.rows}
    name = sort.removeprefix("-")
    values = [row.key if name == "key" else getattr(row.tally, name) for row in found.rows]
    known = [value for value in values if value is not None]
    assert known == sorted(known, reverse=sort.startswith("-"))
    assert values[len(known) :] == [None] * (len(values) - len(known))
    assert name != "spend_usd" or len(known) < len(values), "one model has no price"


async def test_pages_behind_the_first_are_not_counted_again(store: SqlStore) -> None:
    window = fresh_week()
    await store.write([an_outcome(at_unix=window.since_unix) for _ in range(5)])
    first = await reports.requests(store, window, limit=2)
    assert (first.total, first.capped) == (5, False)
    assert (await reports.requests(store, window, limit=2, cursor=first.next)).total is None
    assert (await reports.requests(store, window, limit=2, counted=False)).total is None


async def test_counting_has_a_bound_and_says_so(store: SqlStore) -> None:
    window = fresh_week()
    await store.write([an_outcome(at_unix=window.since_unix) for _ in range(5)])
    for most, expected in ((4, (4, True)), (5, (5, False))):
        page = await reports.requests(store, window, limit=2, count_most=most)
        assert (page.total, page.capped) == expected


@pytest.mark.parametrize("size", [0, 1, 6, 7, 8])
async def test_an_export_holds_every_request_once(store: SqlStore, size: int) -> None:
    window = fresh_week()
    rows = [an_outcome(at_unix=window.since_unix + number // 3) for number in range(size)]
    await store.write([*rows, an_outcome(at_unix=window.since_unix, purpose="audit", parent_id="x")])
    found = [row async for batch in reports.every_request(store, window, batch=3) for row in batch]
    expected = sorted(rows, key=lambda row: (row.at_unix, row.request_id), reverse=True)
    assert [row.request_id for row in found] == [row.request_id for row in expected]


async def test_a_tail_finds_what_ended_since_though_it_began_before(store: SqlStore) -> None:
    now = time.time()
    long = an_outcome(at_unix=now - 60, latency_ms=59_000.0)
    before = an_outcome(at_unix=now - 60, latency_ms=1_000.0)
    audit = an_outcome(at_unix=now - 1, purpose="audit", parent_id="x")
    await store.write([long, before, audit])
    found = await reports.tail(store, now - 10)
    assert [row.request_id for row in found.rows] == [long.request_id]
    assert not found.left_out


async def test_a_tail_takes_up_where_the_one_before_ended_and_rows_may_be_late(store: SqlStore) -> None:
    now = time.time()
    await store.write([an_outcome(request_id="first", at_unix=now)])
    first = await reports.tail(store, now - 10)
    late = an_outcome(request_id="late", at_unix=first.next_unix - reports.LATE_SECONDS + 1)
    await store.write([late, an_outcome(request_id="second", at_unix=now + 1)])
    ids = [row.request_id for row in (await reports.tail(store, first.next_unix)).rows]
    assert ids == ["second", "first", "late"], "the latest end first; what was told before comes again"


async def test_a_tail_says_when_it_leaves_some_out(store: SqlStore) -> None:
    now = time.time()
    await store.write([an_outcome(request_id=f"r{number}", at_unix=now + number / 100) for number in range(4)])
    found = await reports.tail(store, now - 1, limit=3)
    assert ([row.request_id for row in found.rows], found.left_out) == (["r3", "r2", "r1"], True)


async def test_a_tail_is_filtered_as_a_list_is(store: SqlStore) -> None:
    now = time.time()
    await store.write(
        [an_outcome(model="small", at_unix=now), an_outcome(request_id="big", model="large", at_unix=now)]
    )
    assert [row.request_id for row in (await reports.tail(store, now - 1, Filters(model="large"))).rows] == ["big"]


async def test_a_quiet_tail_does_not_reach_ever_further_back(store: SqlStore) -> None:
    found = await reports.tail(store, T0)
    assert found.rows == ()
    assert found.next_unix > time.time() - reports.LATE_SECONDS - 5
