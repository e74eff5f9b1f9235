"""The ledger as learning wants it: requests that a choice was made for, oldest first, with their labels.

Streamed in batches, so that a large ledger never has to fit in memory. What labels mean is learning's business.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from functools import lru_cache
from sys import intern
from typing import Any, Final, cast

import orjson
import sqlalchemy as sa

from classifiers.contract import Label, LabelSource, LoggedDecision, ModelCard
from router.ledger.contract import Store
from router.ledger.rows import unpack
from router.ledger.tables import features, labels, outcomes
from router.ledger.tally import dollars
from router.ledger.window import Window

BATCH: Final = 1000
MOST_SHARED: Final = 4096
"""Values of each kind that are remembered, so that the next row that has the same one shares it."""


async def decisions(
    store: Store, window: Window, *, labelled_only: bool = False, batch: int = BATCH
) -> AsyncIterator[Sequence[LoggedDecision]]:
    """Batches of logged decisions, oldest first.

    Left out are inner calls, cache hits (nothing was chosen) and requests that nobody answered. labelled_only: only
    requests that have a label.
    """
    same_row = sa.and_(features.c.at_unix == outcomes.c.at_unix, features.c.request_id == outcomes.c.request_id)
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
    )
    if labelled_only:
        query = query.where(sa.exists().where(labels.c.request_id == outcomes.c.request_id))
    async for found in _in_batches(store, query, window.since_unix, batch):
        yield found


async def other_halves(store: Store, window: Window, *, batch: int = BATCH) -> AsyncIterator[Sequence[LoggedDecision]]:
    """Batches of the other halves of audits, oldest first: what a second model answered to a request, with its labels.

    They bear the request's features, task and assessment, and their own id, model, cost and labels; no chance, for
    nothing was chosen. Only those that were labelled, whose request is still in the ledger.
    """
    asked = outcomes.alias("asked")
    same_row = sa.and_(features.c.at_unix == asked.c.at_unix, features.c.request_id == asked.c.request_id)
    query = (
        sa.select(
            *(outcomes.c[name] for name in _OWN),
            asked.c.task,
            asked.c.language,
            _raw(asked.c.eligible),
            _raw(asked.c.quality),
            sa.null().label("probability"),
            features.c.vector,
            features.c.features_digest,
        )
        .select_from(outcomes.join(asked, asked.c.request_id == outcomes.c.parent_id).outerjoin(features, same_row))
        .where(
            outcomes.c.at_unix < window.until_unix,
            outcomes.c.purpose == "audit",
            outcomes.c.outcome == "ok",
            sa.exists().where(labels.c.request_id == outcomes.c.request_id),
        )
    )
    async for found in _in_batches(store, query, window.since_unix, batch):
        yield found


async def audited(store: Store, window: Window) -> list[LoggedDecision]:
    """All of `other_halves` at once."""
    return [row async for rows in other_halves(store, window) for row in rows]


async def _in_batches(
    store: Store, query: sa.Select[Any], since_unix: float, batch: int
) -> AsyncIterator[Sequence[LoggedDecision]]:
    """What `query` finds among outcomes since a moment, oldest first, each with its labels; one batch is alive at a
    time, and each begins where the last one ended."""
    place = sa.tuple_(outcomes.c.at_unix, outcomes.c.request_id)
    ordered = query.order_by(outcomes.c.at_unix, outcomes.c.request_id).limit(batch)
    since, after = since_unix, ""
    while True:
        behind = place > sa.tuple_(sa.literal(since), sa.literal(after))
        found = await store.rows(ordered.where(outcomes.c.at_unix >= since, behind))
        if not found:
            return
        given = await _labels_of(store, [row["request_id"] for row in found])
        yield [_decision(row, given.get(row["request_id"], ())) for row in found]
        if len(found) < batch:
            return
        since, after = found[-1]["at_unix"], found[-1]["request_id"]


def _raw(column: sa.Column[Any]) -> sa.Label[str]:
    """A JSON column as the text that it is kept as: what is read here all the time is the same few texts."""
    return sa.cast(column, sa.Text).label(column.name)


_OWN = (
    *"at_unix request_id tenant key model upstream_model tier cost_nano".split(),
    *"uncached_input cache_read cache_write output".split(),
)
_COLUMNS = [
    *(outcomes.c[name] for name in (*_OWN, "task", "language", "probability")),
    _raw(outcomes.c.eligible),
    _raw(outcomes.c.quality),
    features.c.vector,
    features.c.features_digest,
]
_OF_LABEL = [labels.c[name] for name in "request_id score source weight at_unix key".split()]


async def _labels_of(store: Store, request_ids: Sequence[str]) -> dict[str, tuple[Label, ...]]:
    query = sa.select(*_OF_LABEL).where(labels.c.request_id.in_(request_ids)).order_by(labels.c.at_unix)
    same = {name: name for name in request_ids}
    given: dict[str, tuple[Label, ...]] = {}
    for row in await store.rows(query):
        name, source = same[row["request_id"]], cast(LabelSource, intern(row["source"]))
        label = Label(name, row["score"], source, row["weight"], row["at_unix"], intern(row["key"]))
        given[name] = (*given.get(name, ()), label)
    return given


def _decision(row: sa.RowMapping, given: tuple[Label, ...]) -> LoggedDecision:
    """Texts that many rows share are one object, for a retraining holds hundreds of thousands of these."""
    cost, vector, digest, model = row["cost_nano"], row["vector"], row["features_digest"], row["model"]
    return LoggedDecision(
        request_id=row["request_id"],
        at_unix=row["at_unix"],
        tenant=intern(row["tenant"]),
        task=intern(row["task"] or "unknown"),
        language=intern(row["language"] or "und"),
        model=_card(model, row["upstream_model"] or model, row["tier"] or "unknown"),
        eligible=_eligible(row["eligible"]),
        quality=_quality(row["quality"]),
        probability=row["probability"],
        cost_usd=None if cost is None else dollars(cost),
        input_tokens=row["uncached_input"] + row["cache_read"] + row["cache_write"],
        output_tokens=row["output"],
        features=None if vector is None else unpack(vector),
        features_digest=None if digest is None else intern(digest),
        labels=given,
        key=intern(row["key"]),
    )


@lru_cache(MOST_SHARED)
def _card(name: str, model: str, tier: str) -> ModelCard:
    return ModelCard(name, model, tier)


@lru_cache(MOST_SHARED)
def _eligible(raw: str | None) -> tuple[str, ...]:
    return tuple(name for name, may in (orjson.loads(raw) or {}).items() if may is True) if raw else ()


@lru_cache(MOST_SHARED)
def _quality(raw: str | None) -> Mapping[str, float]:
    return cast(Mapping[str, float], orjson.loads(raw) or {}) if raw else {}
