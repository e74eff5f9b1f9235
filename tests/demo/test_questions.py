"""The demo's questions: enough of them, of every level and many languages, and asked as real front ends ask."""

from collections import Counter

import phonenumbers
import pytest

from router.demo import questions
from router.demo.questions import LEVELS, Question


@pytest.fixture(scope="module")
def asked() -> tuple[Question, ...]:
    return questions.load()


def test_there_are_at_least_two_hundred_distinct_questions_and_about_thirty_repeats(asked):
    assert len({" ".join(q.text.casefold().split()) for q in asked}) == len(asked) >= 200
    assert 25 <= sum(q.repeat for q in asked) <= 50


def test_levels_are_balanced(asked):
    by_level = Counter(q.level for q in asked)
    assert set(by_level) == set(LEVELS)
    assert min(by_level.values()) >= 0.8 * len(asked) / len(LEVELS)


def test_at_least_eight_languages_and_twelve_tasks_have_more_than_one_question(asked):
    assert sum(n > 1 for n in Counter(q.language for q in asked).values()) >= 8
    assert sum(n > 1 for n in Counter(q.task for q in asked).values()) >= 12


def test_every_kind_of_request_is_there_and_only_plain_ones_are_repeated(asked):
    by_kind = Counter(q.kind for q in asked)
    assert all(by_kind[kind] >= 5 for kind in ("private", "housekeeping", "tools", "schema"))
    assert {q.kind for q in asked if q.repeat} == {"plain"}


def test_every_question_has_an_answer_of_its_own(asked):
    assert all(q.answer.strip() for q in asked)
    assert all(q.answer.casefold() != q.text.casefold() for q in asked)


def test_a_private_question_may_be_a_demanding_one_so_that_privacy_is_seen_to_win(asked):
    assert any(q.demanding for q in asked if q.kind == "private")


def test_phone_numbers_in_the_questions_are_from_the_range_kept_for_fiction(asked):
    numbers = [m.number for q in asked for m in phonenumbers.PhoneNumberMatcher(q.text, None)]
    assert numbers
    # Ofcom keeps 020 7946 0000 to 0999 for drama.
    assert all(n.country_code == 44 and str(n.national_number).startswith("2079460") for n in numbers)


def test_mail_addresses_in_the_questions_are_at_example_domains(asked):
    mails = [word.strip("().,\"'") for q in asked for word in q.text.split() if "@" in word]
    assert mails
    assert all(".".join(m.split("@")[1].split(".")[:1]) == "example" for m in mails)


def test_tools_and_schema_questions_carry_what_their_kind_says(asked):
    bodies = {q.kind: questions.body(q) for q in asked}
    assert bodies["tools"]["tools"][0]["function"]["name"] == "weather"
    assert bodies["schema"]["response_format"]["type"] == "json_schema"
    assert set(bodies["plain"]) == {"messages"}
