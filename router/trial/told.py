"""Replays and diffs as JSON documents, and as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from classifiers.training.measures import Figure
from router.trial.replayed import Replay
from router.trial.worth import Worth, Yardstick


def replay_document(replayed: Replay, figures: Worth | None, judge: str) -> dict[str, Any]:
    """`policy replay --json`."""
    return {**_about(replayed, judge), "figures": None if figures is None else asdict(figures)}


def replay_lines(replayed: Replay, figures: Worth | None, judge: str) -> Iterator[str]:
    """`policy replay` for people. Quality and dollars are means a row, with 95 per cent intervals."""
    yield f"{replayed.policy.label}, {len(replayed.rows)} rows, judged by {judge}"
    yield from _standing_for(replayed)
    if figures is None:
        yield "no row was answered"
    else:
        for what, counts in (("model", figures.by_model), ("rule", figures.by_rule), ("plan", figures.by_plan)):
            yield f"by {what:6} " + ", ".join(f"{name} {count / figures.rows:.1%}" for name, count in counts.items())
        yield ""
        yield f"{'':32}{'quality':24}dollars a thousand rows"
        for yardstick in (figures.policy, *figures.yardsticks):
            yield yardstick_line(yardstick)
        yield f"keeps {shown(figures.kept)} of {figures.baseline}'s quality, saves {shown(figures.saved)} of its bill"
    yield from _beside(replayed)


def shown(figure: Figure, times: float = 1.0, digits: int = 3) -> str:
    """A figure with its interval; `-` where it is unknown."""
    if figure.value is None:
        return "-"
    text = f"{figure.value * times:.{digits}f}"
    if figure.low is None or figure.high is None:
        return text
    return f"{text} [{figure.low * times:.{digits}f}, {figure.high * times:.{digits}f}]"


def yardstick_line(yardstick: Yardstick) -> str:
    return f"{yardstick.name:32}{shown(yardstick.quality):24}{shown(yardstick.cost_usd, 1000)}"


def _about(replayed: Replay, judge: str) -> dict[str, Any]:
    return {
        "policy": replayed.policy.label,
        "judge": judge,
        "models": dict(replayed.names),
        "rows": len(replayed.rows),
        "incomplete": replayed.incomplete,
        "refused": dict(replayed.refused),
        "left_out": dict(replayed.left_out),
        "notes": list(replayed.notes),
    }


def _standing_for(replayed: Replay) -> Iterator[str]:
    names: Mapping[str, str] = replayed.names
    yield "models    " + ", ".join(name if name == data else f"{name} as {data}" for name, data in names.items())


def _beside(replayed: Replay) -> Iterator[str]:
    """What the figures are not about."""
    if replayed.incomplete:
        yield f"left out  {replayed.incomplete} rows without an outcome of every model"
    for why, count in replayed.left_out.most_common():
        yield f"left out  {count} rows: {why}"
    for code, count in replayed.refused.most_common():
        yield f"refused   {count} rows: {code}"
    for note in replayed.notes:
        yield f"note      {note}"
