"""Draws what `evaluate` found: quality against the share of large calls, and how far stated shares come true.

The only file that knows matplotlib. Figures are drawn without a display; nothing is computed that is not shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import matplotlib
import numpy as np
from matplotlib.figure import Figure as Picture

from classifiers.training import measures
from classifiers.training.fit import Floats

_COLOURS: Final = {
    "router": "#0b5fa5",
    "length": "#c2571a",
    "task_type": "#3b8a3f",
    "incumbent": "#8a5ba8",
    "random": "#999999",
    "oracle": "#222222",
}
_BINS: Final = 10


def draw(path: Path, title: str, scores: Mapping[str, Floats], share: Floats, small: Floats, large: Floats) -> None:
    """Write one PNG with both plots. scores: by router, (n,), the highest go to the large model first.

    share: P(small is good), (n,). Raises OSError if the place cannot be written to.
    """
    with matplotlib.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        picture = Picture(figsize=(11, 4.6), layout="constrained")
        left, right = picture.subplots(1, 2, width_ratios=(1.25, 1))
        picture.suptitle(title, fontsize=10)
        _cost_and_quality(left, scores, small, large)
        _reliability(right, share, small)
        picture.savefig(path, dpi=130, format="png", metadata={"Software": None})


def _cost_and_quality(axes: Any, scores: Mapping[str, Floats], small: Floats, large: Floats) -> None:
    count = len(small)
    shares = np.arange(count + 1) / count
    for name, score in scores.items():
        quality = measures.quality_curve(score, small, large)
        area = measures.apgr(score, small, large)
        label = name.replace("_", " ") + (f"  APGR {area:.3f}" if area is not None else "")
        style = {"router": "-", "oracle": ":"}.get(name, "--")
        width = 2.2 if name == "router" else 1.2
        axes.plot(shares, quality, style, color=_COLOURS[name], linewidth=width, label=label)
    axes.set(xlabel="share of queries sent to the large model", ylabel="mean score", xlim=(0, 1))
    axes.set_title("Quality for cost", fontsize=10, loc="left")
    axes.legend(frameon=False, loc="lower right")
    axes.grid(alpha=0.25)


def _reliability(axes: Any, share: Floats, small: Floats) -> None:
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=1, linestyle="--", label="as stated")
    order = np.argsort(share, kind="stable")
    parts = [part for part in np.array_split(order, min(_BINS, len(order))) if len(part)]
    stated = [float(share[part].mean()) for part in parts]
    seen = [float(small[part].mean()) for part in parts]
    spread = [1.96 * float(small[part].std()) / len(part) ** 0.5 for part in parts]
    label = f"tenths of the rows, 95%\nECE {measures.ece(share, small):.3f}"
    axes.errorbar(stated, seen, yerr=spread, fmt="o-", color=_COLOURS["router"], capsize=2, linewidth=1.4, label=label)
    axes.hist(share, bins=40, range=(0, 1), weights=np.full(len(share), 0.6 / len(share)), color="#0b5fa5", alpha=0.15)
    axes.set(xlabel="stated share of good answers of the small model", ylabel="share that was good")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.set_title("Does the stated share come true?", fontsize=10, loc="left")
    axes.legend(frameon=False, loc="upper left")
    axes.grid(alpha=0.25)
