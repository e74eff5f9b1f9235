"""The feature function: one meaning in serving, logging and training, and fair to every script."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from classifiers import features, reading
from classifiers.artefact import load_default
from classifiers.contract import AskText
from classifiers.features import FeatureFunction, language_of, names
from classifiers.learned import LearnedClassifier
from tests.judge.asks import CARDS, asks

HAND = FeatureFunction()
COLUMN = {name: number for number, name in enumerate(names())}


def column(name: str, ask: AskText) -> float:
    return float(HAND(ask)[COLUMN[name]])


@settings(max_examples=100, deadline=None)
@given(ask=asks)
def test_a_float16_copy_is_finite_and_close(ask: AskText) -> None:
    vector = HAND(ask)
    copy = vector.astype(np.float16).astype(np.float32)
    assert np.abs(copy - vector).max() <= 0.01
    assert len(vector) == len(names())


def test_a_logged_vector_is_judged_like_the_ask_it_was_made_from() -> None:
    learned = LearnedClassifier.load()
    live = learned.assess(AskText("Explain how a heat pump works."), CARDS)
    assert live.features is not None
    logged = learned.assess_features(live.features.astype(np.float16).astype(np.float32), CARDS)
    assert logged.complexity == pytest.approx(live.complexity, abs=2e-3)
    assert logged.task == live.task


def test_a_vector_fits_into_a_kilobyte_of_float16() -> None:
    assert load_default().featurise.size * 2 <= 1024


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Where is the nearest station, please?", "en"),
        ("¿Dónde está la estación más cercana?", "es"),
        ("Où est la gare la plus proche ?", "fr"),
        ("Wo ist der nächste Bahnhof, bitte?", "de"),
        ("Dov'è la stazione più vicina? Grazie", "it"),
        ("Onde fica a estação mais próxima? Obrigado", "pt"),
        ("Waar is het dichtstbijzijnde station, kun je dat zeggen?", "nl"),
        ("Gdzie jest najbliższa stacja? Dziękuję", "pl"),
        ("En yakın istasyon nerede, bana bir yol göster lütfen", "tr"),
        ("Где находится ближайшая станция?", "ru"),
        ("Де тут найближча станція і як до неї дійти?", "uk"),
        ("最近的车站在哪里？", "zh"),
        ("一番近い駅はどこですか？", "ja"),
        ("가장 가까운 역이 어디예요?", "ko"),
        ("أين أقرب محطة؟", "ar"),
        ("सबसे नज़दीकी स्टेशन कहाँ है?", "hi"),
        ("สถานีที่ใกล้ที่สุดอยู่ที่ไหน", "th"),
        ("Πού είναι ο πλησιέστερος σταθμός;", "el"),
        ("איפה התחנה הקרובה ביותר?", "he"),
    ],
)
def test_the_language_is_told_by_script_or_function_words(text: str, language: str) -> None:
    assert language_of(HAND(AskText(text))) == language


def test_chinese_is_not_short_because_it_writes_no_spaces() -> None:
    english = column(
        "units", AskText("Please compare the three approaches to caching and explain which is cheaper in the long run")
    )
    chinese = column("units", AskText("请比较这三种缓存方法，并解释从长远来看哪一种更便宜，以及为什么"))
    assert chinese == pytest.approx(english, abs=0.4)


@pytest.mark.parametrize(
    "text",
    [
        "Докажи теорему",
        "证明这个定理",
        "この定理を証明せよ",
        "أثبت هذه المبرهنة",
        "Beweise den Satz",
        "Démontre ce théorème",
        "Demuestra el teorema",
    ],
)
def test_proof_is_asked_for_in_many_languages(text: str) -> None:
    assert column("says:prove", AskText(text)) > 0


@pytest.mark.parametrize(
    "text",
    [
        "Traduce esto",
        "Переведи это",
        "翻译这个",
        "これを翻訳して",
        "ترجم هذا",
        "Übersetze das",
        "Traduza isto",
        "Przetłumacz to",
    ],
)
def test_translation_is_asked_for_in_many_languages(text: str) -> None:
    assert column("lead:translate", AskText(text)) == 1.0


HARD_TURN = "Design a replicated log with linearizable reads and prove its safety."


@pytest.mark.parametrize(
    "text",
    ["yes, do it", "continue", "why?", "make it shorter", "ja, weiter", "да, продолжай", "继续", "はい、お願いします"],
)
def test_a_short_turn_that_leans_on_the_one_before_is_read_with_it(text: str) -> None:
    assert column("follow_up", AskText(text, (HARD_TURN,))) == 1.0
    assert column("says:prove", AskText(text, (HARD_TURN,))) > 0


@pytest.mark.parametrize(
    "text",
    [
        "thanks!",
        "ok thanks, bye",
        "What is the capital of Chile?",
        "谢谢",
        "Translate apple to Dutch",
        "Please write a haiku about rain",
        "Write a function that reverses a string",
    ],
)
def test_a_turn_that_stands_alone_is_read_alone(text: str) -> None:
    assert column("follow_up", AskText(text, (HARD_TURN,))) == 0.0
    assert column("says:prove", AskText(text, (HARD_TURN,))) == 0.0


def test_a_follow_up_is_as_hard_as_what_it_follows() -> None:
    learned = LearnedClassifier.load()
    after_hard = learned.assess(AskText("yes, do it", (HARD_TURN,)), CARDS)
    after_easy = learned.assess(AskText("yes, do it", ("Shall I tell you a joke about cats?",)), CARDS)
    assert after_easy.complexity < 0.35 <= after_hard.complexity


def test_over_long_text_keeps_head_and_tail() -> None:
    text = "a" * reading.HEAD_CHARS + "b" * 50_000 + "c" * reading.TAIL_CHARS
    assert set(reading.cap(text)) == {"a", "\n", "c"}


def test_strange_words_lower_the_support() -> None:
    learned = LearnedClassifier.load()
    familiar = learned.assess(AskText("Where can I buy fresh bread in this town?"), CARDS).support
    foreign = learned.assess(AskText("Hol tudok friss kenyeret venni ebben városban?"), CARDS).support
    gibberish = learned.assess(AskText("qwrtp zxcvb mnbvq plkjh ghfdz"), CARDS).support
    assert familiar > 0.8
    assert foreign < familiar and gibberish < 0.2


def test_other_tables_of_words_are_another_feature_function() -> None:
    shipped = load_default().featurise
    assert shipped.vectors is not None and shipped.grams is not None
    assert FeatureFunction(shipped.vectors, shipped.grams).digest == shipped.digest
    assert len({shipped.digest, FeatureFunction(shipped.vectors).digest, HAND.digest}) == 3
    assert features.names(4)[-1] == "vector:3"
