"""What moves from one policy to another: from which model to which, what that does to cost and quality, and where most.

It compares decisions that were made elsewhere: `router.trial.replayed`, `router.trial.deciding_logged`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import orjson

from classifiers.training.measures import Figure, bootstrap
from router.ask import user_text
from router.trial.replayed import Replayed

MOST_SURPRISING = 20
TEXT_MOST = 100
REFUSED = "(refused)"


@dataclass(frozen=True, slots=True)
class Placed:
    """Where one policy puts one request. quality: measured where the data says so, else predicted."""

    key: str
    task: str
    model: str | None = None
    rule: str = ""
    plan: str = ""
    quality: float | None = None
    predicted: float | None = None
    cost_usd: float | None = None
    refused: str | None = None
    left_out: str | None = None
    text: str | None = None

    @property
    def goes_to(self) -> str:
        return self.model or REFUSED


@dataclass(frozen=True, slots=True)
class Change:
    """A figure before and after, means a request, and the paired difference."""

    before: Figure
    after: Figure
    difference: Figure


@dataclass(frozen=True, slots=True)
class Move:
    """One request that goes elsewhere. quality, cost_usd: changes, after less before; quality as it is predicted."""

    key: str
    task: str
    text: str | None
    before: str
    after: str
    rule_before: str
    rule_after: str
    quality: float | None
    cost_usd: float | None


@dataclass(frozen=True, slots=True)
class Part:
    """The requests of one task. moved: share of them."""

    task: str
    requests: int
    moved: float
    quality: Change
    cost_usd: Change


@dataclass(frozen=True, slots=True)
class Moves:
    """requests: those that both policies say something about. matrix: (from, to) -> share; stays are in it too."""

    requests: int
    left_out: dict[str, int]
    moved: Figure
    matrix: dict[tuple[str, str], float]
    quality: Change
    cost_usd: Change
    by_task: tuple[Part, ...]
    surprising: tuple[Move, ...]


def placed(rows: Iterable[Replayed]) -> list[Placed]:
    """Replayed rows of a file, as this room compares them."""
    return [
        Placed(
            row.row.query_id,
            row.task,
            row.model,
            row.rule,
            row.plan,
            row.quality,
            row.predicted,
            row.cost_usd,
            row.refused,
            row.left_out,
            shortened(row.row.query),
        )
        for row in rows
    ]


def shortened(text: str) -> str:
    """One line of at most 100 characters."""
    line = " ".join(text.split())
    return line if len(line) <= TEXT_MOST else line[: TEXT_MOST - 1] + "…"


def said(body: str) -> str:
    """What a logged body asks, in a line; the last turn of a user."""
    try:
        turns = [user_text(message) for message in orjson.loads(body)["messages"] if message.get("role") == "user"]
    except (ValueError, KeyError, TypeError, AttributeError):
        turns = [body]
    return shortened(next((turn for turn in reversed(turns) if turn), ""))


def moves(before: Sequence[Placed], after: Sequence[Placed], seed: int = 0, times: int = 300) -> Moves | None:
    """The comparison, pair by pair in the same order; None where no request is left. times: resamples."""
    left_out = Counter(one.left_out or other.left_out for one, other in zip(before, after, strict=True))
    left_out.pop(None, None)
    pairs = [
        (one, other)
        for one, other in zip(before, after, strict=True)
        if one.left_out is None and other.left_out is None
    ]
    if not pairs:
        return None
    goes = Counter((one.goes_to, other.goes_to) for one, other in pairs)
    apart = np.array([one.goes_to != other.goes_to for one, other in pairs], dtype=np.float64)
    tasks = Counter(one.task for one, _ in pairs)
    return Moves(
        len(pairs),
        {str(why): count for why, count in left_out.most_common()},
        bootstrap(lambda picked: float(apart[picked].mean()), len(pairs), seed, times),
        {way: count / len(pairs) for way, count in goes.most_common()},
        _quality(pairs, seed, times),
        _cost(pairs, seed, times),
        tuple(
            _part(task, [pair for pair in pairs if pair[0].task == task], seed, times)
            for task, _ in tasks.most_common()
        ),
        tuple(_surprising(pairs)),
    )


def _part(task: str, pairs: Sequence[tuple[Placed, Placed]], seed: int, times: int) -> Part:
    moved = sum(one.goes_to != other.goes_to for one, other in pairs) / len(pairs)
    return Part(task, len(pairs), moved, _quality(pairs, seed, times), _cost(pairs, seed, times))


def _quality(pairs: Sequence[tuple[Placed, Placed]], seed: int, times: int) -> Change:
    return _change([(one.quality, other.quality) for one, other in pairs], seed, times)


def _cost(pairs: Sequence[tuple[Placed, Placed]], seed: int, times: int) -> Change:
    return _change([(one.cost_usd, other.cost_usd) for one, other in pairs], seed, times)


def _change(figures: Sequence[tuple[float | None, float | None]], seed: int, times: int) -> Change:
    """Over the pairs of which both are known."""
    known = np.array([pair for pair in figures if None not in pair], dtype=np.float64).reshape(-1, 2)
    if not len(known):
        return Change(Figure(None), Figure(None), Figure(None))
    first, second = known[:, 0], known[:, 1]
    return Change(
        *(
            bootstrap(lambda picked, of=column: float(of[picked].mean()), len(known), seed, times)  # type: ignore[misc]
            for column in (first, second, second - first)
        )
    )


def _surprising(pairs: Sequence[tuple[Placed, Placed]]) -> list[Move]:
    """The requests that change most: in predicted quality, or in cost against the dearest change."""
    found = [_move(one, other) for one, other in pairs if one.goes_to != other.goes_to]
    dearest = max((abs(move.cost_usd) for move in found if move.cost_usd is not None), default=0.0)

    def size(move: Move) -> float:
        dear = abs(move.cost_usd) / dearest if move.cost_usd is not None and dearest else 0.0
        return max(abs(move.quality or 0.0), dear)

    return sorted(found, key=lambda move: (-size(move), move.key))[:MOST_SURPRISING]


def _move(one: Placed, other: Placed) -> Move:
    return Move(
        one.key,
        one.task,
        one.text or other.text,
        one.goes_to,
        other.goes_to,
        one.rule,
        other.rule,
        None if one.predicted is None or other.predicted is None else other.predicted - one.predicted,
        None if one.cost_usd is None or other.cost_usd is None else other.cost_usd - one.cost_usd,
    )
