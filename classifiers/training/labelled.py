"""Labelled requests as arrays that a head is fitted on: features once, in float32, and parts of them as places.

The arithmetic is float64's, a slice of rows at a time, so that hundreds of thousands of them fit beside the ledger's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifiers.contract import LoggedDecision
from classifiers.training.fit import FLOOR_OF_SPREAD, Floats, Scaling, logits

SLICE: Final = 8192
"""Rows that are worked on at once."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """Logged requests with a label, oldest first. generic, scores, weights: (n,).

    features: (m, d), one array that all parts share; rows: (n,), places in it. generic: the generic logit of the tier
    that answered. Heads read both: `block` has it as the last column.
    """

    decisions: tuple[LoggedDecision, ...]
    features: NDArray[np.float32]
    rows: NDArray[np.intp]
    generic: Floats
    scores: Floats
    weights: Floats

    def part(self, chosen: Sequence[int] | NDArray[np.intp]) -> Labelled:
        indices = np.array(chosen, dtype=np.intp)
        return Labelled(
            tuple(self.decisions[index] for index in indices.tolist()),
            self.features,
            self.rows[indices],
            self.generic[indices],
            self.scores[indices],
            self.weights[indices],
        )

    def block(self, at: slice | NDArray[np.intp]) -> Floats:
        """What heads read of some rows, (k, d + 1)."""
        rows = self.rows[at]
        found = np.empty((len(rows), self.features.shape[1] + 1))
        found[:, :-1] = self.features[rows]
        found[:, -1] = self.generic[at]
        return found

    def logits(self, head: Floats, at: NDArray[np.intp] | None = None) -> Floats:
        """What a head says of all rows, or of some; head (d + 2,)."""
        places = np.arange(len(self.rows)) if at is None else at
        said = [logits(head, self.block(places[rows])) for rows in slices(len(places))]
        return np.concatenate([*said, np.zeros(0)])

    def scaling(self) -> Scaling:
        """`Scaling.of` without a second array of the size of the first, to the last bit: sums run on row by row."""
        whole = self.weights[:, None].sum(axis=0)

        def mean(of: Callable[[Floats], Floats]) -> Floats:
            total = np.zeros(self.features.shape[1] + 1)
            for rows in slices(len(self.rows)):
                weighed = of(self.block(rows)) * self.weights[rows, None]
                total = np.vstack([total, weighed]).sum(axis=0)
            found: Floats = total / whole
            return found

        middle = mean(lambda block: block)
        return Scaling(middle, np.sqrt(mean(lambda block: (block - middle) ** 2)) + FLOOR_OF_SPREAD)


def slices(count: int) -> list[slice]:
    """So many rows, a slice after the other."""
    return [slice(start, start + SLICE) for start in range(0, count, SLICE)]
