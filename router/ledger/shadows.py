"""What the shadow policy would have changed: which share would have moved, from where to where, at what cost.

A request counts where the shadow decided it too. Cost is that of the request with the inner calls of its plan, against
what the shadow's plan is expected to cost at the same tokens; both only over requests of which both are known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from router.ledger.contract import Store
from router.ledger.filters import Filters, matching, within
from router.ledger.tables import outcomes
from router.ledger.tally import dollars
from router.ledger.window import Window

_OF_PLANS = ("select", "retrieve", "draft", "vote", "part", "combine")


@dataclass(frozen=True, slots=True)
class ShadowMove:
    """The requests that went to one model and would have gone to another. shadow_model: None for a refusal.

    gain: mean change of predicted quality; None where it is known of none. compared: those whose costs are both known.
    """

    policy: str
    model: str | None
    shadow_model: str | None
    requests: int
    compared: int
    cost_usd: float | None
    shadow_cost_usd: float | None
    gain: float | None

    @property
    def moves(self) -> bool:
        return self.model != self.shadow_model


@dataclass(frozen=True, slots=True)
class ShadowReport:
    """moves: those that stay are among them; the most requests first."""

    window: Window
    moves: tuple[ShadowMove, ...]

    @property
    def requests(self) -> int:
        return sum(move.requests for move in self.moves)

    @property
    def moved(self) -> float | None:
        """Share that would have gone elsewhere."""
        return sum(move.requests for move in self.moves if move.moves) / self.requests if self.requests else None

    @property
    def compared(self) -> int:
        return sum(move.compared for move in self.moves)

    @property
    def cost_usd(self) -> float | None:
        return _total([move.cost_usd for move in self.moves])

    @property
    def shadow_cost_usd(self) -> float | None:
        return _total([move.shadow_cost_usd for move in self.moves])

    @property
    def gain(self) -> float | None:
        """Mean change of predicted quality, over all requests of which it is known."""
        known = [(move.gain, move.requests) for move in self.moves if move.gain is not None]
        count = sum(requests for _, requests in known)
        return sum(gain * requests for gain, requests in known) / count if count else None


async def shadow_report(store: Store, window: Window, filters: Filters | None = None) -> ShadowReport:
    """The comparison over a span of time; without moves where no shadow decided anything."""
    inner = outcomes.alias("inner_calls")
    of_plan = (
        sa.select(inner.c.parent_id, sa.func.sum(inner.c.cost_nano).label("nano"))
        .where(
            inner.c.at_unix >= window.since_unix,
            inner.c.purpose.in_(_OF_PLANS),
            inner.c.parent_id.is_not(None),
        )
        .group_by(inner.c.parent_id)
        .subquery()
    )
    both = sa.and_(outcomes.c.cost_nano.is_not(None), outcomes.c.shadow_cost_nano.is_not(None))
    spent = outcomes.c.cost_nano + sa.func.coalesce(of_plan.c.nano, 0)
    ways = (outcomes.c.shadow_policy, outcomes.c.decided_model, outcomes.c.shadow_model)
    query = (
        sa.select(
            *ways,
            sa.func.count().label("requests"),
            sa.func.count(sa.case((both, 1))).label("compared"),
            sa.func.sum(sa.case((both, spent))).label("nano"),
            sa.func.sum(sa.case((both, outcomes.c.shadow_cost_nano))).label("shadow_nano"),
            sa.func.avg(outcomes.c.shadow_gain).label("gain"),
        )
        .select_from(outcomes.outerjoin(of_plan, of_plan.c.parent_id == outcomes.c.request_id))
        .where(*within(window), outcomes.c.shadow_policy.is_not(None), *matching(filters))
        .group_by(*ways)
    )
    moves = [_move(row) for row in await store.rows(query)]
    moves.sort(key=lambda move: (-move.requests, move.model or "", move.shadow_model or "", move.policy))
    return ShadowReport(window, tuple(moves))


def _move(row: Mapping[Any, Any]) -> ShadowMove:
    compared = int(row["compared"])
    return ShadowMove(
        row["shadow_policy"],
        row["decided_model"],
        row["shadow_model"],
        int(row["requests"]),
        compared,
        dollars(int(row["nano"])) if compared else None,
        dollars(int(row["shadow_nano"])) if compared else None,
        None if row["gain"] is None else float(row["gain"]),
    )


def _total(amounts: list[float | None]) -> float | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None
