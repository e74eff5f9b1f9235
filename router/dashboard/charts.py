"""Charts as plotly figures: plain dicts for the page's script to draw. Colours are the style sheet's, not ours.

Importing plotly in Python costs most of a second and would only check what a test checks once.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from router.dashboard.format import count, money
from router.dashboard.marks import version_marks
from router.ledger.summary import SpendPoint
from router.ledger.tally import Tally
from router.ledger.versions import VersionEvent
from router.ledger.window import Window, timestamp

Figure = dict[str, Any]
Step = Literal["hour", "day"]

STEP_SECONDS: Mapping[Step, int] = {"hour": 3600, "day": 86_400}
NAMED_MOST = 5
"""As many models as the style sheet has colours for; beyond, the rarest share one."""
OTHERS = "other models"
NOBODY = "no model"
_OTHERS_COLOUR, _NOBODY_COLOUR = NAMED_MOST, NAMED_MOST + 1


def spend_figure(
    points: Sequence[SpendPoint],
    window: Window,
    step: Step,
    models: Sequence[str],
    versions: Sequence[VersionEvent] = (),
) -> Figure:
    """Dollars by model in each hour or day; what has no known price is not drawn (the page says how much that is).

    versions: of the judge, marked by upright lines.
    """
    figure = _figure(points, window, step, models, lambda tally: tally.spend_usd, money, "$")
    if bars := figure["data"]:
        heights: dict[str, float] = {}
        for bar in bars:
            for at, height in zip(bar["x"], bar["y"], strict=True):
                heights[at] = heights.get(at, 0) + height
        figure["data"] = [*bars, *version_marks(versions, max(heights.values()))]
    return figure


def requests_figure(points: Sequence[SpendPoint], window: Window, step: Step, models: Sequence[str]) -> Figure:
    """Requests by model in each hour or day."""
    return _figure(points, window, step, models, lambda tally: tally.requests, count, "")


@dataclass(frozen=True, slots=True)
class Series:
    """One model's bars. colour: which of the style sheet's, from 0. tallies: by the beginning of the hour or day."""

    name: str
    colour: int
    tallies: dict[str, Tally]


def series_of(points: Sequence[SpendPoint], models: Sequence[str]) -> tuple[Series, ...]:
    """One series for each model. `models`, the policy's, keep their colours even where some of them are not seen."""
    seen: Counter[str] = Counter()
    for point in points:
        if point.model is not None:
            seen[point.model] += point.tally.requests
    named = [*models, *sorted(set(seen) - set(models))]
    if len(named) > NAMED_MOST:
        often = {name for name, _ in seen.most_common(NAMED_MOST)}
        named = [name for name in named if name in often]
    series = {name: Series(name, colour, {}) for colour, name in enumerate(named)}
    others, nobody = Series(OTHERS, _OTHERS_COLOUR, {}), Series(NOBODY, _NOBODY_COLOUR, {})
    for point in points:
        tallies = (nobody if point.model is None else series.get(point.model, others)).tallies
        tallies[point.at] = tallies.get(point.at, Tally()) + point.tally
    return tuple(one for one in (*series.values(), others, nobody) if one.tallies)


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
    heights: dict[str, float] = {}
    for series in series_of(points, models):
        drawn = [(at, height) for at, tally in series.tallies.items() if (height := value(tally))]
        if not drawn:
            continue
        for at, height in drawn:
            heights[at] = heights.get(at, 0) + height
        traces.append(
            {
                "type": "bar",
                # plotly reads `<b>` and links in names; a model's name is only ever text.
                "name": html.escape(series.name, quote=False),
                "meta": {"colour": series.colour},
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
                **({"dtick": 1} if not prefix and max(heights.values(), default=0) < 5 else {}),
            },
        },
    }


def _moment(rfc3339: str) -> str:
    """plotly knows no time zones: UTC goes in as it is and comes out as it is."""
    return datetime.fromisoformat(rfc3339).strftime("%Y-%m-%d %H:%M:%S")
