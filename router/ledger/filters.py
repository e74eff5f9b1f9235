"""Which rows a report is about: filters by what a row says of itself, as conditions on the table.

An inner call is filtered by what it is itself, not by what its request was: a failed attempt of `small` counts under
`small`, also where `large` answered in the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Literal

import sqlalchemy as sa

from router.domain import CacheVerdict, OutcomeKind, Purpose
from router.ledger.rows import clean
from router.ledger.tables import outcomes
from router.ledger.window import Window

Priced = Literal["yes", "no"]
UsageKind = Literal["counted", "estimated"]


@dataclass(frozen=True, slots=True)
class Filters:
    """None lets all through. priced: whether the cost is known. usage: who counted the tokens, the upstream or we.

    purpose: what a call was for; where requests are listed, None means `chat`.
    """

    model: str | None = None
    route: str | None = None
    rule: str | None = None
    tenant: str | None = None
    key: str | None = None
    task: str | None = None
    status: int | None = None
    outcome: OutcomeKind | None = None
    cache: CacheVerdict | None = None
    priced: Priced | None = None
    usage: UsageKind | None = None
    purpose: Purpose | None = None
    policy: str | None = None


FILTER_NAMES: tuple[str, ...] = tuple(member.name for member in fields(Filters))


def within(window: Window) -> list[sa.ColumnElement[bool]]:
    """The rows of a span of time, by when their requests came in."""
    return [outcomes.c.at_unix >= window.since_unix, outcomes.c.at_unix < window.until_unix]


def matching(filters: Filters | None) -> list[sa.ColumnElement[bool]]:
    """The rows that pass."""
    return [] if filters is None else list(_conditions(filters))


def _conditions(filters: Filters) -> Iterator[sa.ColumnElement[bool]]:
    for name in FILTER_NAMES:
        value: Any = getattr(filters, name)
        if value is None:
            continue
        if name == "priced":
            cost = outcomes.c.cost_nano
            yield cost.is_(None) if value == "no" else cost.is_not(None)
        elif name == "usage":
            yield outcomes.c.usage_estimated if value == "estimated" else sa.not_(outcomes.c.usage_estimated)
        else:
            yield outcomes.c[name] == (clean(value) if isinstance(value, str) else value)
