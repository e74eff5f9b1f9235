"""Labelled requests by who judged them: what is looked at to see how a judge fares while it serves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from classifiers.contract import Label, LoggedDecision, ModelCard
from router.ledger.contract import Store
from router.ledger.tables import labels, outcomes
from router.ledger.tally import dollars

BATCH = 1000


@dataclass(frozen=True, slots=True)
class JudgedRequest:
    """One request that a route decided. classifier: `tier@digest`. conversation: of the tenant; its own id without one.
    logged: with its labels, without features."""

    classifier: str
    conversation: str
    logged: LoggedDecision


async def judged_requests_of(
    store: Store, classifiers: Collection[str], since_unix: float, *, batch: int = BATCH
) -> AsyncIterator[Sequence[JudgedRequest]]:
    """Batches of labelled requests that one of these classifiers judged, oldest first.

    Left out are inner calls, cache hits, models named outright, and requests that another stood in to judge.
    """
    place = sa.tuple_(outcomes.c.at_unix, outcomes.c.request_id)
    query = (
        sa.select(*(outcomes.c[name] for name in _COLUMNS))
        .where(
            outcomes.c.classifier.in_(list(classifiers)),
            outcomes.c.purpose == "chat",
            outcomes.c.cache != "hit",
            outcomes.c.outcome == "ok",
            outcomes.c.route.is_not(None),
            outcomes.c.model.is_not(None),
            sa.exists().where(labels.c.request_id == outcomes.c.request_id, labels.c.weight > 0),
        )
        .order_by(outcomes.c.at_unix, outcomes.c.request_id)
        .limit(batch)
    )
    since, after = since_unix, ""
    while True:
        behind = place > sa.tuple_(sa.literal(since), sa.literal(after))
        found = await store.rows(query.where(outcomes.c.at_unix >= since, behind))
        if not found:
            return
        given: dict[str, list[Label]] = {row["request_id"]: [] for row in found}
        of_these = sa.select(labels).where(labels.c.request_id.in_(list(given)), labels.c.weight > 0)
        for row in await store.rows(of_these.order_by(labels.c.at_unix)):
            label = Label(row["request_id"], row["score"], row["source"], row["weight"], row["at_unix"], row["key"])
            given[label.request_id].append(label)
        yield [_judged(row, tuple(given[row["request_id"]])) for row in found]
        since, after = found[-1]["at_unix"], found[-1]["request_id"]


_COLUMNS = "at_unix request_id tenant conversation classifier task language model upstream_model tier cost_nano".split()


def _judged(row: sa.RowMapping, given: tuple[Label, ...]) -> JudgedRequest:
    logged = LoggedDecision(
        request_id=row["request_id"],
        at_unix=row["at_unix"],
        tenant=row["tenant"],
        task=row["task"] or "unknown",
        language=row["language"] or "und",
        model=ModelCard(row["model"], row["upstream_model"] or row["model"], row["tier"] or "unknown"),
        eligible=(),
        quality={},
        probability=None,
        cost_usd=None if row["cost_nano"] is None else dollars(row["cost_nano"]),
        input_tokens=0,
        output_tokens=0,
        features=None,
        features_digest=None,
        labels=given,
    )
    conversation = f"{row['tenant']}\0{row['conversation']}" if row["conversation"] else row["request_id"]
    return JudgedRequest(row["classifier"], conversation, logged)
