"""Votes are counted as they come, and the count is final exactly when nothing that is missing could change it."""

from __future__ import annotations

from functools import partial
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from classifiers.trust import agreed
from router.plans.short_answers import Short, short_answer
from router.plans.tally import LEAST_VOTES, Tally

forms = st.sampled_from([Short("text", "a"), Short("text", "b"), Short("text", "c"), None])


def counted(asked: int, *answers: Short | None) -> Tally:
    tally = Tally(asked)
    for place, answer in enumerate(answers):
        tally.add(place, answer)
    return tally


def trust(asked: int, quality: float):
    return partial(lambda votes, dissent: agreed(votes, asked, quality, dissent))


def test_the_leading_answer_has_the_most_votes_and_of_ties_the_first_place() -> None:
    a, b = Short("text", "a"), Short("text", "b")
    assert counted(3, a, b, b).leading == (1, 2)
    assert counted(2, b, a).leading == (0,)
    assert counted(3, None, None, None).leading == ()
    late = Tally(3)
    for place, form in ((2, a), (1, b), (0, a)):
        late.add(place, form)
    assert late.leading == (0, 2), "places are in the policy's order, not in that of coming"


def test_an_answer_joins_only_those_it_agrees_with_all_of() -> None:
    said = [short_answer(text) for text in ("12 km", "12", "12 m")]
    tally = counted(3, *said)
    assert tally.leading == (0, 1), "12 may be kilometres or metres, but not both at once"


@given(st.lists(forms, min_size=2, max_size=5), st.integers(0, 5), st.floats(0, 1), st.floats(0, 1))
def test_what_is_trusted_early_is_trusted_whatever_comes(answers, came: int, quality: float, least: float) -> None:
    came = min(came, len(answers))
    score = trust(len(answers), quality)
    early = counted(len(answers), *answers[:came])
    if places := early.agreed(score, least):
        rest = [Short("text", "a"), Short("text", "d"), None]
        for future in product(rest, repeat=len(answers) - came):
            whole = counted(len(answers), *answers[:came], *future)
            [votes] = {len(group) for group in whole.groups if set(places) <= set(group)}
            assert score(votes, whole.readable - votes) >= least


@given(st.lists(forms, min_size=2, max_size=5), st.integers(0, 5), st.floats(0, 1), st.floats(0, 1))
def test_what_is_given_up_early_could_not_have_been_trusted(answers, came: int, quality: float, least: float) -> None:
    came = min(came, len(answers))
    score = trust(len(answers), quality)
    if not counted(len(answers), *answers[:came]).may_agree(score, least):
        assert not counted(len(answers), *answers).agreed(score, least)


@given(st.lists(forms, min_size=2, max_size=5), st.integers(0, 5))
def test_a_vote_that_is_settled_stays_so(answers, came: int) -> None:
    came = min(came, len(answers))
    early = counted(len(answers), *answers[:came])
    if early.settled and early.leading:
        whole = counted(len(answers), *answers)
        assert early.leading[0] == whole.leading[0]


def test_one_alone_agrees_with_nobody_whatever_the_bar() -> None:
    assert LEAST_VOTES == 2
    assert counted(2, Short("text", "a"), None).agreed(trust(2, 1.0), 0.0) == ()
    assert counted(2, Short("text", "a")).agreed(trust(2, 1.0), 0.0) == ()
    assert counted(2, Short("text", "a"), Short("text", "a")).agreed(trust(2, 0.0), 0.5) == (0, 1)
