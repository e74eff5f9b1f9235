"""What a page's address asks for: span of time, grouping, order, filters, page. All of it means what it does in `/api`.

Nothing a page shows depends on anything but its address: it can be sent on, kept, and gone back to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args
from urllib.parse import urlencode

from router.domain import CacheVerdict, OutcomeKind, Purpose
from router.errors import BadRequest
from router.ledger.filters import FILTER_NAMES, Filters, Priced, UsageKind
from router.ledger.reports import SORTS, By, Sort
from router.ledger.window import Window, read_window

OVERVIEW = "/dashboard"
REQUESTS = "/dashboard/requests"
SHADOW = "/dashboard/shadow"
QUALITY = "/dashboard/quality"
LEARNING = "/dashboard/learning"

RANGES = {"24h": "24 hours", "7d": "7 days", "30d": "30 days"}
GROUPINGS: tuple[By, ...] = ("rule", "model", "route", "policy", "task", "tenant", "key")
EXPORTS = {OVERVIEW: "/api/export/costs", REQUESTS: "/api/export/requests"}

_HOURLY_MOST_SECONDS = 49 * 3600
CLOSED: Mapping[str, tuple[str, ...]] = {
    "outcome": get_args(OutcomeKind),
    "cache": get_args(CacheVerdict),
    "priced": get_args(Priced),
    "usage": get_args(UsageKind),
    "purpose": get_args(Purpose),
}
"""The filters that have few values, and these."""


@dataclass(frozen=True, slots=True)
class View:
    """One address, read. filters: only those that are set, by name. sort: as in `/api/costs`. live: follow the list."""

    since: str = "24h"
    until: str = ""
    by: By = "rule"
    sort: Sort | None = None
    filters: Mapping[str, str] = field(default_factory=dict)
    cursor: str = ""
    live: bool = False

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
        """The address of this view with changes, at page one; an empty value takes a part away."""
        values: dict[str, str] = {"since": self.since, "until": self.until}
        if path == OVERVIEW:
            values |= {"by": self.by, "sort": self.sort or ""}
        if path == QUALITY:
            values |= {"by": self.by}
        return _address(path, {**values, **self.filters, **changes})

    def clear(self, path: str = REQUESTS) -> str:
        """The address of the same page and span without any filter."""
        return replace(self, filters={}, cursor="").link(path)

    def export(self, path: str, format: str, **changes: str) -> str:
        """Where the table of a page is to be had as a file."""
        values = {"since": self.since, "until": self.until}
        if path == OVERVIEW:
            values |= {"by": self.by, "sort": self.sort or ""}
        return _address(EXPORTS[path], {**values, **self.filters, "format": format, **changes})

    def following(self, path: str) -> str:
        """The query of what a live list asks for: the filters alone, since it has no span."""
        return _address(path, self.filters)

    def order_by(self, column: str) -> str:
        """The order that a click on a column's head asks for: first what is most, or first of the alphabet."""
        first, second = (column, f"-{column}") if column == "key" else (f"-{column}", column)
        return second if self.sort == first else first

    def aria_sort(self, column: str) -> str:
        """`ascending`, `descending` or `none`, as HTML says it."""
        return {column: "ascending", f"-{column}": "descending"}.get(self.sort or "", "none")


def read_view(query: Mapping[str, str]) -> View:
    """The view that an address asks for; what it leaves out has a default. Raises BadRequest naming the parameter."""
    since, by = query.get("since") or View().since, query.get("by") or View().by
    if by not in GROUPINGS:
        raise BadRequest(f"`by` must be one of {', '.join(GROUPINGS)}.", param="by")
    sort: Any = query.get("sort") or None
    if sort is not None and sort not in SORTS:
        raise BadRequest(f"`sort` must be one of {', '.join(SORTS)}.", param="sort")
    filters = {name: query[name] for name in FILTER_NAMES if query.get(name)}
    for name, allowed in CLOSED.items():
        if filters.get(name, allowed[0]) not in allowed:
            raise BadRequest(f"`{name}` must be one of {', '.join(allowed)}.", param=name)
    if not _is_status(filters.get("status", "200")):
        raise BadRequest("`status` must be an HTTP status such as 502.", param="status")
    view = View(
        since,
        query.get("until", ""),
        by,
        sort,
        filters,
        query.get("cursor", ""),
        query.get("live", "") not in ("", "0"),
    )
    read_window(view.since, view.until or None)
    return view


def _address(path: str, values: Mapping[str, str]) -> str:
    query = urlencode({name: value for name, value in values.items() if value})
    return f"{path}?{query}" if query else path


def step_of(window: Window) -> Literal["hour", "day"]:
    """How finely to draw a span: by the hour up to two days, by the day beyond."""
    return "hour" if window.until_unix - window.since_unix <= _HOURLY_MOST_SECONDS else "day"


def _is_status(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) == 3
