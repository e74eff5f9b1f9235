"""What the ledger tells: costs by anything, tiles for a dashboard, requests page by page, and the story of one.

Numbers are the same on SQLite and PostgreSQL. What the columns of a cost report mean is said in `tally`.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import sqlalchemy as sa

from router.domain import CacheVerdict, Outcome, OutcomeKind
from router.errors import BadRequest
from router.ledger.contract import Store
from router.ledger.rows import outcome_of
from router.ledger.tables import features, labels, outcomes, texts
from router.ledger.tally import Tally
from router.ledger.window import Window, timestamp

By = Literal["model", "route", "rule", "tenant", "key", "task", "day", "hour"]
BYS: tuple[By, ...] = get_args(By)

PAGE_MOST = 500

_CHAT = outcomes.c.purpose == "chat"
_FAILED = outcomes.c.outcome.not_in(("ok", "client_closed"))


@dataclass(frozen=True, slots=True)
class CostRow:
    """One group of a cost report. key: None where the rows have no such thing (no route: a model named outright)."""

    key: str | None
    tally: Tally


@dataclass(frozen=True, slots=True)
class CostReport:
    """rows: the dearest first, days and hours in order of time. total: over all rows."""

    window: Window
    by: By
    rows: tuple[CostRow, ...]
    total: Tally


@dataclass(frozen=True, slots=True)
class Summary:
    """Tiles for a dashboard. Percentiles (nearest rank) over requests that were answered; None where none was."""

    window: Window
    tally: Tally
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    overhead_p50_ms: float | None
    overhead_p95_ms: float | None


@dataclass(frozen=True, slots=True)
class SpendPoint:
    """What one model cost in one hour or day. at: RFC 3339, the beginning. tally: as in a cost report."""

    at: str
    model: str | None
    tally: Tally


@dataclass(frozen=True, slots=True)
class Filters:
    """Which requests to list; None lets all through."""

    model: str | None = None
    route: str | None = None
    rule: str | None = None
    tenant: str | None = None
    key: str | None = None
    task: str | None = None
    status: int | None = None
    outcome: OutcomeKind | None = None
    cache: CacheVerdict | None = None


@dataclass(frozen=True, slots=True)
class RequestPage:
    """total: all that match. rows: newest first, without features and texts. next: the cursor of the next page."""

    total: int
    rows: tuple[Outcome, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class KeptLabel:
    """A label as it is kept. key: the name of the API key that gave it."""

    key: str
    source: str
    score: float
    weight: float
    comment: str | None
    at_unix: float


@dataclass(frozen=True, slots=True)
class RequestStory:
    """One request with everything the ledger has of it. inner: its inner calls, in order of time."""

    outcome: Outcome
    inner: tuple[Outcome, ...]
    labels: tuple[KeptLabel, ...]


async def costs(store: Store, window: Window, by: By) -> CostReport:
    """What was spent and saved, by one thing."""
    group = _group(by)
    found = await store.rows(sa.select(group.label("group"), *_SUMS).where(*_within(window)).group_by(group))
    rows = [CostRow(_shown(by, row["group"]), _tally(row)) for row in found]
    if by in ("day", "hour"):
        rows.sort(key=lambda row: row.key or "")
    else:
        rows.sort(key=lambda row: (-row.tally.spend_nano, -row.tally.requests, row.key or ""))
    return CostReport(window, by, tuple(rows), sum((row.tally for row in rows), Tally()))


async def summary(store: Store, window: Window) -> Summary:
    """The figures of a dashboard's tiles."""
    found = await store.rows(sa.select(*_SUMS, _count(_ANSWERED).label("answered")).where(*_within(window)))
    answered = int(found[0]["answered"] or 0)
    percentiles = [
        await _percentile(store, window, column, share, answered)
        for column in (outcomes.c.latency_ms, outcomes.c.overhead_ms)
        for share in (0.50, 0.95)
    ]
    return Summary(window, _tally(found[0]), *percentiles)


async def spend_over_time(store: Store, window: Window, step: Literal["day", "hour"] = "day") -> tuple[SpendPoint, ...]:
    """Spend by model in each day or hour that had any requests, oldest first."""
    time, model = _group(step), outcomes.c.model
    query = sa.select(time.label("time"), model, *_SUMS).where(*_within(window)).group_by(time, model)
    found = await store.rows(query)
    points = [SpendPoint(_shown(step, row["time"]) or "", row["model"], _tally(row)) for row in found]
    return tuple(sorted(points, key=lambda point: (point.at, point.model or "")))


async def requests(
    store: Store, window: Window, filters: Filters | None = None, *, limit: int = 50, cursor: str | None = None
) -> RequestPage:
    """One page of requests, newest first. New rows never shift the pages behind them.

    Raises BadRequest for a limit outside 1..500 and for a cursor that no page gave.
    """
    if not 1 <= limit <= PAGE_MOST:
        raise BadRequest(f"`limit` must be from 1 to {PAGE_MOST}.", param="limit")
    wanted = {name: getattr(filters or Filters(), name) for name in Filters.__dataclass_fields__}
    matching = [
        *_within(window),
        _CHAT,
        *(outcomes.c[name] == value for name, value in wanted.items() if value is not None),
    ]
    total = (await store.rows(sa.select(sa.func.count().label("total")).select_from(outcomes).where(*matching)))[0]
    if cursor is not None:
        at_unix, request_id = _read_cursor(cursor)
        place = sa.tuple_(outcomes.c.at_unix, outcomes.c.request_id)
        matching += [outcomes.c.at_unix <= at_unix, place < sa.tuple_(sa.literal(at_unix), sa.literal(request_id))]
    newest_first = (outcomes.c.at_unix.desc(), outcomes.c.request_id.desc())
    found = await store.rows(sa.select(outcomes).where(*matching).order_by(*newest_first).limit(limit + 1))
    rows = tuple(outcome_of(row) for row in found[:limit])
    return RequestPage(int(total["total"]), rows, _cursor(rows[-1]) if len(found) > limit else None)


