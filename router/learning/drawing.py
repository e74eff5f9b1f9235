"""The plots of a retraining's page, as SVG text: no script, nothing fetched. Values in 0..1 come in, marks come out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

COLOURS: Final = {
    "candidate": "var(--candidate)",
    "current": "var(--current)",
    "prompt length": "var(--length)",
    "random": "var(--random)",
}
WIDE, HIGH, LEFT, BOTTOM = 480, 300, 52, 40


def reliability(points: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """Stated against seen shares of good answers, each point a tenth of the held-out answers with its interval."""
    plot = _Plot((0.0, 1.0), (0.0, 1.0))
    plot.line([(0.0, 0.0), (1.0, 1.0)], "var(--rule)", dashed=True)
    for name, found in points.items():
        colour = COLOURS[name]
        for point in found:
            low, high = (min(1.0, max(0.0, point["seen"] + side * point["half"])) for side in (-1.0, 1.0))
            plot.line([(point["stated"], low), (point["stated"], high)], colour, thin=True)
        plot.line([(point["stated"], point["seen"]) for point in found], colour)
        for point in found:
            plot.dot(point["stated"], point["seen"], colour)
    return plot.svg("stated share of good answers", "share that was good", "Does the stated share come true?")


def curves(drawn: Mapping[str, Any]) -> str:
    """Quality gained over the cheap model alone, by share of the extra bill; a line where today's choices stand."""
    lines: Mapping[str, Sequence[float]] = drawn["quality"]
    values = [value for line in lines.values() for value in line]
    low, high = min(0.0, *values), max(0.0, *values)
    plot = _Plot((0.0, 1.0), (low, high if high > low else low + 1.0))
    today = float(drawn["today"])
    plot.line([(today, low), (today, plot.y[1])], "var(--rule)", dashed=True)
    plot.text(today, plot.y[1], "today")
    for name, line in lines.items():
        plot.line([(at / (len(line) - 1), value) for at, value in enumerate(line)], COLOURS[name])
    return plot.svg("share of the dear model's extra bill", "quality gained", "Quality for cost")


def bars(days: Sequence[tuple[str, Mapping[str, int]]], colours: Mapping[str, str]) -> str:
    """Labels by day, stacked by source."""
    most = max((sum(counts.values()) for _, counts in days), default=1) or 1
    plot = _Plot((0.0, max(1.0, float(len(days)))), (0.0, float(most)), x_marks=())
    for at, (_, counts) in enumerate(days):
        base = 0.0
        for source in colours:
            count = counts.get(source, 0)
            plot.box(at + 0.1, at + 0.9, base, base + count, colours[source])
            base += count
    if days:
        plot.below(0.0, days[0][0], "start")
    if len(days) > 1:
        plot.below(float(len(days)), days[-1][0], "end")
    return plot.svg("", "labels", "Labels by day")


class _Plot:
    def __init__(self, x: tuple[float, float], y: tuple[float, float], x_marks: Sequence[float] | None = None):
        self.x, self.y = x, y
        self._x_marks = _marks(*x) if x_marks is None else x_marks
        self._parts: list[str] = []

    def line(
        self, points: Sequence[tuple[float, float]], colour: str, *, dashed: bool = False, thin: bool = False
    ) -> None:
        if not points:
            return
        path = " ".join(f"{self._px(x):.1f},{self._py(y):.1f}" for x, y in points)
        dash = ' stroke-dasharray="4 4"' if dashed else ""
        width = "1" if dashed or thin else "2"
        self._parts.append(
            f'<polyline points="{path}" fill="none" style="stroke:{colour}" stroke-width="{width}"{dash}/>'
        )

    def dot(self, x: float, y: float, colour: str) -> None:
        self._parts.append(f'<circle cx="{self._px(x):.1f}" cy="{self._py(y):.1f}" r="3.5" style="fill:{colour}"/>')

    def box(self, left: float, right: float, low: float, high: float, colour: str) -> None:
        x, y = self._px(left), self._py(high)
        self._parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{self._px(right) - x:.1f}" height="{self._py(low) - y:.1f}"'
            f' style="fill:{colour}"/>'
        )

    def text(self, x: float, y: float, words: str) -> None:
        side, anchor = (-4.0, "end") if self._px(x) > WIDE / 2 else (4.0, "start")
        place = f'x="{self._px(x) + side:.1f}" y="{self._py(y) + 12:.1f}" text-anchor="{anchor}"'
        self._parts.append(f"<text {place}>{escape(words)}</text>")

    def below(self, x: float, words: str, anchor: str = "middle") -> None:
        self._parts.append(
            f'<text x="{self._px(x):.1f}" y="{HIGH - BOTTOM + 16}" text-anchor="{anchor}">{escape(words)}</text>'
        )

    def svg(self, x_label: str, y_label: str, title: str) -> str:
        axes = [f'<line x1="{LEFT}" y1="{HIGH - BOTTOM}" x2="{WIDE - 8}" y2="{HIGH - BOTTOM}" class="axis"/>']
        for mark in _marks(*self.y):
            y = self._py(mark)
            axes.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDE - 8}" y2="{y:.1f}" class="grid"/>')
            axes.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{mark:g}</text>')
        axes.extend(
            f'<text x="{self._px(mark):.1f}" y="{HIGH - BOTTOM + 16}" text-anchor="middle">{mark:g}</text>'
            for mark in self._x_marks
        )
        middle = LEFT + (WIDE - 8 - LEFT) / 2
        axes.append(f'<text x="{middle}" y="{HIGH - 6}" text-anchor="middle">{escape(x_label)}</text>')
        axes.append(f'<text x="8" y="14">{escape(y_label)}</text>')
        return (
            f'<svg viewBox="0 0 {WIDE} {HIGH}" role="img" aria-label="{escape(title)}">'
            f"<title>{escape(title)}</title>{''.join(axes)}{''.join(self._parts)}</svg>"
        )

    def _px(self, x: float) -> float:
        return LEFT + (x - self.x[0]) / (self.x[1] - self.x[0]) * (WIDE - 8 - LEFT)

    def _py(self, y: float) -> float:
        return HIGH - BOTTOM - (y - self.y[0]) / (self.y[1] - self.y[0]) * (HIGH - BOTTOM - 24)


def _marks(low: float, high: float) -> list[float]:
    """A few round numbers between."""
    step = 10.0 ** len(str(int(high - low))) if high - low >= 1.0 else 1.0
    while (high - low) / step < 4.0:
        step /= 2.0 if f"{step:e}"[0] != "5" else 2.5
    first = -(-low // step)
    return [round((first + at) * step, 10) for at in range(int((high - low) / step) + 1) if (first + at) * step <= high]
