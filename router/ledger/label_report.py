"""What labels the ledger has: how many of each source, by day, how sources agree, and the last ones, without words.

A label belongs to the time at which it was given, not to that of its request. Filters are about the request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from router.ledger.contract import Store
from router.ledger.filters import Filters, matching
from router.ledger.summary import moment_of
from router.ledger.tables import labels, outcomes
from router.ledger.window import Window

SOURCES: Final = ("verifier", "user", "judge", "implicit")
"""In the order in which reports name them: the surest first."""

LAST, LAST_MOST = 20, 500
GATEWAYS_OWN: Final = "gateway:"
"""How the `key` of a verifier's label begins that the gateway made itself."""

DAY_SECONDS = 86_400
GOOD: Final = 0.5
"""Two sources agree on a request where both score it at least so high, or both lower."""


@dataclass(frozen=True, slots=True)
class SourceLabels:
    """The labels of one source. mean: of their scores. weight: of all together, before what the source counts."""

    source: str
    n: int
    mean: float
    weight: float


@dataclass(frozen=True, slots=True)
class DayLabels:
    """The labels of one source on one day, UTC."""

    day: str
    source: str
    n: int
    mean: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """Requests that two sources labelled. agree: the share of them on which both say good, or both not."""

    a: str
    b: str
    n: int
    agree: float


@dataclass(frozen=True, slots=True)
class LastLabel:
    """One label. note: what the gateway noted of its own labels; None for those of callers, whose words stay apart."""

    request_id: str
    tenant: str
    key: str
    source: str
    score: float
    weight: float
    note: str | None
    at_unix: float


@dataclass(frozen=True, slots=True)
class LabelReport:
    """by_day: in order of time. last: the latest first."""

    window: Window
    by_source: tuple[SourceLabels, ...]
    by_day: tuple[DayLabels, ...]
    agreement: tuple[Agreement, ...]
    last: tuple[LastLabel, ...]


async def label_report(
    store: Store, window: Window, filters: Filters | None = None, *, limit: int = LAST
) -> LabelReport:
    """The labels that were given in a span of time. limit: how many of the last are wanted."""
    chosen = [labels.c.at_unix >= window.since_unix, labels.c.at_unix < window.until_unix]
    if conditions := matching(filters):
        chosen.append(labels.c.request_id.in_(sa.select(outcomes.c.request_id).where(*conditions)))
    by_day = await _by_day(store, chosen)
    return LabelReport(
        window,
        _by_source(by_day),
        tuple(DayLabels(moment_of("day", day), source, n, total / n) for day, source, n, total, _ in by_day),
        await _agreement(store, chosen),
        await _last(store, chosen, limit),
    )


_Conditions = Sequence[sa.ColumnElement[bool]]
_Day = tuple[int, str, int, float, float]
"""(day since the epoch, source, labels, sum of scores, sum of weights)"""


async def _by_day(store: Store, chosen: _Conditions) -> list[_Day]:
    day = (labels.c.at_unix // DAY_SECONDS).label("day")
    query = (
        sa.select(
            day,
            labels.c.source,
            sa.func.count().label("n"),
            sa.func.sum(labels.c.score).label("total"),
            sa.func.sum(labels.c.weight).label("weight"),
        )
        .where(*chosen)
        .group_by(day, labels.c.source)
    )
    found = [
        (int(row["day"]), str(row["source"]), int(row["n"]), float(row["total"]), float(row["weight"]))
        for row in await store.rows(query)
    ]
    return sorted(found, key=lambda one: (one[0], _place(one[1])))


def _by_source(days: Sequence[_Day]) -> tuple[SourceLabels, ...]:
    sums: dict[str, tuple[int, float, float]] = {}
    for _, source, n, total, weight in days:
        before = sums.get(source, (0, 0.0, 0.0))
        sums[source] = before[0] + n, before[1] + total, before[2] + weight
    return tuple(SourceLabels(source, n, sums[source][1] / n, sums[source][2]) for source, n in _counts(sums))


def _counts(sums: Mapping[str, tuple[int, float, float]]) -> list[tuple[str, int]]:
    return [(source, sums[source][0]) for source in sorted(sums, key=_place)]


async def _agreement(store: Store, chosen: _Conditions) -> tuple[Agreement, ...]:
    """Several labels of one source on one request count as their mean."""
    means = (
        sa.select(labels.c.request_id, labels.c.source, sa.func.avg(labels.c.score).label("score"))
        .where(*chosen)
        .group_by(labels.c.request_id, labels.c.source)
        .cte("means")
    )
    one, other = means.alias("one"), means.alias("other")
    alike = sa.or_(
        sa.and_(one.c.score >= GOOD, other.c.score >= GOOD), sa.and_(one.c.score < GOOD, other.c.score < GOOD)
    )
    query = (
        sa.select(
            one.c.source.label("a"),
            other.c.source.label("b"),
            sa.func.count().label("n"),
            sa.func.count(sa.case((alike, 1))).label("alike"),
        )
        .select_from(one.join(other, one.c.request_id == other.c.request_id))
        .where(one.c.source != other.c.source)
        .group_by(one.c.source, other.c.source)
    )
    found = [
        Agreement(row["a"], row["b"], int(row["n"]), int(row["alike"]) / int(row["n"]))
        for row in await store.rows(query)
    ]
    ordered = [pair for pair in found if _place(pair.a) < _place(pair.b)]  # each pair is found both ways
    return tuple(sorted(ordered, key=lambda pair: (_place(pair.a), _place(pair.b))))


async def _last(store: Store, chosen: _Conditions, limit: int) -> tuple[LastLabel, ...]:
    query = (
        sa.select(labels)
        .where(*chosen)
        .order_by(labels.c.at_unix.desc(), labels.c.request_id.desc(), labels.c.key, labels.c.source)
        .limit(limit)
    )
    return tuple(
        LastLabel(
            row["request_id"],
            row["tenant"],
            row["key"],
            row["source"],
            row["score"],
            row["weight"],
            row["comment"] if _own(row) else None,
            row["at_unix"],
        )
        for row in await store.rows(query)
    )


def _own(row: Mapping[Any, Any]) -> bool:
    return row["source"] in ("judge", "implicit") or str(row["key"]).startswith(GATEWAYS_OWN)


def _place(source: str) -> tuple[int, str]:
    return (SOURCES.index(source) if source in SOURCES else len(SOURCES)), source
