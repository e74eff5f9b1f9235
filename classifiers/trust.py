"""How far an answer is to be trusted once it is there: one number in 0..1, from votes and from the question's text.

The plan that serves and the simulation that measures it (`classifiers/training/agreement.py`) share these functions.
"""

from __future__ import annotations


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
