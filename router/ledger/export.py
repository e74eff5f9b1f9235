"""The ledger as learning wants it: requests that a choice was made for, oldest first, with their labels.

Streamed in batches, so that a large ledger never has to fit in memory. What labels mean is learning's business.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import sqlalchemy as sa

from classifiers.contract import Label, LoggedDecision, ModelCard
from router.ledger.contract import Store
from router.ledger.rows import unpack
from router.ledger.tables import features, labels, outcomes
from router.ledger.tally import dollars
from router.ledger.window import Window

BATCH = 1000


async def decisions(
    store: Store, window: Window, *, labelled_only: bool = False, batch: int = BATCH
) -> AsyncIterator[Sequence[LoggedDecision]]:
    """Batches of logged decisions, oldest first.

    Left out are inner calls, cache hits (nothing was chosen) and requests that nobody answered. labelled_only: only
    requests that have a label.
    """
    same_row = sa.and_(features.c.at_unix == outcomes.c.at_unix, features.c.request_id == outcomes.c.request_id)
    place = sa.tuple_(outcomes.c.at_unix, outcomes.c.request_id)
    query = (
        sa.select(*_COLUMNS)
        .select_from(outcomes.outerjoin(features, same_row))
        .where(
            outcomes.c.at_unix < window.until_unix,
            outcomes.c.purpose == "chat",
            outcomes.c.cache != "hit",
            outcomes.c.outcome == "ok",
            outcomes.c.model.is_not(None),
        )
        .order_by(outcomes.c.at_unix, outcomes.c.request_id)
        .limit(batch)
    )
    if labelled_only:
        query = query.where(sa.exists().where(labels.c.request_id == outcomes.c.request_id))
    after = sa.tuple_(sa.literal(window.since_unix), sa.literal(""))
    since = window.since_unix
    while True:
        found = await store.rows(query.where(outcomes.c.at_unix >= since, place > after))
        if not found:
            return
        given = await _labels_of(store, [row["request_id"] for row in found])
        yield [_decision(row, given.get(row["request_id"], ())) for row in found]
        since = found[-1]["at_unix"]
        after = sa.tuple_(sa.literal(since), sa.literal(found[-1]["request_id"]))


async def audited(store: Store, window: Window) -> list[LoggedDecision]:
    """The other halves of audits, oldest first: what a second model answered to a request, with its labels.

    They bear the request's features, task and assessment, and their own id, model, cost and labels; no chance, for
    nothing was chosen. Only those that were labelled, whose request is still in the ledger.
    """
    asked = outcomes.alias("asked")
    same_row = sa.and_(features.c.at_unix == asked.c.at_unix, features.c.request_id == asked.c.request_id)
    query = (
        sa.select(
            *(outcomes.c[name] for name in _OWN),
            *(asked.c[name] for name in _OF_REQUEST),
            sa.null().label("probability"),
            features.c.vector,
            features.c.features_digest,
        )
        .select_from(outcomes.join(asked, asked.c.request_id == outcomes.c.parent_id).outerjoin(features, same_row))
        .where(
            outcomes.c.at_unix >= window.since_unix,
            outcomes.c.at_unix < window.until_unix,
            outcomes.c.purpose == "audit",
            outcomes.c.outcome == "ok",
            sa.exists().where(labels.c.request_id == outcomes.c.request_id),
        )
        .order_by(outcomes.c.at_unix, outcomes.c.request_id)
    )
    found = await store.rows(query)
    given: dict[str, tuple[Label, ...]] = {}
    for start in range(0, len(found), BATCH):
        given |= await _labels_of(store, [row["request_id"] for row in found[start : start + BATCH]])
    return [_decision(row, given.get(row["request_id"], ())) for row in found]


_OWN = (
    "at_unix request_id tenant model upstream_model tier cost_nano uncached_input cache_read cache_write output".split()
)
_OF_REQUEST = "task language eligible quality".split()
_COLUMNS = [
    *(
        outcomes.c[name]
        for name in "at_unix request_id tenant task language model upstream_model tier eligible quality probability "
        "cost_nano uncached_input cache_read cache_write output".split()
    ),
    features.c.vector,
    features.c.features_digest,
]


async def _labels_of(store: Store, request_ids: Sequence[str]) -> dict[str, tuple[Label, ...]]:
    query = sa.select(labels).where(labels.c.request_id.in_(request_ids)).order_by(labels.c.at_unix)
    given: dict[str, tuple[Label, ...]] = {}
    for row in await store.rows(query):
        label = Label(row["request_id"], row["score"], row["source"], row["weight"], row["at_unix"], row["key"])
        given[label.request_id] = (*given.get(label.request_id, ()), label)
    return given


def _decision(row: sa.RowMapping, given: tuple[Label, ...]) -> LoggedDecision:
    cost, vector = row["cost_nano"], row["vector"]
    return LoggedDecision(
        request_id=row["request_id"],
        at_unix=row["at_unix"],
        tenant=row["tenant"],
        task=row["task"] or "unknown",
        language=row["language"] or "und",
        model=ModelCard(row["model"], row["upstream_model"] or row["model"], row["tier"] or "unknown"),
        eligible=tuple(name for name, may in (row["eligible"] or {}).items() if may is True),
        quality=row["quality"] or {},
        probability=row["probability"],
        cost_usd=None if cost is None else dollars(cost),
        input_tokens=row["uncached_input"] + row["cache_read"] + row["cache_write"],
        output_tokens=row["output"],
        features=None if vector is None else unpack(vector),
        features_digest=row["features_digest"],
        labels=given,
    )
