"""What a page's address asks for: span of time, grouping, filters, page. Addresses mean what they mean for `/api`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args
from urllib.parse import urlencode

from router.domain import CacheVerdict, OutcomeKind
from router.errors import BadRequest
from router.ledger.reports import By, Filters
from router.ledger.window import Window, read_window

OVERVIEW = "/dashboard"
REQUESTS = "/dashboard/requests"

RANGES = {"24h": "24 hours", "7d": "7 days", "30d": "30 days"}
GROUPINGS: tuple[By, ...] = ("rule", "model", "route", "task", "tenant", "key")
FILTERS = tuple(member.name for member in fields(Filters))

_HOURLY_MOST_SECONDS = 49 * 3600
CLOSED: Mapping[str, tuple[str, ...]] = {"outcome": get_args(OutcomeKind), "cache": get_args(CacheVerdict)}
"""The filters that have few values, and these."""


@dataclass(frozen=True, slots=True)
class View:
    """One address, read. filters: only those that are set, by name."""

    since: str = "24h"
    until: str = ""
    by: By = "rule"
    filters: Mapping[str, str] = field(default_factory=dict)
    cursor: str = ""

    @property
    def window(self) -> Window:
        """The span of time, up to now where no end is named. Raises BadRequest."""
        return read_window(self.since, self.until or None)

    @property
    def span(self) -> str:
        """The span in words: `the last 24 hours`."""
        if self.until:
            return f"{self.since} to {self.until}"
        return f"the last {RANGES[self.since]}" if self.since in RANGES else f"since {self.since}"

    @property
    def wanted(self) -> Filters:
        """The filters as the reports take them."""
        values: dict[str, Any] = {**self.filters}
        if "status" in values:
            values["status"] = int(values["status"])
        return Filters(**values)

    def link(self, path: str = OVERVIEW, **changes: str) -> str:
        """The address of this view with changes, at page one; an empty value takes a filter away."""
        values: dict[str, str] = {"since": self.since, "until": self.until}
        if path == OVERVIEW:
            values["by"] = self.by
        else:
            values |= self.filters
        return f"{path}?{urlencode({name: value for name, value in (values | changes).items() if value})}"

    def clear(self) -> str:
        """The address of all requests of the same span."""
        return replace(self, filters={}, cursor="").link(REQUESTS)


def read_view(query: Mapping[str, str]) -> View:
    """The view that an address asks for; what it leaves out has a default. Raises BadRequest naming the parameter."""
    since, by = query.get("since") or View().since, query.get("by") or View().by
    if by not in GROUPINGS:
        raise BadRequest(f"`by` must be one of {', '.join(GROUPINGS)}.", param="by")
    filters = {name: query[name] for name in FILTERS if query.get(name)}
    for name, allowed in CLOSED.items():
        if filters.get(name, allowed[0]) not in allowed:
            raise BadRequest(f"`{name}` must be one of {', '.join(allowed)}.", param=name)
    if not _is_status(filters.get("status", "200")):
        raise BadRequest("`status` must be an HTTP status such as 502.", param="status")
    view = View(since, query.get("until", ""), by, filters, query.get("cursor", ""))
    read_window(view.since, view.until or None)
    return view


def step_of(window: Window) -> Literal["hour", "day"]:
    """How finely to draw a span: by the hour up to two days, by the day beyond."""
    return "hour" if window.until_unix - window.since_unix <= _HOURLY_MOST_SECONDS else "day"


def _is_status(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) == 3
