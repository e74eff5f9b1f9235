"""Trust in an answer: the vote first, the text only between equal votes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from classifiers.trust import agreed, unharmed

SHARE = some.floats(0, 1)


@some.composite
def ballots(draw: some.DrawFn) -> tuple[int, int, int]:
    """(votes for the winner, models asked, models that gave another answer)."""
    asked = draw(some.integers(1, 9))
    votes = draw(some.integers(1, asked))
    return votes, asked, draw(some.integers(0, asked - votes))


@given(ballots(), SHARE)
def test_trust_is_a_share(ballot: tuple[int, int, int], quality: float) -> None:
    votes, asked, dissent = ballot
    assert 0.0 <= agreed(votes, asked, quality, dissent) <= 1.0


@given(ballots(), SHARE, SHARE, some.data())
def test_nothing_outweighs_a_vote(
    ballot: tuple[int, int, int], one: float, other: float, data: some.DataObject
) -> None:
    votes, asked, dissent = ballot
    fewer = data.draw(some.integers(0, asked - votes + 1)) if votes > 1 else 0
    if votes > 1:
        assert agreed(votes, asked, one, dissent) >= agreed(votes - 1, asked, other, fewer) - 1e-12


@given(ballots(), SHARE, SHARE)
def test_the_text_orders_answers_with_as_many_votes(ballot: tuple[int, int, int], one: float, other: float) -> None:
    votes, asked, dissent = ballot
    low, high = sorted((one, other))
    assert agreed(votes, asked, low, dissent) <= agreed(votes, asked, high, dissent)


@given(ballots(), SHARE)
def test_a_model_that_says_nothing_counts_less_against_an_answer_than_one_that_contradicts(
    ballot: tuple[int, int, int], quality: float
) -> None:
    votes, asked, dissent = ballot
    assert agreed(votes, asked, quality, dissent) >= agreed(votes, asked, quality, asked - votes)
    assert agreed(votes, asked, quality) == agreed(votes, asked, quality, asked - votes)


@given(ballots(), some.floats(allow_nan=False))
def test_a_quality_that_is_no_share_is_taken_to_the_nearest(ballot: tuple[int, int, int], quality: float) -> None:
    votes, asked, dissent = ballot
    assert 0.0 <= agreed(votes, asked, quality, dissent) <= 1.0


@given(SHARE, SHARE)
def test_keeping_an_answer_harms_as_far_as_the_other_would_have_been_better(quality: float, other: float) -> None:
    assert unharmed(quality, other) == 1.0 - max(0.0, other - quality)
