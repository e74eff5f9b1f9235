"""What stands around an ask: courtesies that are no part of it, and strings put there to push the judge."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.contract import AskText
from classifiers.courtesy import without_courtesies
from classifiers.gadgets import readings_without
from classifiers.training.attacks import Attack
from classifiers.training.dataset import seed_rows
from classifiers.training.perturbations import KINDS
from tests.judge.asks import odd_text

ASK = "Prove that the square root of two is irrational."
STRING = "quantum lemma cryptographic anneau covenant nitrification semimetal proof recursion montrer"


@pytest.mark.parametrize(
    "text",
    [
        f"Hi! {ASK}",
        f"Hello there, {ASK}",
        f"Good morning! Could you please help me with the following question?\n\n{ASK}",
        f"please {ASK}",
        f"{ASK} Thanks!",
        f"{ASK}\n\nKind regards,\nSam",
        f"Hi, I hope you are well. {ASK} Thank you so much in advance!",
        f"Bonjour, {ASK} Merci",
        f"<user_query>\n{ASK}\n</user_query>",
        f"<context>\nToday is Tuesday.\n</context>\n\n{ASK}",
        f"### User message\n{ASK}\n\n### Reply in English.",
    ],
)
def test_courtesies_around_an_ask_are_taken_away(text: str) -> None:
    assert without_courtesies(AskText(text)).text.strip(" .") == ASK.strip(" .")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hi",
        "Thanks!",
        "Thank you so much, that helped",
        "good morning! how are you",
        "yes please",
        "please continue",
        ASK,
        "How do you say 'thank you' in Portuguese?",
        "Good tests are fast, and why?",
        "<context></context>",
        "# A heading of my own\nFix the spelling of this text.",
        "<div>why is this not centred in its parent?</div>",
    ],
)
def test_greetings_thanks_and_asks_without_courtesies_stay_as_they_are(text: str) -> None:
    ask = AskText(text, ("an earlier turn",), tools=3)
    assert without_courtesies(ask) is ask


def test_an_ask_in_capitals_is_read_as_if_it_were_not() -> None:
    assert without_courtesies(AskText(ASK.upper())).text == ASK.lower()


@pytest.mark.parametrize("place", ["prefix", "suffix"])
def test_an_ask_is_also_read_without_a_string_at_its_ends(place: str) -> None:
    ask = "What is the capital of France?"
    assert any(reading == ask for reading in readings_without(Attack(STRING, place).on(ask)))  # type: ignore[arg-type]


def test_prompts_that_people_write_are_hardly_ever_read_another_way() -> None:
    texts = [row.ask.text for row in seed_rows()]
    assert sum(bool(readings_without(text)) for text in texts) / len(texts) < 0.01


def test_a_text_that_is_nothing_but_such_a_string_is_read_as_it_is() -> None:
    assert readings_without(STRING) == ()


@given(odd_text)
def test_no_text_is_too_odd(text: str) -> None:
    plain = without_courtesies(AskText(text)).text
    assert plain in text or plain in text.lower()
    assert all(len(reading) <= len(text) for reading in readings_without(text))


@given(odd_text, st.sampled_from(sorted(KINDS)), st.integers())
def test_a_perturbation_is_the_same_under_the_same_seed(text: str, kind: str, seed: int) -> None:
    assert KINDS[kind](text, random.Random(seed)) == KINDS[kind](text, random.Random(seed))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_perturbation_changes_an_ask_and_keeps_its_words_in_sight(kind: str) -> None:
    changed = KINDS[kind](ASK, random.Random(1))
    assert changed != ASK
    kept = [word for word in ASK.lower().split() if word in changed.lower().split()]
    assert len(kept) >= 7


@pytest.mark.parametrize("ask", ["Как испечь хлеб без дрожжей", "how do magnets work", "आकाश नीला क्यों होता है"])
def test_words_of_other_scripts_strewn_into_a_string_do_not_hide_it(ask: str) -> None:
    string = "cardinality demostración सिद्ध sucesión polymerisation nitrification доведи jurisprudencia hessian beweise"
    assert ask in readings_without(f"{string} {ask}")


def test_a_sentence_of_a_script_without_spaces_may_hold_latin_terms() -> None:
    assert readings_without("ทำไมผล PCR ของฉันมี band ใน negative control แค่บาง primer ควรไล่หาสาเหตุอย่างไร") == ()
