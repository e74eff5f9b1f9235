"""Misroutes and what cost buys: of known pairs the shares, dollars, lists and curves that a hand would write down."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from classifiers.training.measures import quality_curve
from router.learning.thresholds import promised_by
from router.ledger.filters import Filters
from router.ledger.misroutes import LISTED_MOST, misroute_report
from router.ledger.store import SqlStore
from router.ledger.tradeoff import POINTS, Promised, tradeoff_report
from router.ledger.twofold import Twofold, twofold
from router.ledger.window import Window
from router.policy.load import parse_policy

from .outcomes import an_outcome
from .twice import an_audit, keep

HOUR = Window(time.time() - 3600, time.time() + 86_400)

POLICY = """
version: 1
models:
  small: {tier: small, model: s, base_url: "http://127.0.0.1:9/v1", price: {input: 0.1, output: 0.4}}
  large: {tier: large, model: l, base_url: "http://127.0.0.1:9/v1", price: {input: 3, output: 15}}
default: small
routes:
  auto:
    baseline: large
    rules:
      - {name: easy, when: "complexity < 0.35", use: small}
      - {name: promise, when: "complexity < 0.5", choose: cheapest, among: [small, large], keep_quality: 0.75}
      - {name: tuned, choose: cheapest, among: [small, large], keep_quality: 0.9, threshold: 0.1}
