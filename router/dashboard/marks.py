"""Versions of the judge as upright lines on a chart over time: retrained, promoted, canary, rolled back."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from router.dashboard.format import moment
from router.ledger.versions import EventKind, VersionEvent

_LINES: dict[EventKind, tuple[str, str]] = {
    "retrained": ("soft", "dot"),
    "promoted": ("good", "solid"),
    "canary": ("warn", "dash"),
    "rolled back": ("bad", "dashdot"),
}
"""The style sheet's colour, and plotly's dash: so that nobody has to tell colours apart."""


def version_marks(events: Sequence[VersionEvent], top: float) -> list[dict[str, Any]]:
    """One trace for each kind that there is, each event a line from 0 to `top`. For a legend and for tooltips."""
    traces = []
    for kind, (colour, dash) in _LINES.items():
        found = sorted((event for event in events if event.kind == kind), key=lambda event: event.at_unix)
        if not found:
            continue
        times, heights, words = list[str | None](), list[float | None](), list[str]()
        for event in found:
            at = moment(event.at_unix)
            times += [at, at, None]
            heights += [0, top, None]
            words += 3 * [html.escape(_words(event), quote=False)]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": kind,
                "meta": {"colour": colour},
                "line": {"dash": dash, "width": 2},
                "x": times,
                "y": heights,
                "customdata": words,
                "hovertemplate": "%{fullData.name}  %{customdata}<extra></extra>",
            }
        )
    return traces


def _words(event: VersionEvent) -> str:
    return f"{event.name} by {event.by}" if event.by else event.name