async def request(store: Store, request_id: str) -> RequestStory | None:
    """Everything about one request, or None."""
    joined = outcomes.outerjoin(features, _same_row(features)).outerjoin(texts, _same_row(texts))
    columns = (*outcomes.c, features.c.vector, features.c.features_digest, texts.c.request_text, texts.c.response_text)
    found = await store.rows(sa.select(*columns).select_from(joined).where(outcomes.c.request_id == request_id))
    if not found:
        return None
    inner = sa.select(outcomes).where(outcomes.c.parent_id == request_id)
    given = sa.select(labels).where(labels.c.request_id == request_id)
    return RequestStory(
        outcome_of(found[0]),
        tuple(outcome_of(row) for row in await store.rows(inner.order_by(outcomes.c.at_unix, outcomes.c.request_id))),
        tuple(
            KeptLabel(**{name: row[name] for name in KeptLabel.__dataclass_fields__})
            for row in await store.rows(given.order_by(labels.c.at_unix))
        ),
    )


_ANSWERED = sa.and_(_CHAT, outcomes.c.outcome == "ok")
_COST = outcomes.c.cost_nano
_COMPARED = sa.and_(_CHAT, _COST.is_not(None), sa.not_(_FAILED))


def _count(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[Any]:
    return sa.func.sum(sa.case((condition, 1), else_=0))


def _sum(amount: sa.ColumnElement[Any], condition: sa.ColumnElement[bool]) -> sa.ColumnElement[Any]:
    return sa.func.sum(sa.case((condition, amount), else_=0))


_SUMS = [
    _count(_CHAT).label("requests"),
    _sum(outcomes.c.uncached_input + outcomes.c.cache_read + outcomes.c.cache_write, _CHAT).label("input_tokens"),
    _sum(outcomes.c.output, _CHAT).label("output_tokens"),
    _count(sa.and_(_CHAT, outcomes.c.cache == "hit")).label("cache_hits"),
    _count(sa.and_(_CHAT, _FAILED)).label("errors"),
    _sum(_COST, _COST.is_not(None)).label("spend_nano"),
    _sum(_COST, sa.and_(sa.not_(_CHAT), _COST.is_not(None))).label("inner_nano"),
    _sum(outcomes.c.baseline_nano, sa.and_(_COMPARED, outcomes.c.baseline_nano.is_not(None))).label("baseline_nano"),
    _sum(outcomes.c.always_small_nano, sa.and_(_COMPARED, outcomes.c.always_small_nano.is_not(None))).label(
        "always_small_nano"
    ),
    _count(_COST.is_(None)).label("unpriced"),
    _count(sa.and_(sa.not_(_CHAT), _COST.is_(None))).label("inner_unpriced"),
    _count(sa.and_(_COMPARED, outcomes.c.baseline_nano.is_(None))).label("no_baseline"),
    _count(sa.and_(_COMPARED, outcomes.c.always_small_nano.is_(None))).label("no_small"),
    _count(outcomes.c.usage_estimated).label("estimated"),
]
"""A column for each field of `Tally`."""


def _tally(row: Mapping[Any, Any]) -> Tally:
    """Of an empty group all sums are NULL."""
    return Tally(**{name: int(row[name] or 0) for name in Tally.__dataclass_fields__})


def _group(by: By) -> sa.ColumnElement[Any]:
    return outcomes.c.hour // 24 if by == "day" else outcomes.c[by]


def _shown(by: By, group: Any) -> str | None:
    if by == "day":
        return timestamp(group * 86_400)[:10]
    if by == "hour":
        return timestamp(group * 3600)[:19] + "Z"
    return None if group is None else str(group)


def _within(window: Window) -> list[sa.ColumnElement[bool]]:
    return [outcomes.c.at_unix >= window.since_unix, outcomes.c.at_unix < window.until_unix]


def _same_row(table: sa.Table) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.at_unix == outcomes.c.at_unix, table.c.request_id == outcomes.c.request_id)


async def _percentile(store: Store, window: Window, column: sa.Column[Any], share: float, count: int) -> float | None:
    if not count:
        return None
    rank = max(1, math.ceil(share * count))
    query = sa.select(column).where(*_within(window), _ANSWERED).order_by(column).offset(rank - 1).limit(1)
    found = await store.rows(query)
    return float(found[0][column]) if found else None


def _cursor(last: Outcome) -> str:
    return base64.urlsafe_b64encode(f"{last.at_unix!r}|{last.request_id}".encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[float, str]:
    try:
        at_unix, _, request_id = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().partition("|")
        return float(at_unix), request_id
    except (binascii.Error, ValueError):
        raise BadRequest("`cursor` must be the `next` of an earlier page.", param="cursor") from None
