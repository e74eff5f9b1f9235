"""The counts of a gateway's other worker processes: they share one port, so a scrape of any must tell of all.

Each worker leaves its figures in a file of one folder, every second and before it answers a scrape. Counters of a
worker that is gone stay in the sums (a sum that sinks would look like a restart); its gauges do not.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import orjson

from router.telemetry.counts import Histogram
from router.telemetry.names import METRICS, Metric

Labels = tuple[str, ...]
Values = dict[str, dict[Labels, float | Histogram]]
"""By metric, then by the values of its labels."""

ALIVE_SECONDS = 10.0


class Siblings:
    """A place among the workers of one gateway. folder: theirs alone; made and removed by who started them."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._mine = folder / f"{os.getpid()}.json"

    def share(self, values: Values) -> None:
        """Leaves this worker's figures for the others. Never raises: a full disk costs metrics, not answers."""
        try:
            draft = self._mine.with_suffix(".draft")
            draft.write_bytes(_written(values))
            draft.replace(self._mine)
        except OSError:
            return

    def with_others(self, values: Values) -> Values:
        """This worker's figures and everybody else's as one."""
        return merged([values, *self._others()])

    def _others(self) -> Iterator[Values]:
        now = time.time()
        for path in sorted(self._folder.glob("*.json")):
            if path == self._mine:
                continue
            try:
                alive = now - path.stat().st_mtime < ALIVE_SECONDS
                values = _read(path.read_bytes())
            except (OSError, orjson.JSONDecodeError):
                continue
            yield {name: of for name, of in values.items() if alive or METRICS[name].kind != "gauge"}


def merged(many: Iterable[Values]) -> Values:
    """Counters and histograms added up; gauges as their metric says."""
    whole: Values = {}
    for values in many:
        for name, of in values.items():
            into = whole.setdefault(name, {})
            for labels, value in of.items():
                into[labels] = _joined(METRICS[name], into[labels], value) if labels in into else value
    return whole


def _joined(metric: Metric, one: float | Histogram, other: float | Histogram) -> float | Histogram:
    if isinstance(one, Histogram) and isinstance(other, Histogram):
        both = Histogram(one.bounds)
        both.counts = [a + b for a, b in zip(one.counts, other.counts, strict=True)]
        both.total = one.total + other.total
        return both
    assert not isinstance(one, Histogram) and not isinstance(other, Histogram)
    return {"sum": one + other, "min": min(one, other), "max": max(one, other)}[metric.across]


def _written(values: Values) -> bytes:
    return orjson.dumps(
        {name: [[labels, _plain(value)] for labels, value in of.items()] for name, of in values.items()}
    )


def _plain(value: float | Histogram) -> object:
    return [value.bounds, value.counts, value.total] if isinstance(value, Histogram) else value


def _read(raw: bytes) -> Values:
    document: Mapping[str, list[tuple[list[str], object]]] = orjson.loads(raw)
    return {
        name: {tuple(labels): _figure(value) for labels, value in of}
        for name, of in document.items()
        if name in METRICS
    }


def _figure(value: object) -> float | Histogram:
    if isinstance(value, list):
        bounds, counts, total = value
        histogram = Histogram(tuple(bounds))
        histogram.counts, histogram.total = counts, total
        return histogram
    assert isinstance(value, int | float)
    return value
