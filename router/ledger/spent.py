"""What was spent since some moment, by everything that a budget can be for."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa

from router.ledger.contract import Store
from router.ledger.tables import outcomes

_NOT_A_CALLERS = ("audit", "judge")
"""Calls that no request pays for."""


class Spent(NamedTuple):
    """Nano-dollars of one tenant, key, route and model, today and this month. model: None for a retriever's calls."""

    tenant: str
    key: str
    route: str | None
    model: str | None
    day_nano: int
    month_nano: int


async def spent(store: Store, day_unix: float, month_unix: float) -> list[Spent]:
    """Of requests that came since these moments, the beginnings of a day and of its month. Raises StoreError."""
    today = sa.case((outcomes.c.at_unix >= day_unix, outcomes.c.cost_nano), else_=0)
    by = (outcomes.c.tenant, outcomes.c.key, outcomes.c.route, outcomes.c.model, outcomes.c.provider)
    query = (
        sa.select(*by, sa.func.sum(today).label("day"), sa.func.sum(outcomes.c.cost_nano).label("month"))
        .where(outcomes.c.at_unix >= month_unix, outcomes.c.cost_nano > 0, outcomes.c.purpose.not_in(_NOT_A_CALLERS))
        .group_by(*by)
    )
    return [
        Spent(
            row["tenant"],
            row["key"],
            row["route"],
            None if row["provider"] == "retriever" else row["model"],
            int(row["day"] or 0),
            int(row["month"] or 0),
        )
        for row in await store.rows(query)
    ]
