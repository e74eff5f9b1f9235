"""The charts of the learning loop as plotly figures: reliability, what cost buys in quality, labels by day."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from router.dashboard.charts import NAMED_MOST, STEP_SECONDS, Figure
from router.dashboard.format import moment, money, score
from router.ledger.label_report import DayLabels
from router.ledger.quality import Reliability, ReliabilityReport
from router.ledger.tradeoff import Point, Tradeoff
from router.ledger.window import Window

_SOURCES = ("verifier", "judge", "user", "implicit")
_LEGEND = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "traceorder": "normal"}
_MARGIN = {"l": 8, "r": 8, "t": 8, "b": 8}


def reliability_figure(report: ReliabilityReport) -> Figure:
    """Labelled quality over predicted quality, a series for each version; on the diagonal is who keeps its word."""
    diagonal = _line("as predicted", "soft", [0, 1], [0, 1], dash="dot")
    diagonal["hoverinfo"] = "skip"
    series = [_of_version(version, number) for number, version in enumerate(report.versions[:NAMED_MOST])]
    layout = _layout("Predicted quality", "Labelled quality")
    layout["xaxis"] |= {"range": [0, 1]}
    layout["yaxis"] |= {"range": [0, 1.02]}
    return {"data": [diagonal, *series], "layout": layout}


def tradeoff_figure(report: Tradeoff) -> Figure:
    """Quality over cost: the curves, today's place with its interval, and where today's thresholds stand."""
    data = [
        _curve("by predicted gain", 0, report.by_gain, "solid"),
        _curve("by prompt length", 1, report.by_length, "dash"),
        _curve("by chance", "soft", report.by_chance, "dot"),
    ]
    for number, one in enumerate(report.thresholds):
        if one.point is not None:
            data.append(_place(one.rule, 2 + number % 3, one.point, "diamond", 11))
    if report.today is not None:
        today = _place("today", "ink", report.today, "circle", 12)
        low, high = report.today_quality.low, report.today_quality.high
        if low is not None and high is not None:
            today["error_y"] = _spread([report.today.quality], [low], [high])
        data.append(today)
    layout = _layout("Cost of a request", "Quality")
    layout["xaxis"] |= {"tickprefix": "$", "exponentformat": "none"}
    return {"data": data, "layout": layout}


def labels_figure(days: Sequence[DayLabels], window: Window) -> Figure:
    """Labels given on each day, UTC, by source."""
    found = [source for source in _SOURCES if any(day.source == source for day in days)]
    length = STEP_SECONDS["day"]
    data = [
        {
            "type": "bar",
            "name": source,
            "meta": {"colour": _SOURCES.index(source)},
            "x": [f"{day.day} 00:00:00" for day in days if day.source == source],
            "y": [day.n for day in days if day.source == source],
            "width": length * 800,
            "offset": length * 100,
            "hovertemplate": "%{fullData.name}  %{y}<extra></extra>",
        }
        for source in found
    ]
    first = window.since_unix // length * length
    last = max(first + 7 * length, -(-window.until_unix // length) * length)
    layout = _layout("", "Labels")
    layout |= {"barmode": "stack", "hovermode": "x unified"}
    layout["xaxis"] |= {"type": "date", "range": [moment(first), moment(last)], "hoverformat": "%d %b %Y (UTC)"}
    return {"data": data, "layout": layout}


def _of_version(version: Reliability, colour: int) -> dict[str, Any]:
    drawn = [one for one in version.bins if one.predicted is not None]
    trace = _line(
        version.classifier,
        colour,
        [one.predicted for one in drawn],
        [one.labelled.mean for one in drawn],
        mode="lines+markers",
    )
    trace["error_y"] = _spread(*([getattr(one.labelled, name) for one in drawn] for name in ("mean", "low", "high")))
    trace["customdata"] = [
        f"predicted {score(one.predicted)}, labelled {score(one.labelled.mean)}, n {one.labelled.n:,}" for one in drawn
    ]
    return trace


def _curve(name: str, colour: int | str, points: Sequence[Point], dash: str) -> dict[str, Any]:
    trace = _line(name, colour, [point.usd for point in points], [point.quality for point in points], dash=dash)
    trace["customdata"] = [_words(point) for point in points]
    return trace


def _place(name: str, colour: int | str, point: Point, symbol: str, size: int) -> dict[str, Any]:
    trace = _line(name, colour, [point.usd], [point.quality], mode="markers")
    del trace["line"]
    return {**trace, "marker": {"symbol": symbol, "size": size}, "customdata": [_words(point)]}


def _line(
    name: str, colour: int | str, x: Sequence[Any], y: Sequence[Any], *, mode: str = "lines", dash: str = "solid"
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": mode,
        "name": html.escape(name, quote=False),
        "meta": {"colour": colour},
        "line": {"dash": dash, "width": 2},
        "x": list(x),
        "y": list(y),
        "hovertemplate": "%{fullData.name}  %{customdata}<extra></extra>",
    }


def _spread(middle: Sequence[Any], low: Sequence[Any], high: Sequence[Any]) -> dict[str, Any]:
    above = [top - at for at, top in zip(middle, high, strict=True)]
    below = [at - bottom for at, bottom in zip(middle, low, strict=True)]
    return {"type": "data", "symmetric": False, "array": above, "arrayminus": below, "thickness": 1.5, "width": 4}


def _words(point: Point) -> str:
    return f"quality {score(point.quality)} at {money(point.usd)}, {100 * point.share_large:.0f}% to the large model"


def _layout(x: str, y: str) -> dict[str, Any]:
    axis = {"fixedrange": True, "automargin": True, "zeroline": False}
    return {
        "hovermode": "closest",
        "showlegend": True,
        "legend": _LEGEND,
        "margin": _MARGIN,
        "xaxis": {**axis, "title": {"text": x}} if x else dict(axis),
        "yaxis": {**axis, "title": {"text": y}},
    }
