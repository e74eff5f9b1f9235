"""The ledger as trying a policy wants it: requests as they were judged, oldest first, with what their features were."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import sqlalchemy as sa

from router.domain import Outcome
from router.ledger.contract import Store
from router.ledger.filters import within
from router.ledger.rows import outcome_of
from router.ledger.tables import features, outcomes, texts
from router.ledger.window import Window

BATCH = 1000


async def judged_requests(store: Store, window: Window, *, batch: int = BATCH) -> AsyncIterator[Sequence[Outcome]]:
    """Requests that a route decided, a batch at a time. Left out are inner calls, cache hits (nothing was decided) and
    models named outright (no policy moves those)."""
    same_row = sa.and_(features.c.at_unix == outcomes.c.at_unix, features.c.request_id == outcomes.c.request_id)
    query = (
        sa.select(*outcomes.c, features.c.vector, features.c.features_digest)
        .select_from(outcomes.outerjoin(features, same_row))
        .where(
            *within(window),
            outcomes.c.purpose == "chat",
            outcomes.c.cache != "hit",
            outcomes.c.route.is_not(None),
            outcomes.c.complexity.is_not(None),
        )
        .order_by(outcomes.c.at_unix, outcomes.c.request_id)
        .limit(batch)
    )
    place = sa.tuple_(outcomes.c.at_unix, outcomes.c.request_id)
    since, after = window.since_unix, ""
    while True:
        behind = place > sa.tuple_(sa.literal(since), sa.literal(after))
        found = await store.rows(query.where(outcomes.c.at_unix >= since, behind))
        if not found:
            return
        yield [outcome_of(row) for row in found]
        since, after = found[-1]["at_unix"], found[-1]["request_id"]


async def texts_of(store: Store, request_ids: Sequence[str]) -> dict[str, str]:
    """The bodies of some requests, where the policy kept them."""
    query = sa.select(texts.c.request_id, texts.c.request_text).where(texts.c.request_id.in_(request_ids))
    return {row["request_id"]: row["request_text"] for row in await store.rows(query) if row["request_text"]}


async def bodies_of(store: Store, request_ids: Sequence[str]) -> tuple[dict[str, str], set[str]]:
    """(request bodies where the policy kept them, which of the asks were private), by the id of an answer.

    The ask of an audit is its request's. Bodies of private asks are not read.
    """
    of_answers = sa.select(outcomes.c.request_id, outcomes.c.parent_id).where(outcomes.c.request_id.in_(request_ids))
    asked = {row["request_id"]: row["parent_id"] or row["request_id"] for row in await store.rows(of_answers)}
    of_asks = sa.select(outcomes.c.request_id, outcomes.c.ask).where(outcomes.c.request_id.in_(set(asked.values())))
    private = {row["request_id"] for row in await store.rows(of_asks) if (row["ask"] or {}).get("private")}
    texts = await texts_of(store, [name for name in set(asked.values()) if name not in private])
    bodies = {name: texts[parent] for name, parent in asked.items() if parent in texts}
    return bodies, {name for name, parent in asked.items() if parent in private}
