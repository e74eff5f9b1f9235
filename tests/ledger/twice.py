"""Audited requests as they stand in the ledger: the request, the other answer, and the judge's label of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from router.domain import Outcome
from router.ledger.store import SqlStore

from .outcomes import an_outcome


@dataclass(frozen=True)
class Audited:
    """One audited request. Scores and nano-dollars by side; predicted: by side too."""

    asked: Outcome
    other: Outcome
    small: float
    large: float
    served_large: bool


def an_audit(
    small: float,
    large: float,
    *,
    served_large: bool = False,
    small_nano: int | None = 100,
    large_nano: int | None = 900,
    predicted: tuple[float, float] = (0.6, 0.9),
    **changes: Any,
) -> Audited:
    """A request that both sides answered, scored `small` and `large`."""
    names, costs = (
        ("large", "small") if served_large else ("small", "large"),
        {"small": small_nano, "large": large_nano},
    )
    own, other = names
    values = {"quality": {"small": predicted[0], "large": predicted[1]}, "baseline_model": "large", **changes}
    asked = an_outcome(model=own, tier=own, cost_nano=costs[own], classifier="fast@1", **values)
    audit = an_outcome(
        model=other, tier=other, cost_nano=costs[other], purpose="audit", cache="bypass",
        request_id=f"{asked.request_id}.audit", parent_id=asked.request_id, at_unix=asked.at_unix + 0.5,
    )  # fmt: skip
    return Audited(asked, audit, small, large, served_large)


async def keep(store: SqlStore, *audits: Audited) -> None:
    """Writes them with their labels, as the auditor does."""
    await store.write([row for one in audits for row in (one.asked, one.other)])
    for one in audits:
        own, other = (one.large, one.small) if one.served_large else (one.small, one.large)
        for row, score in ((one.asked, own), (one.other, other)):
            assert await store.add_label(row.request_id, "acme", "audit", "judge", score, known=True)
