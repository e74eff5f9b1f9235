"""Charts as plotly figures: plain dicts for the page's script to draw. Colours are the style sheet's, not ours.

Importing plotly in Python costs most of a second and would only check what a test checks once.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from router.dashboard.format import count, money
from router.ledger.reports import SpendPoint
from router.ledger.tally import Tally
from router.ledger.window import Window, timestamp

Figure = dict[str, Any]
Step = Literal["hour", "day"]

STEP_SECONDS: Mapping[Step, int] = {"hour": 3600, "day": 86_400}
SERIES_MOST = 6
"""As many colours as the style sheet has; beyond, the rarest models share the last one."""
OTHERS = "other models"
NOBODY = "no model"


def spend_figure(points: Sequence[SpendPoint], window: Window, step: Step, models: Sequence[str]) -> Figure:
    """Dollars by model in each hour or day; what has no known price is not drawn (the page says how much that is)."""
    return _figure(points, window, step, models, lambda tally: tally.spend_usd, money, "$")


def requests_figure(points: Sequence[SpendPoint], window: Window, step: Step, models: Sequence[str]) -> Figure:
    """Requests by model in each hour or day."""
    return _figure(points, window, step, models, lambda tally: tally.requests, count, "")


def series_of(points: Sequence[SpendPoint], models: Sequence[str]) -> dict[str, dict[str, Tally]]:
    """Tallies by the beginning of the step, for each model, in the policy's order so that colours stay the same."""
    requests: dict[str, int] = {}
    for point in points:
        requests[point.model or NOBODY] = requests.get(point.model or NOBODY, 0) + point.tally.requests
    rank = {model: place for place, model in enumerate(models)}
    names = sorted(requests, key=lambda name: (rank.get(name, len(rank)), name == NOBODY, name))
    if len(names) > SERIES_MOST:
        kept = set(sorted(names, key=lambda name: -requests[name])[: SERIES_MOST - 1])
        names = [*(name for name in names if name in kept), OTHERS]
    series: dict[str, dict[str, Tally]] = {name: {} for name in names}
    for point in points:
        name = point.model or NOBODY
        tallies = series[name if name in series else OTHERS]
        tallies[point.at] = tallies.get(point.at, Tally()) + point.tally
    return series


def _figure(
    points: Sequence[SpendPoint],
    window: Window,
    step: Step,
    models: Sequence[str],
    value: Callable[[Tally], float | None],
    words: Callable[[Any], str],
    prefix: str,
) -> Figure:
    length = STEP_SECONDS[step]
    traces = []
    for name, tallies in series_of(points, models).items():
        drawn = [(at, value(tally)) for at, tally in tallies.items()]
        drawn = [(at, height) for at, height in drawn if height is not None]
        traces.append(
            {
                "type": "bar",
                # plotly reads `<b>` and links in names; a model's name is only ever text.
                "name": html.escape(name, quote=False),
                "x": [_moment(at) for at, _ in drawn],
                "y": [height for _, height in drawn],
                "customdata": [words(height) for _, height in drawn],
                "width": length * 800,
                "offset": length * 100,
                # No `<b>` here: plotly makes a style attribute of it, which the page's policy refuses.
                "hovertemplate": "%{fullData.name}  %{customdata}<extra></extra>",
            }
        )
    first = window.since_unix // length * length
    last = -(-window.until_unix // length) * length
    return {
        "data": traces,
        "layout": {
            "barmode": "stack",
            "hovermode": "x unified",
            "showlegend": True,
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "traceorder": "normal"},
            "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
            "xaxis": {
                "type": "date",
                "range": [_moment(timestamp(first)), _moment(timestamp(last))],
                "fixedrange": True,
                "automargin": True,
                "showgrid": False,
                "showspikes": False,
                "hoverformat": "%d %b %H:%M UTC" if step == "hour" else "%d %b %Y (UTC)",
            },
            "yaxis": {
                "tickprefix": prefix,
                "exponentformat": "none",
                "rangemode": "tozero",
                "fixedrange": True,
                "automargin": True,
                "zeroline": False,
            },
        },
    }


def _moment(rfc3339: str) -> str:
    """plotly knows no time zones: UTC goes in as it is and comes out as it is."""
    return datetime.fromisoformat(rfc3339).strftime("%Y-%m-%d %H:%M:%S")
