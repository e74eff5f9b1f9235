"""What a page must show, by plain SQL over the ledger's file: no report, no route and no template has a part in it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

Query = Callable[..., list[tuple[Any, ...]]]
Figures = dict[str, list[float]]

COMPARED = "purpose = 'chat' AND cost_nano IS NOT NULL AND outcome IN ('ok', 'client_closed')"
SUMS = f"""
    sum(purpose = 'chat'),
    sum(CASE WHEN purpose = 'chat' THEN uncached_input + cache_read + cache_write ELSE 0 END),
    sum(CASE WHEN purpose = 'chat' THEN output ELSE 0 END),
    sum(purpose = 'chat' AND cache NOT IN ('miss', 'bypass')),
    sum(purpose = 'chat' AND outcome NOT IN ('ok', 'client_closed')),
    total(cost_nano) / 1e9,
    total(CASE WHEN {COMPARED} THEN baseline_nano END) / 1e9,
    sum(cost_nano IS NULL),
    count(cost_nano)
"""


class Truth:
    """Figures of all rows between two times that meet a condition in SQL."""

    def __init__(self, sql: Query, since: float, until: float, where: str = "1"):
        self._sql = sql
        self._rows = f"FROM outcomes WHERE at_unix >= {since} AND at_unix < {until} AND ({where})"

    def one(self, what: str, where: str = "1") -> Any:
        """A single figure."""
        return self._sql(f"SELECT {what} {self._rows} AND ({where})")[0][0]

    def tiles(self) -> Figures:
        """The tiles at the top, by their ids, figures as they follow each other."""
        chats = self.one("count(*)", "purpose = 'chat'")
        spend, baseline = self.one("total(cost_nano)") / 1e9, self.one("total(baseline_nano)", COMPARED) / 1e9
        hits = self.one("count(*)", "purpose = 'chat' AND cache NOT IN ('miss', 'bypass')")
        errors = self.one("count(*)", "purpose = 'chat' AND outcome NOT IN ('ok', 'client_closed')")
        unpriced, estimated = self.one("count(*)", "cost_nano IS NULL"), self.one("count(*)", "usage_estimated")
        inner = self.one("total(cost_nano)", "purpose != 'chat'") / 1e9
        return {
            "tile-requests": [chats],
            "tile-spend": [spend, *_some(unpriced), *_some(estimated), *_some(inner)],
            "tile-saved": [baseline - spend, (baseline - spend) / baseline, baseline],
            "tile-cache": [hits / chats, hits],
            "tile-tokens": [
                self.one("sum(uncached_input + cache_read + cache_write)", "purpose = 'chat'"),
                self.one("sum(output)", "purpose = 'chat'"),
            ],
            "tile-errors": [errors, errors / chats],
            "tile-latency": self.ranks("latency_ms"),
            "tile-overhead": self.ranks("overhead_ms"),
        }

    def ranks(self, column: str) -> list[float]:
        """Nearest rank at 50, 95 and 99 of a hundred, over answered requests."""
        ranked = self._sql(f"SELECT {column} {self._rows} AND purpose = 'chat' AND outcome = 'ok' ORDER BY 1")
        return [ranked[math.ceil(len(ranked) * share / 100) - 1][0] for share in (50, 95, 99)]

    def savings(self) -> Figures:
        """The card that says what was saved, and of what."""
        spend, baseline = self.one("total(cost_nano)") / 1e9, self.one("total(baseline_nano)", COMPARED) / 1e9
        inner = self.one("total(cost_nano)", "purpose != 'chat'") / 1e9
        made = self.one("count(*)", "purpose != 'chat'")
        by_source = self._sql(
            f"SELECT count(*), total(cost_nano) / 1e9 {self._rows} AND price IS NOT NULL "
            "GROUP BY json_extract(price, '$.source') ORDER BY 2 DESC"
        )
        return {
            "savings": [
                baseline,
                spend - inner,
                *([inner] if made else []),
                baseline - spend,
                *(x for pair in by_source for x in pair),
            ],
            "note-unpriced": self._by_purpose("cost_nano IS NULL"),
            "note-usage": self._by_purpose("usage_estimated"),
        }

    def cache(self) -> list[float]:
        """The card of the cache: hits among those looked up, then a row for each kind."""
        chats = self.one("count(*)", "purpose = 'chat'")
        looked_up = self.one("count(*)", "purpose = 'chat' AND cache != 'bypass'")
        hits = self.one("count(*)", "purpose = 'chat' AND cache NOT IN ('miss', 'bypass')")
        kinds = self._sql(
            f"SELECT count(*), total(CASE WHEN {COMPARED} THEN baseline_nano END) / 1e9, total(cost_nano) / 1e9 "
            f"{self._rows} AND purpose = 'chat' GROUP BY cache "
            "ORDER BY CASE cache WHEN 'hit' THEN 0 WHEN 'miss' THEN 2 WHEN 'bypass' THEN 3 ELSE 1 END, cache"
        )
        return [hits / looked_up, looked_up, *(x for n, base, cost in kinds for x in (n, n / chats, base, cost))]

    def inner(self) -> list[float]:
        """The card of inner calls: a row for each purpose; a cost that nobody knows is no figure."""
        found = self._sql(
            f"SELECT count(*), sum(outcome NOT IN ('ok', 'client_closed')), sum(cost_nano IS NULL), "
            f"total(cost_nano) / 1e9 {self._rows} AND purpose != 'chat' GROUP BY purpose ORDER BY 4 DESC, purpose"
        )
        return [x for *counts, cost in found for x in (*counts, *([] if counts[2] and not cost else [cost]))]

    def by(self, column: str, order: str = "total(cost_nano) DESC, 2 DESC, 1") -> list[tuple[str, list[float]]]:
        """A cost table: the key and the figures of each row, then the total."""
        rows = self._sql(f"SELECT {column}, {SUMS} {self._rows} GROUP BY 1 ORDER BY {order}")
        [total] = self._sql(f"SELECT 'Total', {SUMS} {self._rows}")
        return [(row[0] or f"no {column}", _cost_cells(row[1:], total[1:])) for row in [*rows, total]]

    def over_time(self) -> list[float]:
        """The charts as a table: a row for each hour and model."""
        rows = self._sql(
            f"SELECT sum(purpose = 'chat'), total(cost_nano) / 1e9, sum(cost_nano IS NULL), count(cost_nano) "
            f"{self._rows} GROUP BY hour, model ORDER BY hour, model"
        )
        return [x for n, cost, unknown, _ in rows for x in (n, *_known(cost, unknown), *_some(unknown))]

    def bars(self, what: str) -> dict[str, dict[str, float]]:
        """A chart: by model and hour, what is not zero."""
        rows = self._sql(
            f"SELECT coalesce(model, 'no model'), strftime('%Y-%m-%d %H:%M:%S', hour * 3600, 'unixepoch'), {what} "
            f"{self._rows} GROUP BY 1, 2"
        )
        bars: dict[str, dict[str, float]] = {}
        for model, at, height in rows:
            if height:
                bars.setdefault(model, {})[at] = height
        return bars

    def listed(self, limit: int) -> list[tuple[str, list[float]]]:
        """The newest requests: id, and complexity, tokens, cost where known, and latency."""
        rows = self._sql(
            f"SELECT request_id, complexity, uncached_input + cache_read + cache_write, output, cost_nano / 1e9, "
            f"latency_ms {self._rows} AND purpose = 'chat' ORDER BY at_unix DESC, request_id DESC LIMIT {limit}"
        )
        return [(name, [figure for figure in figures if figure is not None]) for name, *figures in rows]

    def _by_purpose(self, where: str) -> list[float]:
        chats = self.one("count(*)", f"purpose = 'chat' AND {where}")
        return [*_some(chats), *_some(self.one("count(*)", f"purpose != 'chat' AND {where}"))]


def _cost_cells(sums: tuple[Any, ...], total: tuple[Any, ...]) -> list[float]:
    requests, tokens_in, tokens_out, hits, errors, spend, baseline, unpriced, _ = sums
    money = [] if unpriced and not spend else [spend, baseline, baseline - spend]
    return [
        requests,
        requests / total[0],
        tokens_in,
        tokens_out,
        hits,
        errors,
        *money,
        *([unpriced] if total[7] else []),
    ]


def _known(cost: float, unknown: int) -> list[float]:
    return [] if unknown and not cost else [cost]


def _some(number: float) -> list[float]:
    """Pages leave these figures out where they are nothing."""
    return [number] if number else []
