"""Which option a text belongs to, and whether it belongs to any: the arithmetic behind `select: {by: embedding}`."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.contract import AskText
from classifiers.likeness import Likeness
from classifiers.matching import Matcher, OptionTexts, Scale, calibrated
from classifiers.reading import read
from classifiers.strangers import STRANGERS
from tests.selection.desk import ASKS, FOREIGN, OPTIONS, shipped_vectors


@pytest.fixture(scope="module")
def desk() -> Matcher:
    return Matcher(OPTIONS, shipped_vectors())


def scores(matcher: Matcher, text: str) -> list[float]:
    return matcher.scores(AskText(text)).tolist()


def test_asks_go_to_the_option_they_belong_to(desk: Matcher) -> None:
    assert {text: int(np.argmax(scores(desk, text))) for text in ASKS} == ASKS


def test_what_belongs_scores_above_a_half_and_what_does_not_below(desk: Matcher) -> None:
    assert all(max(scores(desk, text)) > 0.5 for text in ASKS)
    assert all(max(scores(desk, text)) < 0.5 for text in FOREIGN)


def test_slips_of_the_pen_do_not_hide_what_is_meant(desk: Matcher) -> None:
    assert int(np.argmax(scores(desk, "wriet a fucntion that srots dates"))) == 0
    assert int(np.argmax(scores(desk, "recipies for lentill soop"))) == 2


def test_scripts_without_word_vectors_are_matched_by_their_characters() -> None:
    weather = OptionTexts("天气预报", ("明天会下雨吗", "今天气温多少度", "周末天气怎么样"))
    money = OptionTexts("汇率与货币", ("美元兑换人民币的汇率", "如何兑换欧元", "汇率什么时候更新"))
    matcher = Matcher((weather, money), shipped_vectors())
    assert int(np.argmax(scores(matcher, "后天会下雨吗"))) == 0
    assert int(np.argmax(scores(matcher, "日元的汇率是多少"))) == 1


def test_a_follow_up_is_matched_with_the_turn_it_follows(desk: Matcher) -> None:
    ask = AskText("and in business class?", ("who signs my travel expenses for the flight",))
    assert int(np.argmax(desk.scores(ask))) == 1


@pytest.mark.parametrize("text", ["", "   ", "?!", "\x00"])
def test_a_text_that_says_nothing_belongs_nowhere(desk: Matcher, text: str) -> None:
    assert max(scores(desk, text)) < 0.1


@given(st.text(max_size=300))
@settings(max_examples=60)
def test_every_text_has_finite_scores_from_0_to_1(text: str) -> None:
    found = scores(_DESK, text)
    assert len(found) == 3 and all(math.isfinite(score) and 0.0 <= score <= 1.0 for score in found)


_DESK = Matcher(OPTIONS, shipped_vectors())


def test_a_megabyte_costs_no_more_than_its_head_and_tail(desk: Matcher) -> None:
    padded = "boil an egg " * 3 + "x" * 1_000_000 + " boil an egg" * 3
    assert all(math.isfinite(score) for score in scores(desk, padded))


def test_options_without_examples_are_told_apart_by_their_descriptions() -> None:
    matcher = Matcher([OptionTexts(option.description) for option in OPTIONS], shipped_vectors())
    assert matcher.scale == Scale()
    assert int(np.argmax(scores(matcher, "cooking recipes for the evening"))) == 2
    assert int(np.argmax(scores(matcher, "help me with programming this in code"))) == 0


def test_options_may_be_few_bare_doubled_or_none() -> None:
    assert scores(Matcher([], shipped_vectors()), "hi") == []
    assert scores(Matcher([OptionTexts(), OptionTexts(" ")], shipped_vectors()), "hi") == [0.0, 0.0]
    alone = Matcher([OPTIONS[0]], shipped_vectors())
    assert scores(alone, "what does my stack trace mean")[0] > 0.5 > scores(alone, "a recipe for soup")[0]
    doubled = scores(Matcher([OPTIONS[2], OPTIONS[2]], shipped_vectors()), "how long do I boil an egg")
    assert doubled[0] == pytest.approx(doubled[1])


def test_the_scale_parts_what_belongs_from_what_does_not() -> None:
    scale = calibrated(np.array([0.9, 1.0, 1.1, 1.2]), np.array([0.3, 0.4, 0.5, 0.6]))
    assert 0.55 < scale.middle < 0.9
    assert scale.of(np.array([1.2]))[0] > 0.9 > 0.1 > scale.of(np.array([0.3]))[0]


def test_examples_that_cannot_be_parted_still_give_a_rising_scale() -> None:
    scale = calibrated(np.array([0.2, 0.3]), np.array([0.8, 0.9]))
    assert scale.slope > 0 and 0.2 <= scale.middle <= 0.9


def test_scores_without_an_example_are_those_of_a_matcher_made_without_it() -> None:
    """The short cut by which the scale is learned gives what making every matcher anew would."""
    whole = Matcher(OPTIONS, shipped_vectors())
    left = OptionTexts(OPTIONS[0].description, OPTIONS[0].examples[1:])
    anew = Matcher((left, *OPTIONS[1:]), shipped_vectors())
    texts = [text for option in OPTIONS for text in option.all]
    kept = [number for number, text in enumerate(texts) if text != OPTIONS[0].examples[0]]
    likeness = Likeness(texts, shipped_vectors())
    like = likeness.like(read(AskText(OPTIONS[0].examples[0])))
    inside, _ = whole.own_scores()
    # Rarity of words is counted over all texts in one, over all but one in the other: near, not the same.
    assert inside[0] == pytest.approx(anew.raw(like[kept]).max(), abs=0.1)


def test_an_encoders_embeddings_take_the_place_of_word_vectors() -> None:
    axes = np.eye(4, dtype=np.float32)
    embeddings = np.concatenate([np.repeat(axes[:3], 5, axis=0), np.repeat(axes[3:], len(STRANGERS), axis=0)])
    matcher = Matcher(OPTIONS, shipped_vectors(), embeddings)
    for place in range(3):
        assert int(np.argmax(matcher.scores(AskText("quite another thing"), axes[place]))) == place
    assert matcher.scores(AskText("quite another thing"), axes[3]).max() < 0.5
