"""Draws a rehearsal: quality and cost over time beside the other ways of routing, and what the second half came to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import matplotlib
import numpy as np
from matplotlib.figure import Figure as Picture

_LINES: Final = (
    ("kept", "the loop", "#0b5fa5", "-", 2.2),
    ("default", "default judge, same bill", "#8a5ba8", "--", 1.2),
    ("length", "prompt length, same bill", "#c2571a", "--", 1.2),
    ("random", "random, same bill", "#999999", "--", 1.2),
    ("oracle", "oracle, same bill", "#222222", ":", 1.2),
    ("always_small", "always small", "#3b8a3f", ":", 1.2),
)


def draw(path: Path, found: Mapping[str, Any]) -> None:
    """Writes one PNG. found: as `rehearse` gives it. Raises OSError if the place cannot be written to."""
    parts = found["parts"]
    at = np.cumsum([part["requests"] for part in parts])
    with matplotlib.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        picture = Picture(figsize=(14, 4.4), layout="constrained")
        quality, cost, judge = picture.subplots(1, 3, width_ratios=(1.2, 1.2, 1.0))
        picture.suptitle(
            f"Rehearsal on {found['file']}, {found['small']} and {found['large']} (SIMULATED: they answer as recorded)",
            fontsize=10,
        )
        for name, label, colour, style, width in _LINES:
            quality.plot(at, [part[name] for part in parts], style, color=colour, linewidth=width, label=label)
        quality.axhline(1.0, color="#222222", linewidth=0.8, label="always large")
        quality.axhline(0.95, color="#bbbbbb", linewidth=0.8)
        quality.set(xlabel="requests", ylabel="share of the large model's quality")
        quality.set_title("Quality kept", fontsize=10, loc="left")
        quality.legend(frameon=False, loc="lower right", fontsize=8)
        bill = np.array([part["bill"] for part in parts])
        audits = np.array([part["audits"] for part in parts])
        cost.plot(at, bill + audits, "-", color="#0b5fa5", linewidth=2.2, label="answers, audits and judging")
        cost.plot(at, bill, "--", color="#0b5fa5", linewidth=1.2, label="answers alone")
        cost.plot(at, [part["large"] for part in parts], ":", color="#222222", label="share of large calls")
        for place, part in zip(at, parts, strict=True):
            if part["promoted"]:
                cost.axvline(place, color="#3b8a3f", linewidth=0.8, linestyle=":")
        cost.set(xlabel="requests", ylabel="share of always-large's bill", ylim=(0, 1.05))
        cost.set_title("Cost (dotted green: a new judge was promoted)", fontsize=10, loc="left")
        cost.legend(frameon=False, loc="lower left", fontsize=8)
        judge.plot(at, [part["ece"] for part in parts], "-", color="#8a5ba8", linewidth=1.6)
        judge.set(xlabel="requests", ylabel="calibration error", ylim=(0, None))
        judge.yaxis.label.set_color("#8a5ba8")
        judge.set_title("The judge's calibration error; requests audited", fontsize=10, loc="left")
        labels = judge.twinx()
        labels.plot(at, [part["labels"] for part in parts], ":", color="#c2571a", linewidth=1.6)
        labels.set(ylabel="requests audited so far", ylim=(0, None))
        labels.yaxis.label.set_color("#c2571a")
        for place, part in zip(at, parts, strict=True):
            if part["drifted"]:
                judge.axvline(place, color="#b3261e", linewidth=0.8, linestyle="--")
        if any(part["drifted"] for part in parts):
            judge.text(
                0.98, 0.02, "dashed red: drift was found", transform=judge.transAxes, ha="right", color="#b3261e"
            )
        for axes in (quality, cost, judge):
            axes.grid(alpha=0.25)
        picture.savefig(path, dpi=130, format="png", metadata={"Software": None})
