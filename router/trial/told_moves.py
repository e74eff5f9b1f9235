"""What moves between two policies, as a JSON document and as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from router.policy.compiled import Policy
from router.trial.moves import Change, Moves
from router.trial.told import shown


def document(
    policies: tuple[Policy, Policy], found: Moves | None, notes: Sequence[str], *, measured: bool
) -> dict[str, Any]:
    """`policy diff --json`. measured: quality is the data's, else it is as it was predicted."""
    told: dict[str, Any] = {
        "old": policies[0].label,
        "new": policies[1].label,
        "quality_is": "measured" if measured else "predicted",
        "notes": list(notes),
    }
    if found is None:
        return {**told, "requests": 0}
    values = asdict(found)
    values["matrix"] = [{"from": old, "to": new, "share": share} for (old, new), share in found.matrix.items()]
    return {**told, **values}


def lines(
    policies: tuple[Policy, Policy], found: Moves | None, notes: Sequence[str], *, measured: bool
) -> Iterator[str]:
    """`policy diff` for people. Brackets hold 95 per cent intervals."""
    old, new = policies
    if found is None:
        yield f"{old.label} to {new.label}: no request to compare"
    else:
        yield f"{old.label} to {new.label}: {found.requests} requests, {shown(found.moved, 100, 1)} % move"
        for (one, other), share in found.matrix.items():
            if one != other:
                yield f"  {one} -> {other}: {share:.1%}"
        kind = "quality" if measured else "quality (predicted)"
        yield f"{kind:20} {_change(found.quality, 1)}"
        yield f"{'dollars a thousand':20} {_change(found.cost_usd, 1000)}"
        for part in found.by_task:
            yield (
                f"  {part.task:12} {part.requests:6} requests, {part.moved:6.1%} move, quality "
                f"{shown(part.quality.difference)}, dollars a thousand {shown(part.cost_usd.difference, 1000)}"
            )
        if found.surprising:
            yield f"the {len(found.surprising)} largest changes (predicted quality, dollars)"
        for move in found.surprising:
            yield (
                f"  {move.key}: {move.before} -> {move.after} (`{move.rule_before}` -> `{move.rule_after}`) "
                f"{_signed(move.quality, 3)}, {_signed(move.cost_usd, 6)}" + (f"  {move.text}" if move.text else "")
            )
        for why, count in found.left_out.items():
            yield f"left out  {count} requests: {why}"
    for note in notes:
        yield f"note      {note}"


def _change(change: Change, times: float) -> str:
    return (
        f"{shown(change.before, times)} -> {shown(change.after, times)}, difference {shown(change.difference, times)}"
    )


def _signed(value: float | None, digits: int) -> str:
    return "?" if value is None else f"{value:+.{digits}f}"
