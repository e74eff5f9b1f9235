"""Counts finished outcomes at next to no cost: a dictionary look-up and some additions. Names are given at the scrape.

All that differs between two requests in a label makes a cell; metrics are sums over cells, taken when somebody asks.
Not locked: one thread records and reads.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from typing import NamedTuple

from router.domain import Outcome
from router.errors import RequestError
from router.telemetry.names import ERROR_CODES, NOBODY, OTHER

OVERHEAD_BOUNDS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
LATENCY_BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Seconds, upper ends included."""

MOST_CELLS = 5_000
"""Past so many, names of the policy count as `other`: policies come and go, a process's memory should not grow."""

UNJUDGED = "unsure"
"""What an assessment calls its classifier where there was none."""


class Histogram:
    """Observations by bucket, not cumulated; the last bucket has no upper end."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]):
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Counts one observation, in the unit of the bounds."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class Kind(NamedTuple):
    """What the outcomes of one cell have in common. Model and route are names of a policy, `none` or `other`."""

    purpose: str
    route: str
    model: str
    status: int
    outcome: str
    fault: str | None
    code: str | None
    rule: str
    cache: str
    stream: bool
    unjudged: bool


class Cell:
    """Sums over outcomes of one kind. Amounts in nano-dollars. Histograms are shared with other cells."""

    __slots__ = (
        "baseline_nano",
        "cache_read",
        "cache_write",
        "count",
        "duration",
        "first_token",
        "kind",
        "nano",
        "output",
        "overhead",
        "reasoning",
        "uncached_input",
        "unpriced",
    )

    def __init__(
        self, kind: Kind, overhead: Histogram | None, duration: Histogram | None, first_token: Histogram | None
    ):
        self.kind = kind
        self.count = self.uncached_input = self.cache_read = self.cache_write = self.output = self.reasoning = 0
        self.nano = self.baseline_nano = self.unpriced = 0
        self.overhead, self.duration, self.first_token = overhead, duration, first_token


class Counts:
    """All that one process has answered since it began."""

    def __init__(self) -> None:
        self.overhead = Histogram(OVERHEAD_BOUNDS)
        self.duration: dict[tuple[str, str], Histogram] = {}
        """By model and cache verdict."""
        self.first_token: dict[str, Histogram] = {}
        """By model."""
        self.turned_away: Counter[str] = Counter()
        """By code."""
        self._cells: dict[tuple[object, ...], Cell] = {}
        self._by_kind: dict[Kind, Cell] = {}

    @property
    def cells(self) -> list[Cell]:
        """One for each kind of outcome seen."""
        return list(self._by_kind.values())

    def record(self, row: Outcome) -> None:
        """Counts one finished row of the ledger."""
        key = (
            row.purpose,
            row.route,
            row.model,
            row.status,
            row.outcome,
            row.fault,
            row.error_code,
            row.rule,
            row.cache,
            row.stream,
            row.classifier == UNJUDGED,
        )
        cell = self._cells.get(key)
        if cell is None:
            cell = self._new_cell(key, row)
        cell.count += 1
        usage = row.usage
        cell.uncached_input += usage.uncached_input
        cell.output += usage.output
        if usage.cache_read or usage.cache_write or usage.reasoning:
            cell.cache_read += usage.cache_read
            cell.cache_write += usage.cache_write
            cell.reasoning += usage.reasoning
        nano = row.cost_nano
        if nano is None:
            cell.unpriced += 1
        elif nano:
            cell.nano += nano
        if row.baseline_nano:
            cell.baseline_nano += row.baseline_nano
        overhead = cell.overhead
        if overhead is not None:
            seconds = row.overhead_ms / 1000
            overhead.counts[bisect_left(OVERHEAD_BOUNDS, seconds)] += 1
            overhead.total += seconds
        duration = cell.duration
        if duration is not None:
            seconds = row.latency_ms / 1000
            duration.counts[bisect_left(LATENCY_BOUNDS, seconds)] += 1
            duration.total += seconds
        if cell.first_token is not None and row.ttft_ms is not None:
            cell.first_token.observe(row.ttft_ms / 1000)

    def turn_away(self, error: RequestError) -> None:
        """Counts a request that was not accepted."""
        self.turned_away[_code(error.code) or OTHER] += 1

    def _new_cell(self, key: tuple[object, ...], row: Outcome) -> Cell:
        kind = _kind(row)
        full = len(self._cells) >= MOST_CELLS
        if full:
            kind = kind._replace(route=OTHER, model=OTHER, rule=OTHER)
        cell = self._by_kind.get(kind)
        if cell is None:
            cell = self._by_kind[kind] = self._empty(kind)
        if not full:
            self._cells[key] = cell
        return cell

    def _empty(self, kind: Kind) -> Cell:
        if kind.purpose != "chat":
            return Cell(kind, None, None, None)
        duration = self.duration.setdefault((kind.model, kind.cache), Histogram(LATENCY_BOUNDS))
        first_token = None
        if kind.stream and kind.cache != "hit" and kind.model != NOBODY:
            first_token = self.first_token.setdefault(kind.model, Histogram(LATENCY_BOUNDS))
        return Cell(kind, self.overhead, duration, first_token)


def _kind(row: Outcome) -> Kind:
    absent = OTHER if row.error_code == "model_not_found" else NOBODY
    return Kind(
        row.purpose,
        row.route or absent,
        row.model or absent,
        row.status,
        row.outcome,
        row.fault,
        _code(row.error_code),
        row.rule or NOBODY,
        row.cache,
        row.stream,
        row.classifier == UNJUDGED,
    )


def _code(code: str | None) -> str | None:
    return code if code is None or code in ERROR_CODES else OTHER
