"""What an ailing Redis may cost is a sum, not a sum for each request."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from router.cache.patience import PATIENCE_SECONDS, QUICK_SECONDS, Patience


@given(st.lists(st.floats(0, QUICK_SECONDS)))
def test_quick_answers_never_use_it_up(waits: list[float]) -> None:
    patience = Patience()
    for wait in waits:
        patience.answered(wait)
    assert patience.left_seconds == PATIENCE_SECONDS


@given(st.lists(st.floats(QUICK_SECONDS + 0.001, 1), min_size=4))
def test_slow_answers_in_a_row_cost_no_more_than_a_tenth_of_a_second_together(waits: list[float]) -> None:
    patience, cost = Patience(), 0.0
    for wait in waits:
        if patience.over:
            break
        spent = min(wait, patience.left_seconds)  # nobody waits longer than what is left
        cost += spent
        if wait > spent:
            patience.gave_up(spent)
        else:
            patience.answered(spent)
    assert patience.over
    assert cost <= 0.1


def test_one_quick_answer_restores_it() -> None:
    patience = Patience()
    patience.answered(0.06)
    assert patience.left_seconds < PATIENCE_SECONDS
    patience.answered(0.001)
    assert patience.left_seconds == PATIENCE_SECONDS
