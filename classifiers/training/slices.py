"""Whether a candidate is worse for somebody: by task, language and tenant, corrected for how many were looked at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifiers.contract import LoggedDecision
from classifiers.training.compared import Said, Singles
from classifiers.training.exchange import at_equal_cost
from classifiers.training.fit import Floats
from classifiers.training.measures import Figure
from classifiers.training.resampled import above_zero, holm, mean, one_sided
from classifiers.training.retrain import losses
from classifiers.training.rows import Pair, Pairs

LEAST: Final = 50
"""Held-out labels, or pairs, of a slice before it is looked at."""
SURE: Final = 0.05
"""The chance of refusing a candidate that is worse for nobody, all slices together (Holm 1979)."""


@dataclass(frozen=True, slots=True)
class Slice:
    """One figure of one slice. what: `log loss` (below 0 is better) or `quality at equal cost` (above 0 is).

    chance: that it looks as bad as this were it no worse, corrected for the number of slices. worse: significantly.
    """

    by: str
    name: str
    n: int
    what: str
    difference: Figure
    chance: float
    worse: bool = False


def of_labels(given: Singles, current: Said, candidate: Said, seed: int) -> list[Slice]:
    """Log losses, candidate less current. Chances are not corrected yet."""
    more = losses(candidate.shares, given.scores) - losses(current.shares, given.scores)
    found = []
    for (by, name), rows in _groups(given.rows).items():
        asks = np.unique(given.asks[rows], return_inverse=True)[1]
        difference = mean(more[rows], given.weights[rows], asks, seed, times=200)
        chance = one_sided(more[rows], given.weights[rows], asks)
        found.append(Slice(by, name, len(rows), "log loss", difference, chance))
    return found


def of_pairs(pairs: Pairs, current: Floats, candidate: Floats, seed: int) -> list[Slice]:
    """Quality at equal cost within each slice. current, candidate: predicted gains. Chances are not corrected yet."""
    found = []
    for (by, name), rows in _groups(pairs.rows).items():
        difference = at_equal_cost(current[rows], candidate[rows], pairs.gained[rows], pairs.extra[rows], seed)
        error = ((difference.high or 0.0) - (difference.low or 0.0)) / 3.92
        chance = above_zero(-(difference.value or 0.0), error)
        found.append(Slice(by, name, len(rows), "quality at equal cost", difference, chance))
    return found


def corrected(found: Sequence[Slice]) -> tuple[Slice, ...]:
    """With chances corrected for all of them, the worst first."""
    chances = holm([one.chance for one in found])
    told = [replace(one, chance=chance, worse=chance < SURE) for one, chance in zip(found, chances, strict=True)]
    return tuple(sorted(told, key=lambda one: (one.chance, one.by, one.name)))


def _groups(rows: Sequence[LoggedDecision | Pair]) -> dict[tuple[str, str], NDArray[np.intp]]:
    places: dict[tuple[str, str], list[int]] = defaultdict(list)
    for at, row in enumerate(rows):
        for by, name in (("task", row.task), ("language", row.language), ("tenant", row.tenant)):
            places[by, name].append(at)
    return {key: np.array(found, dtype=np.intp) for key, found in sorted(places.items()) if len(found) >= LEAST}
