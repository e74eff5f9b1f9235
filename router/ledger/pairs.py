"""Requests that two models answered, both scored alike: what audits leave in the ledger, for setting thresholds.

One label alone says how good one model was; what another would have lost takes both, by the same judge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from router.domain import Outcome
from router.ledger.contract import Store
from router.ledger.filters import within
from router.ledger.rows import outcome_of
from router.ledger.tables import features, labels, outcomes
from router.ledger.tally import dollars
from router.ledger.window import Window

BATCH = 500


@dataclass(frozen=True, slots=True)
class OtherAnswer:
    """What the other model's answer was worth. own_score: of the answer that went out, by the same judge."""

    row: Outcome
    score: float
    own_score: float


@dataclass(frozen=True, slots=True)
class ScoredPair:
    """A request with its features, where they are kept, and what the other model's answer was worth."""

    row: Outcome
    other: OtherAnswer


async def scored_pairs(store: Store, window: Window, *, routes: Sequence[str], most: int) -> list[ScoredPair]:
    """Requests of some routes that were answered twice and both scored: the newest `most`, the oldest of them first."""
    others = await other_answers(store, window, routes=routes, most=most)
    same_row = sa.and_(features.c.at_unix == outcomes.c.at_unix, features.c.request_id == outcomes.c.request_id)
    query = (
        sa.select(*outcomes.c, features.c.vector, features.c.features_digest)
        .select_from(outcomes.outerjoin(features, same_row))
        .where(*within(window), outcomes.c.purpose == "chat", outcomes.c.complexity.is_not(None))
    )
    names, rows = list(others), []
    for begin in range(0, len(names), BATCH):
        batch = query.where(outcomes.c.request_id.in_(names[begin : begin + BATCH]))
        rows += [outcome_of(row) for row in await store.rows(batch)]
    rows.sort(key=lambda row: (row.at_unix, row.request_id))
    return [ScoredPair(row, others[row.request_id]) for row in rows]


async def other_answers(
    store: Store, window: Window, *, routes: Sequence[str] = (), most: int | None = None
) -> dict[str, OtherAnswer]:
    """By the request's id, those that an audit answered too and scored both of. routes: of these alone, where any is
    named. most: the newest so many answers."""
    query = sa.select(outcomes).where(
        *within(window), outcomes.c.purpose == "audit", outcomes.c.outcome == "ok", outcomes.c.parent_id.is_not(None)
    )
    if routes:
        query = query.where(outcomes.c.route.in_(routes))
    newest_first = query.order_by(outcomes.c.at_unix.desc(), outcomes.c.request_id.desc()).limit(most)
    rows = [outcome_of(row) for row in reversed(await store.rows(newest_first))]
    found = {}
    for begin in range(0, len(rows), BATCH):
        batch = rows[begin : begin + BATCH]
        scores = await _scores(store, [name for row in batch for name in (row.request_id, row.parent_id or "")])
        for row in batch:
            given, own = scores.get(row.request_id, {}), scores.get(row.parent_id or "", {})
            both = sorted(given.keys() & own.keys())
            if both and row.parent_id is not None:
                found[row.parent_id] = OtherAnswer(row, given[both[0]], own[both[0]])
    return found


async def audits_cost(store: Store, since_unix: float) -> tuple[int, float]:
    """(how many requests a second model answered, dollars that those answers and their judging took) since a moment."""
    counted = sa.func.sum(sa.case((outcomes.c.purpose == "audit", 1), else_=0))
    spent = sa.func.sum(outcomes.c.cost_nano)
    query = sa.select(sa.func.coalesce(counted, 0).label("audits"), sa.func.coalesce(spent, 0).label("nano")).where(
        outcomes.c.at_unix >= since_unix, outcomes.c.purpose.in_(("audit", "judge"))
    )
    [row] = await store.rows(query)
    return int(row["audits"]), dollars(int(row["nano"]))


async def _scores(store: Store, request_ids: Sequence[str]) -> dict[str, dict[tuple[str, str], float]]:
    """By request and by who scored it."""
    query = sa.select(labels).where(labels.c.request_id.in_(request_ids), labels.c.weight > 0)
    found: dict[str, dict[tuple[str, str], float]] = {}
    for row in await store.rows(query):
        found.setdefault(row["request_id"], {})[(row["key"], row["source"])] = float(row["score"])
    return found
