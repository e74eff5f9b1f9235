"""Many labels as rows, and the statement that keeps the latest of each request, key and source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite

from router.ledger.contract import NewLabel
from router.ledger.rows import clean
from router.ledger.tables import labels

_Place = tuple[str, str, str]
_KEPT = ("tenant", "score", "weight", "comment", "at_unix")


def label_rows(
    tenant: str, given: Sequence[NewLabel], now_unix: float
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(those given now, which replace whatever is there; those given earlier, which leave a later one alone).

    Of several for one place the latest is left, of those given at one time the last. In the order of their places, so
    that two batches at once wait for each other and never both.
    """
    latest: dict[_Place, tuple[float, NewLabel]] = {}
    for label in given:
        place, at = (label.request_id, label.key, label.source), _at(label, now_unix)
        if place not in latest or at >= latest[place][0]:
            latest[place] = (at, label)
    always: list[dict[str, Any]] = []
    unless_later: list[dict[str, Any]] = []
    for _place, (at, label) in sorted(latest.items(), key=lambda one: one[0]):
        (always if label.at_unix is None else unless_later).append(
            {
                "request_id": label.request_id,
                "tenant": tenant,
                "key": clean(label.key),
                "source": label.source,
                "score": float(label.score),
                "weight": float(label.weight),
                "comment": clean(label.comment),
                "at_unix": at,
            }
        )
    return always, unless_later


def upsert_labels(insert: sqlite.Insert | postgresql.Insert, *, later_stays: bool) -> sqlite.Insert | postgresql.Insert:
    """The statement, to be executed with rows."""
    return insert.on_conflict_do_update(
        index_elements=list(labels.primary_key),
        set_={name: insert.excluded[name] for name in _KEPT},
        where=insert.excluded.at_unix >= labels.c.at_unix if later_stays else None,
    )


def _at(label: NewLabel, now_unix: float) -> float:
    return now_unix if label.at_unix is None else label.at_unix
