"""Plans that answer before they decide, simulated on outcomes that hold answers: small models that vote, and a first
model whose answer is checked.

What a file cannot tell is not simulated: where it holds no answers there is no vote and no check, and of all checks
only the first can be read off it (an answer of null is one that could not be read). Trust comes from the functions that
serve (`classifiers.trust`). All models of a vote are asked at once and billed in full, though one that is cut short
once the others suffice is billed by some providers only in part: the dollars are an upper bound.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifiers.errors import TrainingError
from classifiers.training.dataset import OutcomeRow
from classifiers.training.fit import Floats
from classifiers.training.promise import Plan
from classifiers.trust import agreed

Counts = NDArray[np.intp]

NOT_READ: Final = -1.0
"""Trust in an answer that could not be read: no threshold lets it out."""


@dataclass(frozen=True)
class Poll:
    """How some models voted, row by row; arrays of shape (n,).

    votes: for the winner; ties go to the model that was named first; 0 where no answer could be read, and the first
    model's stands. dissent: models that gave another answer. score: quality of the winner. asked: how many models.
    """

    votes: Counts
    dissent: Counts
    score: Floats
    asked: int


def poll(rows: Sequence[OutcomeRow], voters: Sequence[str]) -> Poll:
    """Raises TrainingError where a row holds no answer of a voter."""
    votes, dissent, scores = [], [], []
    for row in rows:
        missing = [voter for voter in voters if voter not in row.answers]
        if missing:
            raise TrainingError(
                f"{row.query_id}: no `answer` of {', '.join(missing)}, so it cannot be known who agrees; "
                "voting needs outcomes with answers"
            )
        answers = [row.answers[voter] for voter in voters]
        read = [answer for answer in answers if answer is not None]
        ranked = Counter(read).most_common(1)  # of equal counts the first met comes first
        winner, most = ranked[0] if ranked else (None, 0)
        votes.append(most)
        dissent.append(len(read) - most)
        scores.append(row.scores[voters[answers.index(winner)]])
    return Poll(np.array(votes), np.array(dissent), np.array(scores), len(voters))


def agreeing(polled: Poll, quality: Floats, large: Floats, asking: Floats, large_cost: Floats) -> Plan:
    """The plan `agree`. quality: what the text says beforehand, (n,). asking: dollars of all votes."""
    asked = polled.asked
    trust = [
        agreed(int(votes), asked, share, int(against)) if votes else NOT_READ
        for votes, share, against in zip(polled.votes, quality.tolist(), polled.dissent, strict=True)
    ]
    ceiling = [agreed(asked, asked, share) for share in quality.tolist()]
    return Plan(np.array(trust), np.array(ceiling), polled.score, large, asking, large_cost)


def cascading(
    rows: Sequence[OutcomeRow],
    first: str,
    quality: Floats,
    large: Floats,
    asking: Floats,
    large_cost: Floats,
) -> Plan:
    """The plan `cascade` without token confidence: the text's opinion, unless the answer could not be read.

    Where the text alone is below the threshold the first model is not asked. Raises TrainingError for a row without an
    answer to check.
    """
    if missing := [row.query_id for row in rows if first not in row.answers]:
        raise TrainingError(f"{missing[0]}: no `answer` of {first}, so nothing can be checked")
    failed = np.array([row.answers[first] is None for row in rows])
    kept = np.array([row.scores[first] for row in rows])
    return Plan(np.where(failed, NOT_READ, quality), quality, kept, large, asking, large_cost)


def before_asking(quality: Floats, small: Floats, large: Floats, small_cost: Floats, large_cost: Floats) -> Plan:
    """Routing by the text alone: trust is known before anybody is asked."""
    return Plan(quality, quality, small, large, small_cost, large_cost)


def apgr(plan: Plan, small: Floats, rows: NDArray[np.intp] | None = None) -> float | None:
    """Area under PGR, the least trusted going to the large model first, counted from `small`'s quality; exact.

    Rows of the same trust go in random order, of which this is the mean. With a vote as the plan's answer PGR need not
    begin at 0. None where the large model is not better than `small`.
    """
    part = plan if rows is None else plan.part(rows)
    base = small if rows is None else small[rows]
    gap = float(part.large.sum() - base.sum())
    if gap <= 1e-9 * len(part):
        return None
    order = np.argsort(part.trust, kind="stable")
    trust, gain = part.trust[order], (part.large - part.kept)[order]
    starts = np.flatnonzero(np.append(True, trust[1:] != trust[:-1]))
    sizes = np.diff(np.append(starts, len(trust)))
    gain = np.repeat(np.add.reduceat(gain, starts) / sizes, sizes)
    reached = np.concatenate([[0.0], np.cumsum(gain)]) + part.kept.sum() - base.sum()
    return float((reached[:-1] + reached[1:]).mean() / 2 / gap)
