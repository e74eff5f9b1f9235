"""Whether a judge that serves is worse than it should be: than the one beside it, or than what was expected of it.

It is asked again after every few labels, so what it goes by must hold at all times at once: bets against "it is no
worse" (see `risk`), which a judge that is no worse wins with a chance of `1 - CONFIDENCE` at most, however often one
looks. Two bets are kept, one on audits' labels alone and one on all labels, and each has half of that chance.

A conversation counts once, with the first of its requests that was labelled: its requests are alike, and it is
conversations that are dealt out. Conversations count in the order in which their first labels came. Of two judges that
serve side by side the n-th conversation of one is compared with the n-th few of the other, as many as the share has it,
so a change of traffic touches both alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from classifiers.training.measures import Figure, Floats
from classifiers.training.risk import lost, wealth

CONFIDENCE: Final = 0.95
_ONE_BET: Final = (1.0 - CONFIDENCE) / 2.0
LEAST: Final = 30
"""Conversations on each side, below which nothing is decided."""
WANTED: Final = 200
"""On the canary's side, for it to be said that it may be promoted."""
MOST_IN_A_GROUP: Final = 50
NOT_WORSE: Final = 0.05
"""Of quality: a canary that is shown to lose less is taken for not worse."""

Verdict = Literal["worse", "not worse", "open"]
Basis = Literal["audits", "all labels"]


@dataclass(frozen=True, slots=True)
class Scored:
    """One labelled request. at_unix: when its first label came. canary: which of two judges it was.

    audited: its score by the audit's labels alone, None without any. cost_usd: of the answer, where it is known.
    """

    at_unix: float
    conversation: str
    canary: bool
    score: float
    audited: float | None = None
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Beside:
    """Two judges side by side. canary, control: mean quality; difference: the canary's less the other's. All with
    intervals of 95% that hold at all times. n_canary, n_control: conversations. costs: mean dollars of one answer."""

    basis: Basis
    n_canary: int
    n_control: int
    canary: Figure
    control: Figure
    difference: Figure
    verdict: Verdict
    canary_usd: float | None = None
    control_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """One judge against what was expected of it. expected: the lower end of the interval."""

    basis: Basis
    n: int
    quality: Figure
    expected: float
    fell: bool


def beside(rows: Iterable[Scored], share: float, *, wanted: int = WANTED) -> Beside:
    """What is known of a canary so far, by audits where they are enough, else by all labels. share: that it judges."""
    basis, kept = _basis(list(rows))
    sides = {side: [row for row in kept if row.canary is side] for side in (True, False)}
    canary, control = (np.array([row.score for row in sides[side]]) for side in (True, False))
    apart = differences(kept, share)
    difference = mean_of((apart + 1.0) / 2.0)
    if difference.value is not None and difference.low is not None and difference.high is not None:
        # The value is that of all, also of those whose group is not full yet.
        value = float(canary.mean() - control.mean())
        low, high = 2.0 * difference.low - 1.0, 2.0 * difference.high - 1.0
        difference = Figure(value, min(low, value), max(high, value))
    verdict: Verdict = "open"
    if min(len(canary), len(control)) >= LEAST:
        if worse(apart):
            verdict = "worse"
        elif len(canary) >= wanted and worse(-apart - NOT_WORSE):
            verdict = "not worse"
    return Beside(
        basis,
        len(canary),
        len(control),
        mean_of(canary),
        mean_of(control),
        difference,
        verdict,
        _dollars(sides[True]),
        _dollars(sides[False]),
    )


def held(rows: Iterable[Scored], expected: float, basis: Basis) -> Held:
    """Whether a judge's quality is below the lower end of what was expected, by the labels which that was made of: what
    audits say of answers is no measure of what users say of them."""
    scores = np.array([row.score for row in _by(basis, rows)])
    fell = len(scores) >= LEAST and expected > 0.0 and _won(scores, expected)
    return Held(basis, len(scores), mean_of(scores), expected, fell)


def differences(rows: Sequence[Scored], share: float) -> Floats:
    """The canary's mean less the other's, group by group in order of time. share: of the canary, in 0..1.

    A group is one conversation of whoever has fewer, and a tenth less of the other's than would come with it, so that
    hardly any of the fewer ones waits for its group to be full.
    """
    more = 0.9 * (1.0 - share) / share if share <= 0.5 else 0.9 * share / (1.0 - share)
    many = min(MOST_IN_A_GROUP, max(1, int(more)))
    sizes = {True: 1, False: many} if share <= 0.5 else {True: many, False: 1}
    scores = {side: np.array([row.score for row in rows if row.canary is side]) for side in (True, False)}
    groups = min(len(scores[side]) // sizes[side] for side in (True, False))
    canary, control = (
        scores[side][: groups * sizes[side]].reshape(groups, sizes[side]).mean(axis=1) for side in (True, False)
    )
    apart: Floats = canary - control
    return apart


def worse(apart: Floats) -> bool:
    """Whether differences, in -1..1 and in order of time, are shown to be below 0 in the mean."""
    return len(apart) > 0 and _won(np.clip((apart + 1.0) / 2.0, 0.0, 1.0), 0.5)


def mean_of(values: Floats) -> Figure:
    """The mean of values in 0..1, in order of time, with an interval of 95% that holds at all times."""
    if not len(values):
        return Figure(None)
    sure = 1.0 - _ONE_BET
    return Figure(float(values.mean()), 1.0 - lost(1.0 - values, confidence=sure), lost(values, confidence=sure))


def _won(values: Floats, mean: float) -> bool:
    """Whether the bet against "the mean is at least this" is won just now."""
    return bool(wealth(values, mean)[-1] >= -math.log(_ONE_BET))


def _basis(rows: list[Scored]) -> tuple[Basis, list[Scored]]:
    """What the comparison goes by: audits, where there are enough on both sides."""
    audited = _by("audits", rows)
    if min(sum(row.canary is side for row in audited) for side in (True, False)) >= LEAST:
        return "audits", audited
    return "all labels", _by("all labels", rows)


def _by(basis: Basis, rows: Iterable[Scored]) -> list[Scored]:
    """The rows that count, a conversation once, in order of time, each with its score."""
    if basis == "all labels":
        return _first_of_each(rows)
    return _first_of_each(replace(row, score=row.audited) for row in rows if row.audited is not None)


def _first_of_each(rows: Iterable[Scored]) -> list[Scored]:
    seen: set[str] = set()
    kept = []
    for row in sorted(rows, key=lambda row: row.at_unix):
        if row.conversation not in seen:
            seen.add(row.conversation)
            kept.append(row)
    return kept


def _dollars(rows: Sequence[Scored]) -> float | None:
    known = [row.cost_usd for row in rows if row.cost_usd is not None]
    return sum(known) / len(known) if known else None
