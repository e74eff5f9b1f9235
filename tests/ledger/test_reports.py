"""Reports say the same on SQLite and PostgreSQL, add up, and never take unknown for nothing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router.domain import Outcome
from router.errors import BadRequest
from router.ledger import reports
from router.ledger.documents import costs_document
from router.ledger.reports import BYS, By, CostReport, Filters
from router.ledger.store import SqlStore
from router.ledger.summary import Percentiles
from router.ledger.tally import Tally
from router.ledger.window import Window, read_window, timestamp

from .outcomes import a_full_outcome, an_outcome, outcomes

HOUR, DAY = 3600, 86_400
T0 = 1_700_006_400.0
"""A midnight in UTC: 2023-11-15."""

_weeks = itertools.count(1)


def fresh_week() -> Window:
    """A week that no other example has written to."""
    start = T0 + next(_weeks) * 7 * DAY
    return Window(start, start + 7 * DAY)


def group(outcome: Outcome, by: By) -> str | None:
    if by in ("day", "hour"):
        text = timestamp(outcome.at_unix)
        return text[:10] if by == "day" else text[:13] + ":00:00Z"
    value: str | None = getattr(outcome, by)
    return value


def summed(rows: Sequence[Outcome]) -> Tally:
    """The definition in plain Python, as the docstring of `tally` has it."""
    chats = [row for row in rows if row.purpose == "chat"]
    inner = [row for row in rows if row.purpose != "chat"]
    errors = [row for row in chats if row.outcome not in ("ok", "client_closed")]
    compared = [row for row in chats if row not in errors and row.cost_nano is not None]
    return Tally(
        requests=len(chats),
        input_tokens=sum(row.usage.input for row in chats),
        output_tokens=sum(row.usage.output for row in chats),
        cache_hits=sum(row.cache == "hit" for row in chats),
        errors=len(errors),
        spend_nano=sum(row.cost_nano or 0 for row in rows),
        inner_nano=sum(row.cost_nano or 0 for row in inner),
        baseline_nano=sum(row.baseline_nano or 0 for row in compared),
        always_small_nano=sum(row.always_small_nano or 0 for row in compared),
        unpriced=sum(row.cost_nano is None for row in rows),
        inner_unpriced=sum(row.cost_nano is None for row in inner),
        no_baseline=sum(row.baseline_nano is None for row in compared),
        no_small=sum(row.always_small_nano is None for row in compared),
        estimated=sum(row.usage.estimated for row in rows),
        inner_estimated=sum(row.usage.estimated for row in inner),
    )


def as_dict(report: CostReport) -> dict[str | None, Tally]:
    assert len({row.key for row in report.rows}) == len(report.rows)
    return {row.key: row.tally for row in report.rows}


offsets = st.floats(0, 2 * DAY, exclude_max=True, allow_nan=False)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=st.lists(outcomes(offsets), max_size=25))
async def test_costs_by_anything_are_the_plain_sums_and_add_up(store: SqlStore, drawn: list[Outcome]) -> None:
    window = fresh_week()
    for outcome in drawn:
        outcome.at_unix += window.since_unix
    await store.write(drawn)
    for by in BYS:
        report = await reports.costs(store, window, by)
        expected = {
            key: summed([row for row in drawn if group(row, by) == key]) for key in {group(r, by) for r in drawn}
        }
        assert as_dict(report) == expected
        assert report.total == summed(drawn)
        assert sum((row.tally for row in report.rows), Tally()) == report.total
    assert (await reports.summary(store, window)).tally == summed(drawn)
    points = await reports.spend_over_time(store, window, "hour")
    assert sum((point.tally for point in points), Tally()) == summed(drawn)


@given(
    tallies=st.lists(
        st.builds(Tally, *[st.integers(0, 3)] * 5, *[st.integers(0, 10**15)] * 4, *[st.integers(0, 3)] * 4), max_size=5
    )
)
def test_saved_is_baseline_less_spend_or_not_known(tallies: list[Tally]) -> None:
    total = sum(tallies, Tally())
    if total.saved_usd is None:
        assert total.baseline_usd is None or total.spend_usd is None
    else:
        assert total.baseline_usd is not None
        assert total.spend_usd is not None
        assert math.isclose(total.saved_usd, total.baseline_usd - total.spend_usd, abs_tol=1e-9, rel_tol=1e-12)


@given(nano=st.integers(0, 2**62))
def test_dollars_are_exact_to_the_nano(nano: int) -> None:
    usd = Tally(spend_nano=nano).spend_usd
    assert usd == nano / 10**9
    if nano < 10**15:
        assert usd is not None
        assert round(usd * 10**9) == nano


async def costs_of(store: SqlStore, *rows: Outcome) -> Tally:
    window = fresh_week()
    for row in rows:
        row.at_unix = window.since_unix
    await store.write(rows)
    return (await reports.costs(store, window, "model")).total


async def test_an_unknown_price_is_null_and_counted_never_zero(store: SqlStore) -> None:
    total = await costs_of(store, an_outcome(cost_nano=None), an_outcome(cost_nano=None, cache="hit"))
    assert (total.spend_usd, total.baseline_usd, total.saved_usd, total.unpriced) == (None, None, None, 2)


async def test_a_failed_attempt_that_cost_nothing_does_not_make_an_unknown_price_zero(store: SqlStore) -> None:
    attempt = an_outcome(purpose="attempt", parent_id="x", cost_nano=0)
    assert (await costs_of(store, an_outcome(cost_nano=None), attempt)).spend_usd is None


async def test_an_unpriced_request_is_left_out_of_both_sides_of_the_comparison(store: SqlStore) -> None:
    total = await costs_of(store, an_outcome(cost_nano=100, baseline_nano=900), an_outcome(cost_nano=None))
    assert (total.spend_nano, total.baseline_nano, total.unpriced) == (100, 900, 1)
    assert total.saved_usd == 800 / 1e9


async def test_without_a_price_of_the_baseline_there_is_no_saving_to_tell(store: SqlStore) -> None:
    total = await costs_of(store, an_outcome(), an_outcome(baseline_nano=None))
    assert total.spend_usd == 200 / 1e9
    assert (total.baseline_usd, total.saved_usd) == (None, None)
    assert total.always_small_usd == 100 / 1e9


async def test_a_cache_hit_saves_all_that_the_baseline_would_have_cost(store: SqlStore) -> None:
    total = await costs_of(store, an_outcome(cache="hit", cost_nano=0, baseline_nano=900))
    assert (total.saved_usd, total.cache_hits, total.cache_share) == (900 / 1e9, 1, 1.0)


async def test_errors_count_nothing_at_the_baseline_but_keep_what_they_cost(store: SqlStore) -> None:
    total = await costs_of(store, an_outcome(outcome="upstream_error", cost_nano=70, baseline_nano=900))
    assert (total.errors, total.baseline_usd, total.saved_usd) == (1, 0.0, -70 / 1e9)


async def test_inner_calls_are_spend_shown_apart_and_neither_requests_nor_tokens(store: SqlStore) -> None:
    audit = an_outcome(purpose="audit", parent_id="x", cost_nano=30, baseline_nano=5000)
    total = await costs_of(store, an_outcome(), audit)
    assert (total.requests, total.input_tokens, total.output_tokens) == (1, 10, 20)
    assert (total.spend_usd, total.inner_usd, total.saved_usd) == (130 / 1e9, 30 / 1e9, 770 / 1e9)


async def test_the_dearest_comes_first_and_time_goes_forward(store: SqlStore) -> None:
    window = fresh_week()
    rows = [("a", 5, 2 * HOUR), ("b", 50, 0), ("c", 7, DAY)]
    await store.write([an_outcome(model=m, cost_nano=c, at_unix=window.since_unix + t) for m, c, t in rows])
    assert [row.key for row in (await reports.costs(store, window, "model")).rows] == ["b", "c", "a"]
    days = [row.key for row in (await reports.costs(store, window, "day")).rows]
    assert days == sorted(days, key=str)
    assert len(days) == 2


async def test_a_window_takes_its_beginning_and_leaves_its_end(store: SqlStore) -> None:
    window = fresh_week()
    times = [window.since_unix - 0.001, window.since_unix, window.until_unix - 0.001, window.until_unix]
    await store.write([an_outcome(at_unix=at) for at in times])
    assert (await reports.costs(store, window, "day")).total.requests == 2


async def test_an_empty_window_costs_nothing(store: SqlStore) -> None:
    report = await reports.costs(store, fresh_week(), "model")
    assert report.rows == ()
    assert report.total == Tally()
    assert report.total.saved_usd == 0.0
    tiles = await reports.summary(store, fresh_week())
    assert (tiles.latency_ms.p50, tiles.tally.cache_share) == (None, 0.0)


async def test_the_document_has_the_columns_that_callers_rely_on(store: SqlStore) -> None:
    window = fresh_week()
    await store.write([an_outcome(at_unix=window.since_unix)])
    document = costs_document(await reports.costs(store, window, "model"))
    assert set(document) == {"since", "until", "by", "rows", "total"}
    columns = (
        "requests input_tokens output_tokens spend_usd baseline_usd saved_usd always_small_usd inner_usd cache_hits "
        "errors unpriced inner_unpriced estimated inner_estimated"
    ).split()
    assert set(document["total"]) == set(columns)
    assert set(document["rows"][0]) == {"key", *columns}


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.floats(0, 1e6), min_size=1, max_size=60))
async def test_percentiles_are_of_nearest_rank_over_answered_requests(store: SqlStore, values: list[float]) -> None:
    window = fresh_week()
    rows = [an_outcome(at_unix=window.since_unix, latency_ms=value, overhead_ms=value / 8) for value in values]
    rows += [an_outcome(at_unix=window.since_unix, latency_ms=2e6, outcome="upstream_error")]
    rows += [an_outcome(at_unix=window.since_unix, latency_ms=3e6, purpose="audit", parent_id="x")]
    await store.write(rows)
    tiles = await reports.summary(store, window)
    ranked = sorted(values)
    expected = [ranked[math.ceil(Fraction(share, 100) * len(ranked)) - 1] for share in (50, 95, 99)]
    assert tiles.latency_ms == Percentiles(*expected)
    assert tiles.overhead_ms == Percentiles(*(value / 8 for value in expected))


async def test_pages_show_every_request_once_newest_first_while_new_ones_arrive(store: SqlStore) -> None:
    window = fresh_week()
    times = [window.since_unix + number // 3 for number in range(50)]  # many of the same instant
    await store.write([an_outcome(at_unix=at) for at in times])
    await store.write([an_outcome(at_unix=times[5], purpose="attempt", parent_id="x")])
    seen: list[Outcome] = []
    cursor: str | None = None
    while True:
        page = await reports.requests(store, window, limit=7, cursor=cursor)
        seen += page.rows
        await store.write([an_outcome(at_unix=window.until_unix - 1)])
        if (cursor := page.next) is None:
            break
    assert [row.at_unix for row in seen] == sorted(times, reverse=True)
    assert len({row.request_id for row in seen}) == 50


async def test_the_last_page_has_no_next_even_when_it_is_full(store: SqlStore) -> None:
    window = fresh_week()
    await store.write([an_outcome(at_unix=window.since_unix) for _ in range(4)])
    page = await reports.requests(store, window, limit=4)
    assert (page.total, len(page.rows), page.next) == (4, 4, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", "large"),
        ("route", "cheap"),
        ("rule", "hard"),
        ("tenant", "umbrella"),
        ("key", "batch"),
        ("task", "code"),
        ("status", 502),
        ("outcome", "upstream_error"),
        ("cache", "hit"),
    ],
)
async def test_each_filter_finds_its_own(store: SqlStore, name: str, value: object) -> None:
    window = fresh_week()
    matching = an_outcome(at_unix=window.since_unix, **{name: value})
    await store.write([an_outcome(at_unix=window.since_unix), matching])
    page = await reports.requests(store, window, Filters(**{name: value}))  # type: ignore[arg-type]
    assert (page.total, [row.request_id for row in page.rows]) == (1, [matching.request_id])


@pytest.mark.parametrize("cursor", ["", "x", "!!!!", "bm90IGEgdGltZXw", "nan"])
async def test_a_cursor_that_no_page_gave_is_refused(store: SqlStore, cursor: str) -> None:
    with pytest.raises(BadRequest) as refused:
        await reports.requests(store, fresh_week(), cursor=cursor)
    assert refused.value.param == "cursor"


@pytest.mark.parametrize("limit", [0, -1, 501])
async def test_a_page_has_a_bound(store: SqlStore, limit: int) -> None:
    with pytest.raises(BadRequest):
        await reports.requests(store, fresh_week(), limit=limit)


async def test_the_story_of_a_request_has_its_inner_calls_and_labels(store: SqlStore) -> None:
    parent = a_full_outcome(purpose="chat", parent_id=None)
    inner = [
        an_outcome(purpose="attempt", parent_id=parent.request_id, at_unix=parent.at_unix + number)
        for number in range(3)
    ]
    await store.write([parent, *reversed(inner), an_outcome()])
    await store.add_label(parent.request_id, "acme", "web", "user", 1.0, comment="good")
    story = await reports.request(store, parent.request_id)
    assert story is not None
    assert story.outcome.request_text == parent.request_text
    assert [row.request_id for row in story.inner] == [row.request_id for row in inner]
    assert [(label.score, label.comment) for label in story.labels] == [(1.0, "good")]
    assert await reports.request(store, "req_unknown") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7d", T0 - 7 * DAY),
        ("24h", T0 - DAY),
        ("90m", T0 - 5400),
        ("2w", T0 - 14 * DAY),
        ("2023-11-14T00:00:00Z", T0 - DAY),
        ("2023-11-14T01:00:00+01:00", T0 - DAY),
        ("2023-11-14T01:00:00 01:00", T0 - DAY),
        ("2023-11-14", T0 - DAY),
    ],
)
def test_a_window_is_read_as_people_write_it(text: str, expected: float) -> None:
    assert read_window(text, now_unix=T0) == Window(expected, T0)


@pytest.mark.parametrize(
    "text", ["yesterday", "7", "d", "-7d", "7 days", "2023-11-14T00:00:00", "2023-13-01", "9" * 30 + "d"]
)
def test_a_time_that_makes_no_sense_is_refused_by_name(text: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read_window("7d", text, now_unix=T0)
    assert refused.value.param == "until"


def test_a_window_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(BadRequest) as refused:
        read_window("1h", "2h", now_unix=T0)
    assert refused.value.param == "since"
