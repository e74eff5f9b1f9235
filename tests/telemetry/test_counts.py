"""Counting outcomes: sums come out right, labels stay a closed set, names are Prometheus's."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from router.domain import Outcome, Usage
from router.errors import ModelNotFound, RequestError
from router.telemetry import Telemetry
from router.telemetry.counts import MOST_CELLS, OVERHEAD_BOUNDS, Counts, Histogram
from router.telemetry.names import ERROR_CODES, METRICS
from tests.ledger.outcomes import an_outcome, outcomes

ROUTER = Path(__file__).parents[2] / "router"


def samples(telemetry: Telemetry) -> dict[str, dict[tuple[str, ...], float]]:
    """Every sample of the page: by name, then by label values in the order of their names."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(telemetry.page().decode()):
        for sample in family.samples:
            values = tuple(sample.labels[name] for name in sorted(sample.labels))
            found.setdefault(sample.name, {})[values] = sample.value
    return found


def counted(rows: list[Outcome]) -> dict[str, dict[tuple[str, ...], float]]:
    telemetry = Telemetry()
    for row in rows:
        telemetry.count(row)
    return samples(telemetry)


@given(st.lists(outcomes(at_unix=st.just(1_700_000_000.0)), max_size=30))
def test_the_page_adds_up_to_the_rows(rows: list[Outcome]) -> None:
    page = counted(rows)
    chats = [row for row in rows if row.purpose == "chat"]
    assert sum(page.get("signalbox_requests_total", {}).values()) == len(chats)
    assert page.get("signalbox_cache_total", {}) == Counter((row.cache,) for row in chats)
    assert page["signalbox_overhead_seconds_count"] == {(): len(chats)}
    assert sum(page.get("signalbox_request_seconds_count", {}).values()) == len(chats)
    billed = [row for row in rows if row.purpose != "attempt" and row.cache != "hit"]
    tokens: Counter[str] = Counter()
    for (kind, _model), value in page.get("signalbox_tokens_total", {}).items():
        tokens[kind] += int(value)
    assert tokens["input"] == sum(row.usage.uncached_input for row in billed)
    assert tokens["cache_read"] == sum(row.usage.cache_read for row in billed)
    assert tokens["cache_write"] == sum(row.usage.cache_write for row in billed)
    assert tokens["output"] == sum(row.usage.output for row in billed)
    served = [row for row in billed if row.model is not None]
    spent = sum(page.get("signalbox_spend_usd_total", {}).values())
    assert spent == pytest.approx(sum(row.cost_nano or 0 for row in served) / 1e9)
    unpriced = sum(page.get("signalbox_unpriced_total", {}).values())
    assert unpriced == sum(row.cost_nano is None for row in served)
    failures = sum(page.get("signalbox_upstream_failures_total", {}).values())
    assert failures == sum(row.purpose == "attempt" for row in rows)


@given(st.lists(st.floats(0, 2)))
def test_a_histograms_buckets_include_their_upper_ends(values: list[float]) -> None:
    histogram = Histogram(OVERHEAD_BOUNDS)
    for value in [*values, *OVERHEAD_BOUNDS]:
        histogram.observe(value)
    for number, bound in enumerate(OVERHEAD_BOUNDS):
        assert sum(histogram.counts[: number + 1]) == sum(value <= bound for value in [*values, *OVERHEAD_BOUNDS])
    assert sum(histogram.counts) == len(values) + len(OVERHEAD_BOUNDS)


def test_a_hit_is_billed_to_nobody_and_saves_what_the_baseline_costs() -> None:
    page = counted([an_outcome(cache="hit", cost_nano=0, baseline_nano=5_000_000_000)])
    assert "signalbox_tokens_total" not in page
    assert "signalbox_upstream_attempts_total" not in page
    assert page["signalbox_baseline_usd_total"] == {("small",): 5.0}


def test_calls_are_counted_by_how_they_ended() -> None:
    page = counted(
        [
            an_outcome(),
            an_outcome(purpose="attempt", outcome="upstream_error", error_code="upstream_timeout", fault="upstream"),
            an_outcome(outcome="caller_error", status=400, fault="caller"),
            an_outcome(outcome="client_closed"),
            an_outcome(outcome="upstream_error", error_code="upstream_broken", fault="upstream"),
            an_outcome(model=None, outcome="refused", error_code="no_eligible_model", fault="policy", status=400),
        ]
    )
    ends = ("ok", "failed", "refused", "caller_left", "broke_off")
    assert page["signalbox_upstream_attempts_total"] == {("small", end): 1.0 for end in ends}
    assert page["signalbox_upstream_failures_total"] == {("upstream_timeout", "small"): 1.0}
    assert page["signalbox_requests_total"][("none", "auto", "400")] == 1
    assert page["signalbox_request_errors_total"][("no_eligible_model", "policy")] == 1
    assert page["signalbox_callers_left_total"] == {("auto",): 1.0}


def test_names_that_no_policy_knows_are_other() -> None:
    page = counted(
        [an_outcome(route=None, model=None, status=404, outcome="caller_error", error_code="model_not_found")]
    )
    assert page["signalbox_requests_total"] == {("other", "other", "404"): 1.0}
    page = counted([an_outcome(route=None, rule="pinned")])
    assert page["signalbox_requests_total"] == {("small", "none", "200"): 1.0}


def test_only_streams_that_a_model_answers_have_a_first_token() -> None:
    streams = [an_outcome(stream=True, ttft_ms=20.0), an_outcome(stream=True, ttft_ms=1.0, cache="hit")]
    page = counted([*streams, an_outcome(ttft_ms=30.0)])
    assert page["signalbox_time_to_first_token_seconds_count"] == {("small",): 1.0}
    assert page["signalbox_time_to_first_token_seconds_sum"] == {("small",): 0.02}


def test_memory_is_bounded_whatever_policies_come_and_go() -> None:
    counts = Counts()
    for number in range(MOST_CELLS + 500):
        counts.record(an_outcome(route=f"route{number}", model=f"model{number}", rule=f"rule{number}"))
    assert len(counts.cells) == MOST_CELLS + 1
    assert sum(cell.count for cell in counts.cells) == MOST_CELLS + 500
    [other] = [cell for cell in counts.cells if cell.kind.model == "other"]
    assert (other.kind.route, other.kind.rule, other.count) == ("other", "other", 500)


def test_requests_that_are_not_accepted_are_counted_by_code_alone() -> None:
    telemetry = Telemetry()
    telemetry.turn_away(ModelNotFound("no"))
    telemetry.turn_away(RequestError("no", code="made up by somebody"))
    assert samples(telemetry)["signalbox_turned_away_total"] == {("model_not_found",): 1.0, ("other",): 1.0}


def test_every_code_that_our_sources_give_is_known() -> None:
    given = {code for path in ROUTER.rglob("*.py") for code in re.findall(r'\bcode="(\w+)"', path.read_text("utf-8"))}
    assert len(given) > 3
    assert given <= ERROR_CODES


def test_names_keep_prometheus_conventions() -> None:
    units = ("seconds", "usd", "tokens")
    for metric in METRICS.values():
        assert re.fullmatch(r"signalbox_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert metric.kind != "histogram" or metric.name.endswith(units)
        assert not {"user", "key", "tenant", "path", "conversation", "request_id"} & set(metric.labels)


def test_a_usage_of_nothing_but_cache_writes_is_counted() -> None:
    page = counted([an_outcome(usage=Usage(cache_write=7))])
    assert page["signalbox_tokens_total"][("cache_write", "small")] == 7