"""


def approx(value: Any) -> Any:
    return pytest.approx(value, rel=1e-9, abs=1e-15)


async def test_both_kinds_are_counted_priced_and_listed_the_worst_first(store: SqlStore) -> None:
    bad, worst, fine = an_audit(0.5, 0.9), an_audit(0.1, 1.0), an_audit(0.8, 0.9)
    needless = an_audit(0.9, 0.9, served_large=True, small_nano=100, large_nano=900)
    better = an_audit(1.0, 0.6, served_large=True, small_nano=100, large_nano=2900)
    needed = an_audit(0.3, 0.9, served_large=True, large_nano=5000)
    await keep(store, bad, worst, fine, needless, better, needed)
    report = await misroute_report(store, HOUR)
    cheap, dear = report.cheap_and_bad, report.dear_and_not_needed
    assert (report.pairs, report.capped) == (6, False)
    assert (cheap.served, cheap.wrong_requests, cheap.wrong.mean) == (3, 2, approx(2 / 3))
    assert cheap.lost.value == approx((0.4 + 0.9) / 3)
    assert [one.pair.request_id for one in cheap.listed] == [worst.asked.request_id, bad.asked.request_id]
    assert (dear.served, dear.wrong_requests, dear.wrong.mean) == (3, 2, approx(2 / 3))
    assert dear.wasted_usd == approx((800 + 2800) / 1e9)
    assert dear.spent_usd == approx((900 + 2900 + 5000) / 1e9)
    assert [one.pair.request_id for one in dear.listed] == [better.asked.request_id, needless.asked.request_id]
    assert (cheap.wrong.low or 1) < 2 / 3 < (cheap.wrong.high or 0)


async def test_what_counts_as_worse_and_as_alike_can_be_said(store: SqlStore) -> None:
    await keep(store, an_audit(0.5, 0.75), an_audit(0.75, 1.0, served_large=True))
    strict = await misroute_report(store, HOUR, worse=0.5, alike=0.0)
    assert (strict.cheap_and_bad.wrong_requests, strict.dear_and_not_needed.wrong_requests) == (0, 0)
    loose = await misroute_report(store, HOUR, worse=0.25, alike=0.25)
    assert (loose.cheap_and_bad.wrong_requests, loose.dear_and_not_needed.wrong_requests) == (1, 1)


async def test_a_waste_of_unknown_price_is_counted_not_guessed(store: SqlStore) -> None:
    await keep(store, an_audit(0.9, 0.9, served_large=True, large_nano=None))
    dear = (await misroute_report(store, HOUR)).dear_and_not_needed
    assert (dear.wrong_requests, dear.wasted_usd, dear.unpriced) == (1, 0, 1)
    assert dear.listed[0].wasted_usd is None


async def test_an_empty_ledger_has_no_shares(store: SqlStore) -> None:
    report = await misroute_report(store, HOUR)
    assert (report.pairs, report.cheap_and_bad.wrong.mean, report.cheap_and_bad.lost.value) == (0, None, None)
    curve = await tradeoff_report(store, HOUR)
    assert (curve.pairs, curve.by_gain, curve.today) == (0, (), None)


async def test_only_whole_pairs_of_the_span_and_the_filters_count(store: SqlStore) -> None:
    whole = an_audit(0.1, 0.9, rule="easy")
    other = an_audit(0.1, 0.9, rule="hard")
    strangers = an_audit(0.1, 0.9, baseline_model="gone")
    long_ago = an_audit(0.1, 0.9, at_unix=whole.asked.at_unix - 7200)
    await keep(store, whole, other, strangers, long_ago)
    half = an_audit(0.1, 0.9)
    await store.write([half.asked, half.other])
    await store.add_label(half.asked.request_id, "acme", "audit", "judge", 0.1)
    assert (await misroute_report(store, HOUR, Filters(rule="easy"))).pairs == 1
    page = await twofold(store, HOUR)
    assert {pair.request_id for pair in page.pairs} == {whole.asked.request_id, other.asked.request_id}


async def test_labels_of_two_judges_are_one_pair_and_callers_labels_make_none(store: SqlStore) -> None:
    one = an_audit(0.2, 0.8)
    await keep(store, one)
    for row, score in ((one.asked, 0.6), (one.other, 0.7)):
        await store.add_label(row.request_id, "acme", "panel", "judge", score, known=True)
    await store.add_label(one.asked.request_id, "acme", "web", "user", 0.0)
    [pair] = (await twofold(store, HOUR)).pairs
    assert (pair.small_score, pair.large_score) == (0.2, 0.8), "the first judge by name"


async def test_a_long_list_is_cut_and_said_to_be(store: SqlStore) -> None:
    await keep(store, *(an_audit(0.1, 0.9) for _ in range(LISTED_MOST + 3)))
    cheap = (await misroute_report(store, HOUR)).cheap_and_bad
    assert (cheap.wrong_requests, len(cheap.listed)) == (LISTED_MOST + 3, LISTED_MOST)
    page = await twofold(store, HOUR, most=10)
    assert (len(page.pairs), page.capped) == (10, True)


async def test_pairs_are_read_batch_by_batch_and_none_is_lost_or_told_twice(store: SqlStore) -> None:
    moment = time.time()
    audits = [an_audit(0.1, 0.9, at_unix=moment - number // 3) for number in range(14)]
    await keep(store, *audits)
    for one in audits[::2]:  # a second judge: two rows, one pair
        for row in (one.asked, one.other):
            await store.add_label(row.request_id, "acme", "panel", "judge", 0.5, known=True)
    page = await twofold(store, HOUR, batch=4)
    assert sorted(pair.request_id for pair in page.pairs) == sorted(one.asked.request_id for one in audits)
    assert {pair.small_score for pair in page.pairs} == {0.1}
    assert page.capped is False
    assert [pair.at_unix for pair in page.pairs] == sorted((pair.at_unix for pair in page.pairs), reverse=True)


async def test_the_curve_is_the_measures_and_ends_at_all_small_and_all_large(store: SqlStore) -> None:
    audits = [
        an_audit(small, large, predicted=(0.9 - gain, 0.9), served_large=number % 2 == 0, small_nano=100 + number)
        for number, (small, large, gain) in enumerate(
            [(0.2, 0.9, 0.5), (0.9, 0.9, 0.1), (0.5, 0.6, 0.3), (1.0, 0.8, 0.0), (0.1, 1.0, 0.4)] * 4
        )
    ]
    await keep(store, *audits)
    report = await tradeoff_report(store, HOUR)
    small, large = ([getattr(one, side) for one in audits] for side in ("small", "large"))
    n = len(audits)
    first, last = report.by_gain[0], report.by_gain[-1]
    assert (first.share_large, first.quality, first.usd) == (
        0.0,
        approx(sum(small) / n),
        approx(sum(range(100, 120)) / n / 1e9),
    )
    assert (last.share_large, last.quality, last.usd) == (1.0, approx(sum(large) / n), approx(900e-9))
    assert report.by_chance == (first, last)
    by_hand = quality_curve(*(_array(v) for v in ([one.gain for one in map(_gain, audits)], small, large)))
    whole_ties = [step for step in range(POINTS + 1) if step * n // POINTS % 4 == 0]
    assert [report.by_gain[step].quality for step in whole_ties] == approx([by_hand[step] for step in whole_ties])
    assert report.today is not None
    assert report.today.share_large == 0.5
    served = [one.large if one.served_large else one.small for one in audits]
    assert report.today.quality == approx(sum(served) / n) == approx(report.today_quality.value)
    assert (report.by_gain_area.value or 0) > 0.7 > 0.6 > (report.by_length_area.value or 0)


async def test_pairs_without_a_price_or_a_prediction_are_left_out_and_counted(store: SqlStore) -> None:
    await keep(store, an_audit(0.1, 0.9), an_audit(0.1, 0.9, small_nano=None), an_audit(0.1, 0.9, quality={}))
    report = await tradeoff_report(store, HOUR)
    assert (report.pairs, report.left_out) == (1, 2)


async def test_todays_thresholds_stand_where_the_rules_would_send_the_pairs(store: SqlStore) -> None:
    predicted = [(0.6, 0.9), (0.7, 0.9), (0.85, 0.9), (0.9, 0.9)]
    await keep(store, *(an_audit(0.5, 0.9, predicted=one) for one in predicted))
    await keep(store, an_audit(0.5, 0.9, route="other"))
    promised = promised_by(parse_policy(POLICY, env={}))
    assert [(one.rule, one.kind, one.value) for one in promised] == [
        ("promise", "keep_quality", 0.75),
        ("tuned", "threshold", 0.1),
    ]
    found = (await tradeoff_report(store, HOUR, None, promised)).thresholds
    assert [one.pairs for one in found] == [4, 4]
    # keep 0.75 of 0.9 is 0.675: one goes to the large one. A loss of at most 0.1 rules out two.
    assert [one.point.share_large for one in found if one.point] == [0.25, 0.5]
    nowhere = (await tradeoff_report(store, HOUR, Filters(route="none"), promised)).thresholds
    assert [(one.pairs, one.point) for one in nowhere] == [(0, None), (0, None)]


def test_a_small_model_that_a_rule_does_not_name_never_serves_under_it() -> None:
    [promise, _] = promised_by(
        parse_policy(POLICY.replace("among: [small, large], keep", "among: [large], keep", 1), env={})
    )
    assert isinstance(promise, Promised)
    pair = _gain(an_audit(0.5, 0.9, predicted=(0.9, 0.9)))
    assert promise.sends(pair) is True
    assert promise.sends(replace(pair, small="large")) is False


def _gain(one: Any) -> Any:
    quality = one.asked.quality
    return Twofold(
        one.asked.request_id, one.asked.at_unix, "auto", "easy", None, one.served_large, "small", "large", one.small,
        one.large, 0.0, 0.0, quality["small"], quality["large"], 10,
    )  # fmt: skip


def _array(values: list[float]) -> Any:
    return np.array(values)


async def test_cache_hits_and_failed_audits_make_no_pair(store: SqlStore) -> None:
    hit, failed = an_audit(0.1, 0.9, cache="hit"), an_audit(0.1, 0.9)
    failed.other.outcome = "upstream_error"
    await keep(store, hit, failed)
    await store.write([an_outcome()])
    assert (await twofold(store, HOUR)).pairs == ()
