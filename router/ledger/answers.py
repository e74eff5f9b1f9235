"""What models made of each request, as far as the ledger knows: of the one that answered, and of one that was audited
beside it. Scores are of one kind of label at a time, for a judge's scale is not a user's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Literal

import sqlalchemy as sa
from msgspec import Struct

from classifiers.contract import Label
from classifiers.training.labels import combined
from router.domain import Outcome
from router.ledger.contract import Store
from router.ledger.logged import judged_requests
from router.ledger.tables import labels, outcomes
from router.ledger.tally import dollars
from router.ledger.window import Window

AUDIT_KEY = "audit"
"""Whose labels those of audits are (`router.audits`)."""

Labels = Literal["audit", "judge", "verifier", "user", "all"]


class Answers(Struct, frozen=True):
    """One request: its row with its features, scores in 0..1 and dollars by model, where they are known."""

    row: Outcome
    scores: dict[str, float]
    costs_usd: dict[str, float]


async def answers(
    store: Store, window: Window, by: Labels = "audit", *, batch: int = 500
) -> AsyncIterator[Sequence[Answers]]:
    """Requests that a route decided, oldest first, with what is known of their answers. by: whose labels count."""
    async for rows in judged_requests(store, window, batch=batch):
        audits = await _audits(store, [row.request_id for row in rows])
        ids = [row.request_id for row in rows] + [found["request_id"] for of in audits.values() for found in of]
        scores = await _scores(store, ids, by)
        yield [_answers(row, audits.get(row.request_id, ()), scores) for row in rows]


def _answers(row: Outcome, audits: Sequence[sa.RowMapping], scores: dict[str, float]) -> Answers:
    given: dict[str, float] = {}
    costs: dict[str, float] = {}
    called = [(found["model"], found["request_id"], found["cost_nano"]) for found in audits]
    if row.model is not None and row.outcome == "ok":
        called.append((row.model, row.request_id, row.cost_nano))
    for model, request_id, nano in called:
        if request_id in scores:
            given[model] = scores[request_id]
        if nano is not None:
            costs[model] = dollars(nano)
    return Answers(row, given, costs)


async def _audits(store: Store, request_ids: Sequence[str]) -> dict[str, list[sa.RowMapping]]:
    """The audits that brought an answer, by the request they belong to."""
    query = sa.select(outcomes.c.parent_id, outcomes.c.request_id, outcomes.c.model, outcomes.c.cost_nano).where(
        outcomes.c.parent_id.in_(request_ids),
        outcomes.c.purpose == "audit",
        outcomes.c.outcome == "ok",
        outcomes.c.model.is_not(None),
    )
    found: dict[str, list[sa.RowMapping]] = {}
    for row in await store.rows(query):
        found.setdefault(row["parent_id"], []).append(row)
    return found


async def _scores(store: Store, request_ids: Sequence[str], by: Labels) -> dict[str, float]:
    query = sa.select(labels).where(labels.c.request_id.in_(request_ids)).order_by(labels.c.at_unix)
    if by == "audit":
        query = query.where(labels.c.key == AUDIT_KEY, labels.c.source == "judge")
    elif by != "all":
        query = query.where(labels.c.source == by)
    given: dict[str, list[Label]] = {}
    for row in await store.rows(query):
        label = Label(row["request_id"], row["score"], row["source"], row["weight"], row["at_unix"])
        given.setdefault(label.request_id, []).append(label)
    joined = {request_id: combined(found) for request_id, found in given.items()}
    return {request_id: found[0] for request_id, found in joined.items() if found is not None}
