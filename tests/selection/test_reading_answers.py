"""What a model said about which options it picks, read out of however it said it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.selection.reading_answers import names_in

OPTIONS = ("code", "Staff-Rules", "kitchen")


@pytest.mark.parametrize(
    "said",
    [
        '{"options": ["code", "staff-rules"]}',
        '```json\n{"options": ["code", "Staff-Rules"]}\n```',
        'Here you are: {"options": ["CODE", "STAFF-RULES"]}. I hope that helps!',
        '<think>{"options": ["kitchen"]} no, wait</think>{"options": ["code", "staff-rules"]}',
        '["code", "staff-rules"]',
        '{"options": [{"name": "code"}, {"name": "staff-rules"}]}',
        '{"choice": ["code", " staff-rules ", "code", "unheard of"]}',
        '{"because": "it is about code [and leave]"} {"options": ["code", "staff-rules"]}',
    ],
)
def test_the_same_choice_is_read_out_of_every_wrapping(said: str) -> None:
    assert names_in(said, OPTIONS) == ("code", "Staff-Rules")


@pytest.mark.parametrize("said", ["code", " Code.", '"code"', "`code`", '{"option": "code"}', '{"options": "code"}'])
def test_one_bare_name_is_a_choice(said: str) -> None:
    assert names_in(said, OPTIONS) == ("code",)


@pytest.mark.parametrize(
    "said", ['{"options": []}', "[]", "none", "None.", '{"options": null}', '{"options": ["else"]}']
)
def test_nothing_chosen_is_nothing(said: str) -> None:
    assert names_in(said, OPTIONS) == ()


@pytest.mark.parametrize(
    "said",
    ["", "I think code fits best.", "not code", '{"answer": 42}', "{" * 5000, "<think>code", "[1, 2]", "[[[[", '{"a":'],
)
def test_what_is_no_answer_chooses_nothing(said: str) -> None:
    assert names_in(said, OPTIONS) is None


@given(st.text(max_size=200))
def test_no_text_breaks_it_or_gets_a_name_past_it(said: str) -> None:
    assert set(names_in(said, OPTIONS) or ()) <= set(OPTIONS)
