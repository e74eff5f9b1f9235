"""The figures of a dashboard's first page, from two passes over the rows: one adds them up, one ranks them.

One pass groups by time, model, price source and kind of row at once; every table of the page is a fold of
it, so that a month of rows is read once and not once for each table.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import sqlalchemy as sa

from router.ledger.contract import Store
from router.ledger.filters import Filters, matching, within
from router.ledger.sums import ANSWERED, KINDS, SUMS, is_failed, tally_of
from router.ledger.tables import outcomes
from router.ledger.tally import Tally
from router.ledger.window import Window, timestamp

Step = Literal["day", "hour"]
Group = TypeVar("Group", bound=Hashable)

SHARES = (50, 95, 99)
"""Of a hundred; the fields of `Percentiles`."""


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Milliseconds, nearest rank; None where there was nothing to rank."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


@dataclass(frozen=True, slots=True)
class SpendPoint:
    """What one model cost in one hour or day. at: RFC 3339, the beginning. tally: as in a cost report."""

    at: str
    model: str | None
    tally: Tally


@dataclass(frozen=True, slots=True)
class CacheKind:
    """The requests of one cache verdict (`hit`, `miss`, `bypass`, and whatever kinds of hit a cache has)."""

    verdict: str
    tally: Tally


@dataclass(frozen=True, slots=True)
class InnerKind:
    """The inner calls of one purpose (`attempt`, `audit`, `judge`). failed: those that came to nothing."""

    purpose: str
    calls: int
    failed: int
    tally: Tally


@dataclass(frozen=True, slots=True)
class PriceSource:
    """Calls whose price is from one place: `policy`, or a price list with its version. spend_nano: what they cost."""

    source: str
    calls: int
    spend_nano: int


@dataclass(frozen=True, slots=True)
class Summary:
    """latency_ms, overhead_ms: over requests that were answered. cache: misses and bypasses last.

    inner, prices: the dearest first. points: oldest first.
    """

    window: Window
    tally: Tally
    latency_ms: Percentiles = Percentiles()
    overhead_ms: Percentiles = Percentiles()
    cache: tuple[CacheKind, ...] = ()
    inner: tuple[InnerKind, ...] = ()
    prices: tuple[PriceSource, ...] = ()
    points: tuple[SpendPoint, ...] = ()

    @property
    def looked_up(self) -> int:
        """Requests that the cache was asked about: all but those that bypassed it."""
        return sum(kind.tally.requests for kind in self.cache if kind.verdict != "bypass")


@dataclass(slots=True)
class Part:
    """One group of the pass; time in days or hours since the epoch."""

    time: int
    model: str | None
    purpose: str
    cache: str
    source: str | None
    tally: Tally
    calls: int
    failed: int
    answered: int


@dataclass(slots=True)
class _Sum:
    tally: Tally = field(default_factory=Tally)
    calls: int = 0
    failed: int = 0

    def add(self, part: Part) -> None:
        self.tally += part.tally
        self.calls += part.calls
        self.failed += part.failed


async def summary(store: Store, window: Window, filters: Filters | None = None, step: Step = "day") -> Summary:
    """The figures of a dashboard's first page."""
    parts = await _parts(store, window, filters, step)
    answered = sum(part.answered for part in parts)
    latency, overhead = await _percentiles(store, window, filters, answered)
    chats = [part for part in parts if part.purpose == "chat"]
    inner = [part for part in parts if part.purpose != "chat"]
    kinds = [CacheKind(verdict, one.tally) for verdict, one in _by(chats, lambda part: part.cache)]
    return Summary(
        window,
        sum((part.tally for part in parts), Tally()),
        latency,
        overhead,
        cache=tuple(sorted(kinds, key=_hits_first)),
        inner=tuple(
            sorted(
                (InnerKind(name, one.calls, one.failed, one.tally) for name, one in _by(inner, lambda p: p.purpose)),
                key=lambda kind: (-kind.tally.inner_nano, kind.purpose),
            )
        ),
        prices=tuple(
            sorted(
                (
                    PriceSource(source, one.calls, one.tally.spend_nano)
                    for source, one in _by(parts, lambda part: part.source)
                    if source is not None
                ),
                key=lambda place: (-place.spend_nano, place.source),
            )
        ),
        points=_points(parts, step),
    )


