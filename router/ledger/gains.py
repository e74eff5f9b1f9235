"""By how much the large model's answer was better than the small one's, as audits saw it: for drift of the gain."""

from __future__ import annotations

import sqlalchemy as sa

from router.ledger.contract import Store
from router.ledger.tables import labels, outcomes
from router.ledger.window import Window

MOST = 5_000


async def gains(store: Store, window: Window, *, most: int = MOST) -> list[float]:
    """Of the newest audits of a window, quality of the other tier's answer less the small one's, in -1..1.

    Both halves scored by the same; an audit between two models of which not exactly one is small says nothing here.
    """
    audit, asked = outcomes.alias("audit"), outcomes.alias("asked")
    other, own = labels.alias("other"), labels.alias("own")
    same = sa.and_(own.c.request_id == audit.c.parent_id, own.c.key == other.c.key, own.c.source == other.c.source)
    query = (
        sa.select(audit.c.parent_id, audit.c.tier, other.c.score.label("score"), own.c.score.label("own_score"))
        .select_from(
            audit.join(asked, asked.c.request_id == audit.c.parent_id)
            .join(other, other.c.request_id == audit.c.request_id)
            .join(own, same)
        )
        .where(
            audit.c.at_unix >= window.since_unix,
            audit.c.at_unix < window.until_unix,
            audit.c.purpose == "audit",
            audit.c.outcome == "ok",
            asked.c.purpose == "chat",
            (audit.c.tier == "small") != (asked.c.tier == "small"),
            other.c.weight > 0,
            own.c.weight > 0,
        )
        .order_by(audit.c.at_unix.desc(), audit.c.request_id, other.c.source)
        .limit(most)
    )
    found: dict[str, float] = {}
    for row in await store.rows(query):
        gain = row["score"] - row["own_score"]
        found.setdefault(row["parent_id"], -gain if row["tier"] == "small" else gain)
    return list(found.values())
