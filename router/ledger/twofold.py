"""Requests that the small and the large side both answered, both scored by one judge: what audits leave, for reports.

`pairs` has the same for setting thresholds, with whole rows; here are only the numbers, of the newest so many.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from router.ledger.contract import Store
from router.ledger.filters import Filters, matching
from router.ledger.joined import Predicted, chosen
from router.ledger.tables import labels, outcomes
from router.ledger.tally import dollars
from router.ledger.window import Window

PAIRS_MOST = 5000
"""The newest so many are read; reports say when there are more."""
BATCH = 500
"""Rows made into pairs before requests get a turn again."""


@dataclass(frozen=True, slots=True)
class Twofold:
    """One audited request. The large side is the route's baseline, the small one whoever was compared with it.

    served_large: the baseline's answer went out. predicted_small, predicted_large: as logged, None where they were not.
    """

    request_id: str
    at_unix: float
    route: str | None
    rule: str
    task: str | None
    served_large: bool
    small: str
    large: str
    small_score: float
    large_score: float
    small_usd: float | None
    large_usd: float | None
    predicted_small: float | None
    predicted_large: float | None
    input_tokens: int

    @property
    def gain(self) -> float | None:
        """What was predicted to be won by asking the large one."""
        if self.predicted_small is None or self.predicted_large is None:
            return None
        return self.predicted_large - self.predicted_small

    @property
    def lost(self) -> float:
        """Quality that the large one would have had more; below 0 where the small one was better."""
        return self.large_score - self.small_score


@dataclass(frozen=True, slots=True)
class TwofoldPage:
    """pairs: newest first. capped: there are more than were read."""

    pairs: tuple[Twofold, ...]
    capped: bool


async def twofold(
    store: Store, window: Window, filters: Filters | None = None, *, most: int = PAIRS_MOST, batch: int = BATCH
) -> TwofoldPage:
    """The audited pairs of a span. filters: of the request, not of the audit. Where several judges scored both answers,
    the first by name counts, as in `pairs`."""
    other, own, theirs = outcomes.alias("other"), labels.alias("own"), labels.alias("theirs")
    same_judge = sa.and_(theirs.c.key == own.c.key, theirs.c.source == own.c.source, theirs.c.weight > 0)
    joined = (
        outcomes.join(other, other.c.parent_id == outcomes.c.request_id)
        .join(own, sa.and_(own.c.request_id == outcomes.c.request_id, own.c.weight > 0))
        .join(theirs, sa.and_(theirs.c.request_id == other.c.request_id, same_judge))
    )
    query = (
        sa.select(
            *(outcomes.c[name] for name in "request_id at_unix route rule task model baseline_model cost_nano".split()),
            (outcomes.c.uncached_input + outcomes.c.cache_read + outcomes.c.cache_write).label("input_tokens"),
            other.c.model.label("other_model"),
            other.c.cost_nano.label("other_nano"),
            own.c.score.label("own_score"),
            theirs.c.score.label("other_score"),
            Predicted(outcomes.c.quality, outcomes.c.model).label("predicted"),
            Predicted(outcomes.c.quality, other.c.model).label("other_predicted"),
        )
        .select_from(joined)
        .where(*chosen(window), other.c.purpose == "audit", other.c.outcome == "ok", *matching(filters))
        # Where neither side is the baseline nobody can say which is the large one.
        .where(sa.or_(outcomes.c.model == outcomes.c.baseline_model, other.c.model == outcomes.c.baseline_model))
        .order_by(outcomes.c.at_unix.desc(), outcomes.c.request_id.desc(), own.c.key, own.c.source)
        .limit(batch)
    )
    found: dict[str, Twofold] = {}
    behind = query
    while True:
        rows = await store.rows(behind)
        for row in rows:
            if row["request_id"] not in found:
                found[row["request_id"]] = _pair(row)
        if len(rows) < batch or len(found) > most:
            return TwofoldPage(tuple(found.values())[:most], len(found) > most)
        last = rows[-1]
        here = sa.tuple_(outcomes.c.at_unix, outcomes.c.request_id)
        place = sa.tuple_(sa.literal(last["at_unix"]), sa.literal(last["request_id"]))
        behind = query.where(outcomes.c.at_unix <= last["at_unix"], here < place)


def _pair(row: Mapping[Any, Any]) -> Twofold:
    served_large = row["model"] == row["baseline_model"]
    own = row["model"], float(row["own_score"]), row["cost_nano"], row["predicted"]
    other = row["other_model"], float(row["other_score"]), row["other_nano"], row["other_predicted"]
    small, large = (other, own) if served_large else (own, other)
    return Twofold(
        row["request_id"],
        float(row["at_unix"]),
        row["route"],
        row["rule"],
        row["task"],
        served_large,
        small[0],
        large[0],
        small[1],
        large[1],
        None if small[2] is None else dollars(int(small[2])),
        None if large[2] is None else dollars(int(large[2])),
        small[3],
        large[3],
        int(row["input_tokens"]),
    )
