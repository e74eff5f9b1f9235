"""Quality beside cost and the reliability of predictions: equal to sums made by hand, on both databases."""

from __future__ import annotations

import random
from typing import Any

import pytest

from classifiers.contract import Label
from classifiers.training.labels import combined
from router.ledger.filters import Filters
from router.ledger.intervals import share_of, weighted, wilson
from router.ledger.quality import QUALITY_BYS, quality_report, reliability_report
from router.ledger.store import SqlStore
from router.ledger.window import read_window

from .outcomes import an_outcome
from .twice import an_audit, keep

SOURCES = ("user", "judge", "implicit", "verifier")


def approx(value: Any) -> Any:
    return pytest.approx(value, rel=1e-9, abs=1e-12)


def test_the_interval_is_wilsons() -> None:
    # Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    for count, n, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611),
                                (1, 29, 0.0061, 0.1718)):  # fmt: skip
        assert (round(share_of(count, n).low or 0, 4), round(share_of(count, n).high or 0, 4)) == (low, high)


def test_weights_that_differ_widen_the_interval_and_few_heavy_labels_count_as_few() -> None:
    even, uneven = weighted(100, 100, 100, 80), weighted(100, 100, 2000, 80)
    assert even.mean == uneven.mean == 0.8
    assert (uneven.low or 0) < (even.low or 0) < 0.8 < (even.high or 0) < (uneven.high or 0)
    assert (uneven.low, uneven.high) == wilson(0.8, 5)


async def test_labels_join_in_sql_as_they_do_for_learning(store: SqlStore) -> None:
    chance = random.Random(4)
    for number in range(60):
        row = an_outcome(rule=f"rule {number}")
        await store.write([row])
        given = []
        for key in ("web", "batch", "audit"):
            for source in chance.sample(SOURCES, chance.randint(0, 2)):
                score, weight = chance.random(), chance.choice((-1.0, 0.0, 0.25, 1.0, 3.0))
                await store.add_label(row.request_id, "acme", key, source, score, weight)  # type: ignore[arg-type]
                given.append(Label(row.request_id, score, source, weight, row.at_unix, key))  # type: ignore[arg-type]
        [found] = (await quality_report(store, read_window("1h"), "model", Filters(rule=row.rule))).rows
        expected = combined(given)
        assert found.labelled.n == (expected is not None)
        if expected is not None:
            assert found.labelled.mean == approx(expected[0])


async def test_a_request_counts_by_the_weight_of_its_labels(store: SqlStore) -> None:
    sure, hinted = an_outcome(), an_outcome()
    await store.write([sure, hinted, an_outcome()])
    await store.add_label(sure.request_id, "acme", "ci", "verifier", 1.0)
    await store.add_label(hinted.request_id, "acme", "implicit", "implicit", 0.0)
    total = (await quality_report(store, read_window("1h"))).total
    assert (total.requests, total.labelled.n, total.share_labelled) == (3, 2, 2 / 3)
    assert total.labelled.mean == approx(1.0 / 1.2), "a verifier counts in full, a hint a fifth"


async def test_audits_speak_for_all_and_stand_apart(store: SqlStore) -> None:
    await keep(store, an_audit(0.5, 0.9), an_audit(0.7, 0.9))
    angry = an_outcome()
    await store.write([angry])
    await store.add_label(angry.request_id, "acme", "web", "user", 0.0)
    # A caller's key may well be named so: what a judge said is told by its source.
    await store.add_label(angry.request_id, "acme", "audit", "user", 0.0)
    total = (await quality_report(store, read_window("1h"))).total
    assert (total.requests, total.labelled.n, total.audited.n) == (3, 3, 2)
    assert total.audited.mean == approx(0.6), "of the answers that went out, not of the others"
    assert total.labelled.mean == approx((0.8 * 0.5 + 0.8 * 0.7 + 1.0 * 0.0) / 2.6)


