"""Trust in an answer: the vote first, the text only between equal votes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from classifiers.trust import agreed

COUNTS = some.integers(1, 9).flatmap(lambda asked: some.tuples(some.integers(1, asked), some.just(asked)))
SHARE = some.floats(0, 1)


@given(COUNTS, SHARE)
def test_trust_is_a_share(counts: tuple[int, int], quality: float) -> None:
    assert 0.0 <= agreed(*counts, quality) <= 1.0


@given(COUNTS, SHARE, SHARE)
def test_no_text_outweighs_a_vote(counts: tuple[int, int], one: float, other: float) -> None:
    votes, asked = counts
    assert agreed(votes + 1, asked + 1, one) >= agreed(votes, asked + 1, other)


@given(COUNTS, SHARE, SHARE)
def test_the_text_orders_answers_with_as_many_votes(counts: tuple[int, int], one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert agreed(*counts, low) <= agreed(*counts, high)


@given(COUNTS, some.floats(allow_nan=False))
def test_a_quality_that_is_no_share_is_taken_to_the_nearest(counts: tuple[int, int], quality: float) -> None:
    assert 0.0 <= agreed(*counts, quality) <= 1.0
