"""How far an answer is to be trusted once it is there: one number in 0..1, from votes and from the question's text.

The plan that serves and the simulation that measures it (`classifiers/training/agreement.py`) share these functions.
"""

from __future__ import annotations


def agreed(votes: int, asked: int, quality: float) -> float:
    """Trust in an answer that `votes` of `asked` models gave: (votes - 1 + quality) / asked.

    quality: P(good answer) by the text alone, in 0..1. It only orders answers with as many votes, so the text can never
    overrule the vote: on fields the judge has never seen its opinion is worth little, and the vote's as much as ever.
    """
    return (votes - 1 + min(1.0, max(0.0, quality))) / asked
