"""Short answers are told out of what models write, compared by what they mean, and never read into long ones."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.plans.short_answers import Short, same, short_answer
from router.plans.short_questions import Question, read_question


def asked(text: str, **more: Any) -> Question:
    return read_question({"messages": [{"role": "user", "content": text}], **more})


CAPITAL = asked("What is the capital of France?")
CHOICE = asked("What is the capital of France?\nA) Berlin\nB) Madrid\nC) Paris\nD) Rome")
COUNT = asked("How many apples does she have left?")
WHEN = asked("When did the war end?")
WHETHER = asked("Is Paris in France?")


def agree(question: Question, one: str, other: str) -> bool:
    first, second = short_answer(one, question), short_answer(other, question)
    return first is not None and second is not None and same(first, second)


@pytest.mark.parametrize(
    "said",
    [
        "C",
        "c.",
        "(C)",
        "**C**",
        "C) Paris",
        "**C. Paris**",
        "Option C",
        "The answer is (C)",
        "The correct answer is **C) Paris**.",
        "Answer: c) Paris",
        "Antwort: C",
        "答案：C",
        "\\boxed{C}",
        "$\\boxed{\\text{C}}$",
        "<answer>C</answer>",
        "Paris",
        "The capital of France is Paris.",
        "C because Paris is the seat of government",
        "C) Paris\n\nIt has been the capital for centuries, with some interruptions that are well known.",
        "Berlin is in Germany, Madrid in Spain, Rome in Italy.\n\nThe answer is C, as everybody knows by now.",
        "<think>A? No: B? Hm. The answer is B... no.</think>\nC",
    ],
)
def test_a_choice_is_told_however_it_is_put(said: str) -> None:
    assert short_answer(said, CHOICE) == Short("choice", "C")


@pytest.mark.parametrize("said", ["A big city", "I think so", "D) or C), hard to say which of them it is", "E"])
def test_a_letter_that_is_a_word_or_no_option_is_no_choice(said: str) -> None:
    told = short_answer(said, CHOICE)
    assert told is None or told.kind != "choice" or told.value != "A"
    assert told != Short("choice", "E")


def test_several_letters_are_a_choice_of_their_own() -> None:
    assert agree(CHOICE, "A and C", "C, A")
    assert not agree(CHOICE, "A and C", "C")


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("Pick one.\n(A) red\n(B) blue", "AB"),
        ("Pick one: a) red b) blue c) green", "ABC"),
        ("A. red\nB. blue\nC. green\nAnswer with the letter.", "ABC"),
        ("Plan B) is fine, is it not?", ""),
        ("A) alone", ""),
    ],
)
def test_options_are_found_in_the_question(text: str, letters: str) -> None:
    assert "".join(asked(text).options) == letters


@pytest.mark.parametrize(
    "said",
    [
        "1234",
        "1,234",
        "1 234",
        "1\u202f234",
        "1'234",
        "1,234.00",
        "1.234,00",
        "+1234",
        "1234 apples",
        "about 1,234 apples",
        "= 1234",
        "1.234e3",
        "1.234 \\times 10^{3}",
        "$1234$",
        "\\boxed{1{,}234}",
        "#### 1234",
        "The answer is 1234.",
        "١٢٣٤",
        "１２３４",
        "2468/2",
        "\\frac{2468}{2}",
        "1200 + 34 = 1234",
        "She has 1,234 apples left.",
        "First she had 2000.\nThen she gave 766 away.\n\nSo she has 2000 - 766 = 1234 apples left.",
    ],
)
def test_a_number_is_the_same_however_it_is_written(said: str) -> None:
    assert agree(COUNT, said, "1234"), short_answer(said, COUNT)


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("12", "twelve", True),
        ("21", "twenty-one", True),
        ("12", "zwölf", True),
        ("3/4", "0.75", True),
        ("½", "0.5", True),
        ("1 1/2", "1.5", True),
        ("1/3", "0.33", True),
        ("3.14", "3.14159", True),
        ("3.1", "3.14159", False),
        ("3", "3.14159", False),
        ("2.5 million", "2,500,000", True),
        ("12%", "12 percent", True),
        ("12%", "12", True),
        ("12 km", "12 m", False),
        ("12 km", "12 kilometers", True),
        ("$12", "12 dollars", True),
        ("$12", "€12", False),
        ("-5", "5", False),
        ("−5", "-5", True),
        ("1000", "1001", False),
        ("10,5", "10.5", True),
        ("12 to 15", "12", False),
        ("more than 12", "12", False),
        ("3-5", "3", False),
        ("10:30", "10", False),
    ],
)
def test_numbers_agree_by_value_and_unit(one: str, other: str, alike: bool) -> None:
    assert agree(COUNT, one, other) is alike
    assert agree(COUNT, other, one) is alike


@pytest.mark.parametrize(
    "said",
    [
        "1945-05-08",
        "1945/5/8",
        "8 May 1945",
        "8th of May, 1945",
        "May 8, 1945",
        "Tuesday, May 8th, 1945.",
        "8. Mai 1945",
        "8.5.1945",
        "le 8 mai 1945",
        "8 de mayo de 1945",
        "1945年5月8日",
        "It ended on 8 May 1945.",
        "The war in Europe ended on May 8, 1945, when Germany surrendered without any conditions.",
    ],
)
def test_a_date_is_the_same_however_it_is_written(said: str) -> None:
    assert short_answer(said, WHEN) == Short("date", "1945-05-08")


def test_a_date_that_may_be_two_is_none() -> None:
    assert not agree(WHEN, "03/04/2024", "2024-04-03")
    assert not agree(WHEN, "03/04/2024", "2024-03-04")
    assert agree(WHEN, "25/12/2024", "2024-12-25")
    assert short_answer("31/02/2024", WHEN) != Short("date", "2024-02-31")


@pytest.mark.parametrize(
    "said", ["Yes", "yes.", "**Yes**", "Ja", "Oui", "Sí", "да", "はい", "True", "Yes, it is, and has been"]
)
def test_yes_is_yes_in_several_languages(said: str) -> None:
    assert short_answer(said, WHETHER) == Short("yes_no", "yes")


def test_yes_and_no_at_the_head_of_an_explanation_count_where_that_was_asked() -> None:
    long = "No, it is not: the river that you mean runs through quite another town, far away from there."
    assert short_answer(long, WHETHER) == Short("yes_no", "no")
    assert short_answer(long, CAPITAL) is None
    assert short_answer("No one knows, and nobody ever will, what it was that they had meant by it.", WHETHER) is None


def test_numbers_that_only_stand_in_a_last_line_are_no_answer() -> None:
    listed = "Here is what I found:\n1. the red one\n2. the green one\n3. the blue one"
    assert short_answer(listed, COUNT) is None
    assert short_answer("There were some of them, as everybody knows, in 1999.", COUNT) is None
    assert short_answer("Let me count them all for you, one after the other, up to 12:", COUNT) is None
    dated = asked("Give me the highest price.\n2022-01-03,150.20\n2022-01-04,151.70")
    assert not dated.number, "a date is no sum"


def test_an_essay_that_opens_with_yes_counts_only_where_just_that_was_asked() -> None:
    essay = "Yes, there is one. " + "It has a name of its own, and much has been written about it since. " * 5
    assert short_answer(essay, asked("Is there a word for that?")) is None
    assert short_answer(essay, asked("Is there a word for that? Answer yes or no.")) == Short("yes_no", "yes")


def test_case_and_punctuation_count_in_texts_of_more_than_a_few_words() -> None:
    mend = asked("Mend the punctuation of: my name is john")
    assert not agree(mend, "My name is John?", "My name is John.")
    assert not agree(mend, "I have three dogs, and five cats.", "I have three dogs and five cats.")
    assert agree(mend, "My name is John.", " My  name is John")


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("Paris", "paris.", True),
        ("Paris", "**Paris**", True),
        ("Paris", "It's Paris.", True),
        ("Paris", "The capital of France is Paris.", True),
        ("Paris", "The capital of France is **Paris**, a large city on the Seine.", True),
        ("The Seine", "Seine", True),
        ("São Paulo", "Sao Paulo", True),
        ("Côte d'Ivoire", "Cote d’Ivoire", True),
        ("l'Italie", "Italie", True),
        ("Paris", "Lyon", False),
        ("not Paris", "Paris", False),
        ("O positive", "A positive", False),
        ("St. Petersburg", "St. Louis", False),
        ("Apollo 11", "Apollo 12", False),
        ("й", "и", False),
        ("巴黎", "巴黎。", True),
        ("2x + 3", "2x - 3", False),
        ("x^2+3", "x^2 + 3", True),
        ("C++", "C", False),
        ("print(a)", "print(A)", False),
        ("```python\nprint(1)\n```", "```\nprint(1)\n```", True),
    ],
)
def test_short_texts_agree_by_their_words(one: str, other: str, alike: bool) -> None:
    assert agree(CAPITAL, one, other) is alike
    assert agree(CAPITAL, other, one) is alike


def test_who_is_meant_is_never_lost_with_the_words_of_the_question() -> None:
    older = asked("Who is older, the boy or the girl?")
    assert not agree(older, "The boy is older.", "The girl is older.")
    assert not agree(older, "The boy is the older one", "The girl is the older one")


def test_json_agrees_whatever_the_order_and_spelling_of_it() -> None:
    wanted = asked("Who?", response_format={"type": "json_object"})
    assert agree(wanted, '{"name": "Ada", "born": 1815}', '```json\n{"born": 1815.0, "name": "ada"}\n```')
    assert not agree(wanted, '{"name": "Ada"}', '{"name": "Bob"}')
    assert short_answer('{"why": "since it is what everybody has always said about it, of course"}', wanted) is None
    assert not agree(wanted, '{"sum": "2x + 3"}', '{"sum": "2x - 3"}')
    assert not agree(wanted, '{"sum": "-3"}', '{"sum": "3"}')
    assert short_answer("Ada", wanted) is None, "what was asked for is JSON"


def test_options_that_are_sums_are_told_apart() -> None:
    sums = asked("Which?\nA) 2x + 3\nB) 2x - 3\nC) 2x / 3")
    assert short_answer("2x - 3", sums) == Short("choice", "B")
    assert short_answer("2x / 3", sums) == Short("choice", "C")


@pytest.mark.parametrize(
    "said",
    [
        "",
        "   ",
        "There are many reasons for that, and it would be hard to say which one of them matters most today.",
        "To answer this question at all, one would have to go back to the beginnings of the town and its river.",
        "- first, do this and that with it\n- then, do the other thing as well\n- at last, look at all of it again",
    ],
)
def test_a_long_answer_is_no_short_one(said: str) -> None:
    assert short_answer(said, CAPITAL) is None


@pytest.mark.parametrize(
    "piece",
    [
        "1,",
        "{",
        "\\boxed{",
        "*",
        "a) ",
        "answer ",
        "1 ",
        "<answer>",
        "\n",
        "a/",
        "((",
        "``` \n",
        "1.1",
        "** ",
        "A, ",
        "? ",
        "= ",
    ],
)
def test_time_is_bounded_whatever_is_said(piece: str) -> None:
    text = piece * 100_000
    started = time.process_time()
    for question in (asked(text), CHOICE, COUNT, WHEN, WHETHER):
        short_answer(text, question)
    assert time.process_time() - started < 1.0  # some milliseconds; the bound is for a busy machine


@given(st.text(max_size=300), st.text(max_size=300), st.text(max_size=200))
def test_anything_is_read_without_an_error_and_agreement_goes_both_ways(one: str, other: str, question: str) -> None:
    read = asked(question)
    first, second = short_answer(one, read), short_answer(other, read)
    if first is not None:
        assert same(first, first)
    if first is not None and second is not None:
        assert same(first, second) == same(second, first)


@given(
    st.integers(-(10**12), 10**12), st.sampled_from(["{:,}", "{}", "**{}**", "The answer is {:,}.", "\\boxed{{{}}}"])
)
def test_every_whole_number_is_found_again(value: int, spelling: str) -> None:
    told = short_answer(spelling.format(value), COUNT)
    assert told is not None and told.number is not None and told.number.value == value
