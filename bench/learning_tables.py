"""The figures of `bench.off_policy` and `bench.drift` as Markdown tables. Measures nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

WAYS: Final = {"ips": "IPS", "snips": "SNIPS", "dr": "doubly robust"}
MANY: Final = 500
WHATS: Final = ("quality", "quality difference", "cost", "cost difference")


def coverage(raw: Mapping[str, Any]) -> str:
    """How many of the 95% intervals held the truth, least and most over candidates, in logs with enough support however
    wide they were; widths as means over candidates, of those told. Last: of the doubly robust ones that were told. Only
    candidates with MANY such logs, since of fewer the shares are too uncertain.
    """
    rows = []
    for file, of_file in raw["files"].items():
        for scene, candidates in of_file["scenes"].items():
            told = [one for one in candidates if one["supported"] >= MANY]
            for what in WHATS if told else ():
                cells = [f"{_range(told, what, way)}, {_mean(told, what, way, 'width'):.3f}" for way in WAYS]
                rows.append([file, scene, what, str(len(told)), *cells, _told(told, what)])
    heads = [*(f"{name}: held, width" for name in WAYS.values()), "told: held"]
    return table(["file", "logs with", "of", "candidates", *heads], rows)


def refusals(raw: Mapping[str, Any]) -> str:
    """What share of logs was refused, by candidate, and how many more audited requests were asked for (median)."""
    rows = []
    for file, of_file in raw["files"].items():
        for scene, candidates in of_file["scenes"].items():
            cells = [
                f"{one['refused']:.0%}"
                + (f" ({one['more_median']:.0f} more)" if one["more_median"] is not None else "")
                for one in candidates
            ]
            rows.append([file, scene, *cells])
    first = next(iter(next(iter(raw["files"].values()))["scenes"].values()))
    return table(["file", "logs with", *(one["candidate"] for one in first)], rows)


def bounds(raw: Mapping[str, Any]) -> str:
    """The upper bound of the quality lost: how often it was ever below the truth, and how low it is after how many."""
    rows = [
        [file, one["served"], f"{one['lost']:.3f}", f"{one['missed_ever']:.1%}", f"{one['missed_at_end']:.1%}"]
        + [f"{bound:.3f}" for bound in one["bound"].values()]
        for file, of_file in raw["files"].items()
        for one in of_file["risk"]
    ]
    looks = next(iter(raw["files"].values()))["risk"][0]["bound"]
    heads = [f"bound at {int(look):,}" for look in looks]
    return table(["file", "served", "lost", "ever below", "below at the end", *heads], rows)


def drift(raw: Mapping[str, Any]) -> str:
    """False alarms, then how soon new domains are found."""
    quiet = raw["quiet"]
    by_part = ", ".join(f"{part} {share:.1%}" for part, share in quiet["by_part"].items())
    rows = [
        [
            ", ".join(one["known"]),
            f"{one['new_share']:.0%}",
            f"{one['within_1000']:.0%}",
            "-" if one["median"] is None else f"{one['median']:.0f}",
            str(one["never"]),
        ]
        for one in raw["shifts"]
    ]
    said = (
        f"Without drift {quiet['alarms']:.1%} of {quiet['windows']} windows of {raw['window']} requests raise an alarm "
        f"({by_part})."
    )
    heads = ["trained on", "new traffic", "found within 1,000", "median requests", "never in 2,000 (of 20)"]
    return f"{said}\n\n{table(heads, rows)}"


def _range(told: Sequence[Mapping[str, Any]], what: str, way: str) -> str:
    held = [one["figures"][what][way]["coverage_however_wide"] for one in told]
    return f"{min(held):.1%} to {max(held):.1%}"


def _told(told: Sequence[Mapping[str, Any]], what: str) -> str:
    held = [one["figures"][what]["dr"]["coverage"] for one in told if one["told"] >= MANY]
    return f"{min(held):.1%} to {max(held):.1%}" if held else "-"


def _mean(told: Sequence[Mapping[str, Any]], what: str, way: str, figure: str) -> float:
    return sum(one["figures"][what][way][figure] for one in told) / len(told)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
