"""What the ledger tells: costs by anything, requests page by page, those that just ended, and the story of one.

Numbers are the same on SQLite and PostgreSQL. What the columns of a cost report mean is said in `tally`; the figures
of a dashboard's first page are made in `summary`.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import sqlalchemy as sa

from router.domain import Outcome
from router.errors import BadRequest
from router.ledger.contract import Store
from router.ledger.filters import Filters, matching, within
from router.ledger.rows import outcome_of
from router.ledger.summary import Step, Summary, moment_of, spend_over_time, summary, time_of
from router.ledger.sums import KINDS, SUMS, tally_of
from router.ledger.tables import features, labels, outcomes, texts
from router.ledger.tally import Tally
from router.ledger.window import Window

__all__ = [
    "BYS",
    "COUNT_MOST",
    "PAGE_MOST",
    "SORTS",
    "By",
    "CostReport",
    "CostRow",
    "Filters",
    "KeptLabel",
    "RequestPage",
    "RequestStory",
    "Sort",
    "Step",
    "Summary",
    "Tail",
    "costs",
    "every_request",
    "request",
    "requests",
    "spend_over_time",
    "summary",
    "tail",
]

By = Literal["model", "route", "rule", "policy", "tenant", "key", "task", "day", "hour"]
BYS: tuple[By, ...] = get_args(By)

Column = Literal[
    "key", "requests", "input_tokens", "output_tokens", "cache_hits", "errors", "spend_usd", "baseline_usd",
    "saved_usd", "unpriced",
]  # fmt: skip
Sort = Literal[
    Column, "-key", "-requests", "-input_tokens", "-output_tokens", "-cache_hits", "-errors", "-spend_usd",
    "-baseline_usd", "-saved_usd", "-unpriced",
]  # fmt: skip
SORTS: tuple[str, ...] = get_args(Sort)
"""A column of a cost report; with a minus the largest first."""

PAGE_MOST = 500
COUNT_MOST = 100_000
"""Nobody counts further than this for a page."""

TAIL_MOST = 100
LATE_SECONDS = 5.0
"""How late a row may be written after its answer, and clocks of gateways differ, before a tail misses it."""
LONGEST_SECONDS = 900.0
"""A tail misses requests that took longer than this: without a bound it would read the whole ledger."""


@dataclass(frozen=True, slots=True)
class CostRow:
    """One group of a cost report. key: None where the rows have no such thing (no route: a model named outright)."""

    key: str | None
    tally: Tally


@dataclass(frozen=True, slots=True)
class CostReport:
    """rows: the dearest first, days and hours in order of time, or as sorted. total: over all rows."""

    window: Window
    by: By
    rows: tuple[CostRow, ...]
    total: Tally


@dataclass(frozen=True, slots=True)
class RequestPage:
    """rows: newest first, without features and texts. next: the cursor of the next page.

    total: all that match, at most so many as were to be counted (`capped`: there are more); None where nobody counted.
    """

    total: int | None
    rows: tuple[Outcome, ...]
    next: str | None
    capped: bool = False


@dataclass(frozen=True, slots=True)
class Tail:
    """Requests by the time of their end, the latest first. next_unix: what to ask with next; rows may come again.

    left_out: more have ended than are given.
    """

    rows: tuple[Outcome, ...]
    next_unix: float
    left_out: bool


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


async def costs(
    store: Store, window: Window, by: By, filters: Filters | None = None, sort: Sort | None = None
) -> CostReport:
    """What was spent and saved, by one thing."""
    group = time_of(by) if by == "day" or by == "hour" else outcomes.c[by]
    conditions = (*within(window), *matching(filters))
    query = sa.select(group.label("key_group"), *KINDS, *SUMS).where(*conditions).group_by("key_group", *KINDS)
    tallies: dict[Any, Tally] = {}
    for row in await store.rows(query):
        tallies[row["key_group"]] = tallies.get(row["key_group"], Tally()) + tally_of(row)
    rows = [CostRow(_shown(by, key), tally) for key, tally in tallies.items()]
    if by in ("day", "hour"):
        rows.sort(key=lambda row: row.key or "")
    else:
        rows.sort(key=lambda row: (-row.tally.spend_nano, -row.tally.requests, row.key or ""))
    if sort is not None:
        rows = _sorted(rows, sort)
    return CostReport(window, by, tuple(rows), sum((row.tally for row in rows), Tally()))


async def requests(
    store: Store,
    window: Window,
    filters: Filters | None = None,
    *,
    limit: int = 50,
    cursor: str | None = None,
    counted: bool = True,
    count_most: int = COUNT_MOST,
) -> RequestPage:
    """One page of requests, newest first. New rows never shift the pages behind them.

    What matches is only counted for the first page, and only where it is wanted.
    Raises BadRequest for a limit outside 1..500 and for a cursor that no page gave.
    """
    if not 1 <= limit <= PAGE_MOST:
        raise BadRequest(f"`limit` must be from 1 to {PAGE_MOST}.", param="limit")
    conditions = [*within(window), *_listed(filters)]
    total = None
    if counted and cursor is None:
        some = sa.select(sa.literal(1)).select_from(outcomes).where(*conditions).limit(count_most + 1).subquery()
        total = int((await store.rows(sa.select(sa.func.count().label("total")).select_from(some)))[0]["total"])
    found = await store.rows(_older(conditions, None if cursor is None else _read_cursor(cursor), limit + 1))
    rows = tuple(outcome_of(row) for row in found[:limit])
    following = _cursor(rows[-1]) if len(found) > limit else None
    if total is None:
        return RequestPage(None, rows, following)
    return RequestPage(min(total, count_most), rows, following, total > count_most)


async def every_request(
    store: Store, window: Window, filters: Filters | None = None, *, batch: int = PAGE_MOST
) -> AsyncIterator[Sequence[Outcome]]:
    """All requests that match, newest first, a batch at a time: a large ledger never has to fit in memory."""
    conditions = [*within(window), *_listed(filters)]
    place = None
    while True:
        rows = [outcome_of(row) for row in await store.rows(_older(conditions, place, batch))]
        if rows:
            yield rows
        if len(rows) < batch:
            return
        place = rows[-1].at_unix, rows[-1].request_id


async def tail(store: Store, after_unix: float, filters: Filters | None = None, *, limit: int = TAIL_MOST) -> Tail:
    """Requests that ended after a moment, or up to LATE_SECONDS before it: tell rows apart by their ids."""
    ended = (outcomes.c.at_unix + outcomes.c.latency_ms / 1000.0).label("ended")
    since = after_unix - LATE_SECONDS
    conditions = [outcomes.c.at_unix >= since - LONGEST_SECONDS, ended.element > since, *_listed(filters)]
    query = sa.select(outcomes, ended).where(*conditions).order_by(sa.desc("ended"), outcomes.c.request_id.desc())
    found = await store.rows(query.limit(limit + 1))
    # Where nothing ends the next tail need not go further back than rows may be late.
    following = max([after_unix, time.time() - LATE_SECONDS, *(row["ended"] for row in found)])
    return Tail(tuple(outcome_of(row) for row in found[:limit]), following, len(found) > limit)


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


def _listed(filters: Filters | None) -> list[sa.ColumnElement[bool]]:
    """Requests, where no other purpose is asked for."""
    asked = filters is not None and filters.purpose is not None
    return [*([] if asked else [outcomes.c.purpose == "chat"]), *matching(filters)]


def _older(conditions: Sequence[sa.ColumnElement[bool]], place: tuple[float, str] | None, limit: int) -> sa.Select[Any]:
    """Rows newest first, behind a place."""
    query = sa.select(outcomes).where(*conditions)
    if place is not None:
        here = sa.tuple_(outcomes.c.at_unix, outcomes.c.request_id)
        query = query.where(outcomes.c.at_unix <= place[0], here < sa.tuple_(*map(sa.literal, place)))
    return query.order_by(outcomes.c.at_unix.desc(), outcomes.c.request_id.desc()).limit(limit)


def _sorted(rows: Sequence[CostRow], sort: Sort) -> list[CostRow]:
    """By a column; what is unknown comes last either way."""
    name, backwards = sort.removeprefix("-"), sort.startswith("-")
    value: Callable[[CostRow], Any] = lambda row: row.key if name == "key" else getattr(row.tally, name)  # noqa: E731
    known = sorted((row for row in rows if value(row) is not None), key=value, reverse=backwards)
    return [*known, *(row for row in rows if value(row) is None)]


def _shown(by: By, group: Any) -> str | None:
    if by == "day" or by == "hour":
        return moment_of(by, group)
    return None if group is None else str(group)


def _same_row(table: sa.Table) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.at_unix == outcomes.c.at_unix, table.c.request_id == outcomes.c.request_id)


def _cursor(last: Outcome) -> str:
    return base64.urlsafe_b64encode(f"{last.at_unix!r}|{last.request_id}".encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[float, str]:
    try:
        at_unix, _, request_id = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().partition("|")
        return float(at_unix), request_id
    except (binascii.Error, ValueError):
        raise BadRequest("`cursor` must be the `next` of an earlier page.", param="cursor") from None
