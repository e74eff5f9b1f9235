"""The columns that add rows up to a `Tally`, and conditions that reports share. What they mean is said in `tally`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from router.ledger.tables import outcomes
from router.ledger.tally import FROM_CACHE_NOT, Tally

CHAT = outcomes.c.purpose == "chat"
FAILED = outcomes.c.outcome.not_in(("ok", "client_closed"))
ANSWERED = sa.and_(CHAT, outcomes.c.outcome == "ok")

_COST = outcomes.c.cost_nano
_COMPARED = sa.and_(CHAT, _COST.is_not(None), sa.not_(FAILED))


def count(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[Any]:
    """How many rows of a group meet a condition; NULL for an empty group."""
    return sa.func.sum(sa.case((condition, 1), else_=0))


def _sum(amount: sa.ColumnElement[Any], condition: sa.ColumnElement[bool]) -> sa.ColumnElement[Any]:
    return sa.func.sum(sa.case((condition, amount), else_=0))


SUMS = [
    count(CHAT).label("requests"),
    _sum(outcomes.c.uncached_input + outcomes.c.cache_read + outcomes.c.cache_write, CHAT).label("input_tokens"),
    _sum(outcomes.c.output, CHAT).label("output_tokens"),
    count(sa.and_(CHAT, outcomes.c.cache.not_in(FROM_CACHE_NOT))).label("cache_hits"),
    count(sa.and_(CHAT, FAILED)).label("errors"),
    _sum(_COST, _COST.is_not(None)).label("spend_nano"),
    _sum(_COST, sa.and_(sa.not_(CHAT), _COST.is_not(None))).label("inner_nano"),
    _sum(outcomes.c.baseline_nano, sa.and_(_COMPARED, outcomes.c.baseline_nano.is_not(None))).label("baseline_nano"),
    _sum(outcomes.c.always_small_nano, sa.and_(_COMPARED, outcomes.c.always_small_nano.is_not(None))).label(
        "always_small_nano"
    ),
    count(_COST.is_(None)).label("unpriced"),
    count(sa.and_(sa.not_(CHAT), _COST.is_(None))).label("inner_unpriced"),
    count(sa.and_(_COMPARED, outcomes.c.baseline_nano.is_(None))).label("no_baseline"),
    count(sa.and_(_COMPARED, outcomes.c.always_small_nano.is_(None))).label("no_small"),
    count(outcomes.c.usage_estimated).label("estimated"),
    count(sa.and_(sa.not_(CHAT), outcomes.c.usage_estimated)).label("inner_estimated"),
]
"""A column for each field of `Tally`."""


def tally_of(row: Mapping[Any, Any]) -> Tally:
    """Of an empty group all sums are NULL."""
    return Tally(**{name: int(row[name] or 0) for name in Tally.__dataclass_fields__})
