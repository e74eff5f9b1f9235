"""What `/api/labels` says of the labels there are, on both databases."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from router.api.ledger_schemas import LabelReportBody
from router.ledger.documents import labels_document
from router.ledger.filters import Filters
from router.ledger.label_report import label_report
from router.ledger.store import SqlStore
from router.ledger.tables import labels
from router.ledger.window import Window

from .outcomes import an_outcome

DAY = 86_400.0
NOON = 20_000 * DAY + DAY / 2
ALL = Window(0.0, NOON * 2)


async def given(
    store: SqlStore, request_id: str, source: str, score: float, *, key: str = "web", at: float = NOON
) -> None:
    row = {"request_id": request_id, "key": key, "source": source, "tenant": "acme", "score": score}
    async with store.transaction() as connection:
        await connection.execute(sa.insert(labels).values(**row, weight=1.0, comment="words", at_unix=at))


async def test_labels_are_counted_by_source_and_by_the_day_they_were_given(store: SqlStore) -> None:
    await given(store, "a", "user", 1.0)
    await given(store, "b", "user", 0.0, at=NOON + DAY / 2 - 1)
    await given(store, "b", "judge", 0.5, at=NOON + DAY / 2)
    report = await label_report(store, ALL)
    assert [(one.source, one.n, one.mean, one.weight) for one in report.by_source] == [
        ("user", 2, 0.5, 2.0),
        ("judge", 1, 0.5, 1.0),
    ]
    assert [(one.day, one.source, one.n) for one in report.by_day] == [
        ("2024-10-04", "user", 2),
        ("2024-10-05", "judge", 1),
    ]


async def test_sources_agree_where_both_say_good_or_both_do_not(store: SqlStore) -> None:
    for request_id, user, judge in (("a", 1.0, 0.9), ("b", 0.0, 0.2), ("c", 1.0, 0.1), ("d", 0.0, 0.5)):
        await given(store, request_id, "user", user)
        await given(store, request_id, "judge", judge)
    await given(store, "alone", "judge", 0.0)
    [pair] = (await label_report(store, ALL)).agreement
    assert (pair.a, pair.b, pair.n, pair.agree) == ("user", "judge", 4, 0.5)


async def test_several_labels_of_one_source_on_a_request_agree_as_their_mean(store: SqlStore) -> None:
    for key, score in (("web", 1.0), ("app", 1.0), ("angry", 0.0)):
        await given(store, "a", "user", score, key=key)
    await given(store, "a", "judge", 0.8)
    [pair] = (await label_report(store, ALL)).agreement
    assert (pair.n, pair.agree) == (1, 1.0)


async def test_the_last_labels_come_first_and_without_the_callers_words(store: SqlStore) -> None:
    await given(store, "a", "user", 1.0, at=NOON)
    await given(store, "b", "implicit", 0.3, key="implicit", at=NOON + 1)
    await given(store, "c", "verifier", 0.0, key="gateway:structure", at=NOON + 2)
    await given(store, "d", "verifier", 0.0, key="tests", at=NOON + 3)
    report = await label_report(store, ALL, limit=4)
    assert [(one.request_id, one.note) for one in report.last] == [
        ("d", None),
        ("c", "words"),
        ("b", "words"),
        ("a", None),
    ]
    assert [one.request_id for one in (await label_report(store, ALL, limit=1)).last] == ["d"]


async def test_only_labels_of_the_window_and_of_requests_that_pass_the_filters_count(store: SqlStore) -> None:
    small, large = an_outcome(model="small"), an_outcome(model="large")
    await store.write([small, large])
    for row in (small, large):
        await given(store, row.request_id, "user", 1.0)
    assert (await label_report(store, ALL, Filters(model="small"))).by_source[0].n == 1
    assert (await label_report(store, Window(0.0, NOON))).by_source == ()


@pytest.mark.parametrize("labelled", [False, True])
async def test_the_document_fits_its_schema(store: SqlStore, labelled: bool) -> None:
    if labelled:
        await given(store, "a", "user", 1.0)
        await given(store, "a", "judge", 1.0)
    document = labels_document(await label_report(store, ALL))
    LabelReportBody.model_validate(document, strict=True, extra="forbid")
    assert len(document["last"]) == (2 if labelled else 0)
