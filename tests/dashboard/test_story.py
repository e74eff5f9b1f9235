"""A request's parts add up: buckets to its cost, stretches to its time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.dashboard.story import Told, tell
from router.domain import Outcome, Price, Usage
from router.ledger.reports import RequestStory
from router.prices import cost_nano
from tests.dashboard.rows import cached, served

tokens = st.integers(0, 2_000_000)
dollars = st.floats(0, 200, allow_nan=False).map(lambda usd: round(usd, 4))
milliseconds = st.floats(0, 1e6, allow_nan=False)


def told(row: Outcome) -> Told:
    return tell(RequestStory(row, (), ()))


@given(tokens, tokens, tokens, tokens, st.builds(Price, dollars, dollars, st.none() | dollars, st.none() | dollars))
def test_buckets_add_up_to_the_cost(fresh: int, read: int, write: int, output: int, price: Price) -> None:
    usage = Usage(fresh, read, write, output)
    row = replace(served(1, 0.0), usage=usage, price=price, cost_nano=cost_nano(usage, price))
    story = told(row)
    assert sum(bucket.cost_usd for bucket in story.buckets) == pytest.approx(story.cost_usd, abs=2e-9)
    assert sum(bucket.tokens for bucket in story.buckets) == usage.input + usage.output


@given(milliseconds, milliseconds, st.none() | milliseconds)
def test_stretches_add_up_to_the_latency(latency: float, overhead: float, first: float | None) -> None:
    story = told(replace(served(1, 0.0), latency_ms=latency, overhead_ms=overhead, ttft_ms=first))
    assert sum(stretch.milliseconds for stretch in story.stretches) == pytest.approx(latency)
    assert all(stretch.milliseconds >= 0 and 0 <= stretch.start_share <= 1.0000001 for stretch in story.stretches)


def test_what_came_from_the_cache_cost_nothing() -> None:
    story = told(cached(1, 0.0))
    assert [bucket.cost_usd for bucket in story.buckets] == [0.0, 0.0]
    assert story.cost_usd == 0
    assert story.headline == "Answered from the cache, with what small had said before."


def test_without_a_price_nothing_is_guessed() -> None:
    story = told(replace(served(1, 0.0), price=None, cost_nano=None, baseline_nano=None))
    assert {bucket.cost_usd for bucket in story.buckets} == {None}
    assert {bucket.cost_usd for bucket in told(Outcome("req_1", 0.0, "t", "k")).buckets} == {0.0}, "no tokens, no cost"
    assert (story.cost_usd, story.baseline_usd) == (None, None)