async def spend_over_time(
    store: Store, window: Window, step: Step = "day", filters: Filters | None = None
) -> tuple[SpendPoint, ...]:
    """Spend by model in each day or hour that had any requests, oldest first."""
    return _points(await _parts(store, window, filters, step), step)


def moment_of(step: Step, number: int) -> str:
    """The beginning of a day (`2026-01-31`) or hour (`2026-01-31T08:00:00Z`) since the epoch."""
    return timestamp(number * 86_400)[:10] if step == "day" else timestamp(number * 3600)[:19] + "Z"


def time_of(step: Step) -> sa.ColumnElement[Any]:
    """Days or hours since the epoch."""
    return outcomes.c.hour // 24 if step == "day" else outcomes.c.hour


async def _parts(store: Store, window: Window, filters: Filters | None, step: Step) -> list[Part]:
    time, source = time_of(step).label("time_step"), outcomes.c.price["source"].as_string().label("price_source")
    query = (
        sa.select(time, source, outcomes.c.model, *KINDS, *SUMS)
        .where(*within(window), *matching(filters))
        .group_by("time_step", "price_source", outcomes.c.model, *KINDS)
    )
    return [_part(row) for row in await store.rows(query)]


def _part(row: Mapping[Any, Any]) -> Part:
    rows = int(row["rows"])
    answered = rows if row["purpose"] == "chat" and row["outcome"] == "ok" else 0
    return Part(
        time=row["time_step"],
        model=row["model"],
        purpose=row["purpose"],
        cache=row["cache"],
        source=row["price_source"],
        tally=tally_of(row),
        calls=rows,
        failed=rows if is_failed(row) else 0,
        answered=answered,
    )


def _by(parts: Iterable[Part], key: Callable[[Part], Group]) -> list[tuple[Group, _Sum]]:
    groups: dict[Group, _Sum] = {}
    for part in parts:
        groups.setdefault(key(part), _Sum()).add(part)
    return list(groups.items())


def _points(parts: Iterable[Part], step: Step) -> tuple[SpendPoint, ...]:
    groups = _by(parts, lambda part: (part.time, part.model))
    points = [SpendPoint(moment_of(step, time), model, one.tally) for (time, model), one in groups]
    return tuple(sorted(points, key=lambda point: (point.at, point.model or "")))


def _hits_first(kind: CacheKind) -> tuple[int, str]:
    """`hit`, then other kinds of hit by name, then `miss`, then `bypass`."""
    return {"hit": 0, "miss": 2, "bypass": 3}.get(kind.verdict, 1), kind.verdict


async def _percentiles(
    store: Store, window: Window, filters: Filters | None, answered: int
) -> tuple[Percentiles, Percentiles]:
    """Of latency and of overhead; the rows are read once and ranked twice."""
    if not answered:
        return Percentiles(), Percentiles()
    read = (
        sa.select(outcomes.c.latency_ms, outcomes.c.overhead_ms)
        .where(*within(window), ANSWERED, *matching(filters))
        .cte("answered")
    )
    # Nearest rank, rounded up in integers: 0.95 is no binary number.
    ranks = [-(-answered * share // 100) for share in SHARES]
    pieces = []
    for number, column in enumerate((read.c.latency_ms, read.c.overhead_ms)):
        rank = sa.func.row_number().over(order_by=column).label("rank")
        ranked = sa.select(column.label("milliseconds"), rank).subquery(f"ranked_{number}")
        pieces.append(
            sa.select(sa.literal(number).label("figure"), ranked.c.rank, ranked.c.milliseconds).where(
                ranked.c.rank.in_(sorted(set(ranks)))
            )
        )
    everything = sa.select(sa.union_all(*pieces).subquery("ranks"))
    found = {(row["figure"], row["rank"]): row["milliseconds"] for row in await store.rows(everything)}
    # Rows may have been pruned since they were counted; then a rank can be missing.
    latency, overhead = (Percentiles(*(found.get((number, rank)) for rank in ranks)) for number in (0, 1))
    return latency, overhead
