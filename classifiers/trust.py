"""How far an answer is to be trusted once it is there: one number in 0..1, from votes and from the question's text.

The plan that serves and the simulation that measures it (`classifiers/training/agreement.py`) share these functions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

SURENESS_SLOPE, SURENESS_OFFSET, SUREST = 4.0, -2.0, 1.0
"""Platt's line from sureness to log-odds of a good answer (Platt 1999). A prior, not measured: sureness of 0.5 says
nothing, 1 speaks for the answer with odds of 7 to 1, 0 against it with the same."""


def agreed(votes: int, asked: int, quality: float, dissent: int | None = None) -> float:
    """Trust in an answer that `votes` of `asked` models gave: (votes - 1 + (quality + unopposed) / 2) / asked.

    quality: P(good answer) by the text alone, in 0..1; where both models' shares are learned from one's own labels,
    `unharmed` serves better. unopposed: 1 - dissent / (asked - 1), where dissent counts the models that gave another
    answer: one that gave none that could be read says less against the winner than one that contradicts it. None takes
    all others for dissent.

    The vote comes first: what follows it is less than a vote and only orders answers with as many, so the text can
    never overrule it. On fields the judge has never seen its opinion is worth little, and the vote's as much as ever.
    """
    against = asked - votes if dissent is None else dissent
    unopposed = 1.0 - against / (asked - 1) if asked > 1 else 1.0
    return (votes - 1 + (_share(quality) + unopposed) / 2) / asked


def unharmed(quality: float, of_the_other: float) -> float:
    """P(nothing is lost by keeping one model's answer where another could be asked), by the text: 1 - the loss."""
    return 1.0 - _share(of_the_other - quality)


def _share(value: float) -> float:
    return min(1.0, max(0.0, value))


def sureness(logprobs: Sequence[float]) -> float | None:
    """How sure a model was where it was least sure: the mean probability of the lowest tenth of its tokens, in 0..1.

    A low quantile, since the mean over all tokens drowns the few that decide in many that any model would write (Gupta
    et al. 2024, "Language Model Cascades: Token-Level Uncertainty and Beyond"). None where there is no token.
    """
    known = sorted(min(0.0, value) for value in logprobs if not math.isnan(value))
    if not known:
        return None
    lowest = known[: max(1, len(known) // 10)]
    return sum(math.exp(value) for value in lowest) / len(lowest)


def drafted(quality: float, sure: float | None) -> float:
    """Trust in one model's answer: P(good answer) by the text, moved by how sure the model was of its tokens.

    Log-odds add up, as if the two were independent: sigmoid(logit(quality) + slope * sure + offset). quality: in 0..1.
    sure: as `sureness` gives it; without it trust is the quality that was predicted.
    """
    if sure is None:
        return min(1.0, max(0.0, quality))
    bounded = min(0.999, max(0.001, quality))
    return 1 / (1 + math.exp(-(math.log(bounded / (1 - bounded)) + SURENESS_SLOPE * sure + SURENESS_OFFSET)))