async def test_money_is_of_the_same_answers_and_what_nobody_priced_is_counted(store: SqlStore) -> None:
    rows = [
        an_outcome(cost_nano=100, baseline_nano=900),
        an_outcome(cost_nano=None),
        an_outcome(cache="hit"),
        an_outcome(outcome="upstream_error", status=502),
        an_outcome(purpose="judge", parent_id="x", cost_nano=7),
    ]
    await store.write(rows)
    total = (await quality_report(store, read_window("1h"))).total
    assert (total.requests, total.unpriced, total.cost_usd, total.baseline_usd) == (2, 1, 1e-7, 9e-7)


@pytest.mark.parametrize("by", QUALITY_BYS)
async def test_groups_add_up_to_the_total(store: SqlStore, by: Any) -> None:
    await store.write([an_outcome(model="small", task="code"), an_outcome(model="large", route=None, rule="hard")])
    await keep(store, an_audit(0.4, 0.8), an_audit(0.2, 0.6, served_large=True))
    report = await quality_report(store, read_window("1h"), by)
    for name in ("requests", "unpriced"):
        assert sum(getattr(row, name) for row in report.rows) == getattr(report.total, name)
    assert sum(row.audited.n for row in report.rows) == report.total.audited.n == 2
    assert report.total.audited.mean == approx((0.4 + 0.6) / 2)


async def test_nothing_labelled_is_no_mean_rather_than_zero(store: SqlStore) -> None:
    empty = (await quality_report(store, read_window("1h"))).total
    assert (empty.requests, empty.cost_usd, empty.labelled.mean, empty.share_labelled) == (0, None, None, 0.0)
    await store.write([an_outcome()])
    total = (await quality_report(store, read_window("1h"))).total
    assert (total.requests, total.labelled.n, total.labelled.mean, total.audited.low) == (1, 0, None, None)


async def test_predictions_fall_into_their_bins_and_the_error_is_the_gaps_by_weight(store: SqlStore) -> None:
    given = [(0.05, 0.0), (0.3, 1.0), (0.39, 0.0), (0.7, 1.0), (1.0, 1.0)]
    for predicted, score in given:
        row = an_outcome(quality={"small": predicted, "large": 0.99}, classifier="fast@1")
        await store.write([row])
        await store.add_label(row.request_id, "acme", "ci", "verifier", score)
    unpredicted = an_outcome(quality={})
    await store.write([unpredicted])
    await store.add_label(unpredicted.request_id, "acme", "ci", "verifier", 0.0)
    report = await reliability_report(store, read_window("1h"))
    [version] = report.versions
    assert (version.classifier, version.n, report.all.n) == ("fast@1", 5, 5)
    assert [one.labelled.n for one in version.bins] == [1, 0, 0, 2, 0, 0, 0, 1, 0, 1]
    assert version.bins[3].predicted == approx(0.345)
    assert version.bins[3].labelled.mean == approx(0.5)
    assert version.error == approx((0.05 + 2 * abs(0.345 - 0.5) + 0.3 + 0.0) / 5)


async def test_versions_of_the_judge_stand_apart_and_sum_to_all(store: SqlStore) -> None:
    for number in range(14):
        for _ in range(1 + number % 3):
            row = an_outcome(quality={"small": 0.5}, classifier=f"fast@{number:02d}")
            await store.write([row])
            await store.add_label(row.request_id, "acme", "ci", "verifier", 1.0)
    report = await reliability_report(store, read_window("1h"))
    assert (len(report.versions), report.left_out) == (12, 2)
    assert [one.n for one in report.versions] == sorted((one.n for one in report.versions), reverse=True)
    assert report.all.n == sum(1 + number % 3 for number in range(14))


async def test_a_models_name_is_only_ever_a_name(store: SqlStore) -> None:
    row = an_outcome(model="qwen2.5:3b/it", quality={"qwen2.5:3b/it": 0.25, "qwen2": 0.9})
    foreign = an_outcome(model='a"b', quality={"a": 0.9})
    for one in (row, foreign):
        await store.write([one])
        await store.add_label(one.request_id, "acme", "ci", "verifier", 0.0)
    report = await reliability_report(store, read_window("1h"))
    assert (report.all.n, report.all.bins[2].labelled.n) == (1, 1)
