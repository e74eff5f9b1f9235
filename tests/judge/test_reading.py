"""An ask is read by shortcuts in C; what they must come to is said here the slow and plain way."""

from __future__ import annotations

import dataclasses
import math
import re
import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.contract import AskText
from classifiers.features import FeatureFunction, names
from classifiers.reading import HEAD_CHARS, HEAD_WORDS, TAIL_CHARS, TAIL_WORDS, cap, read, words_of
from classifiers.signs import Signs, octets_of, signs_of
from classifiers.vectors import PIECES_PER_WORD
from classifiers.words import MOST_MET, WordIndex
from tests.judge.asks import odd_text
from tests.judge.golden import ASKS, vectors_that_ship

WORD = re.compile(r"[^\s!-/:-@\[-`{-~«»“”„’…،؟؛。、！？：；（）「」『』।¿¡]+")
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
CODE = (
    ");", "=>", "==", "!=", "{\n", "):\n", "def ", "#include", "\nimport ", "SELECT ", "return ", "const ",
)  # fmt: skip
MARKS = "«»“”„’…،؟؛。、！？：；（）「」『』।¿¡ \t\n.,:;!?()[]{}\"'`$\\|<>=_#0123456789"
PIECES = (
    *CODE, *MARKS, "1.5", "3,000.25", "١٢٣", "१२", "３４", "𝟙𝟚", "Traceback", "Exception", "rror:", "word", "Слово",
    "词", "Σ", "İ", "\u2028", "\x1c", "\u3000", "\ud800", "²", "≤", "π",
)  # fmt: skip

pieced_text = st.lists(st.sampled_from(PIECES), max_size=120).map("".join)
texts = st.one_of(odd_text, pieced_text, st.sampled_from([ask.text for ask in ASKS]))
HAND = FeatureFunction()
COLUMN = {name: number for number, name in enumerate(names())}


@settings(max_examples=300, deadline=None)
@given(text=texts)
def test_words_are_the_runs_between_spaces_and_punctuation(text: str) -> None:
    every = WORD.findall(text.lower())
    kept = every if len(every) <= HEAD_WORDS + TAIL_WORDS else every[:HEAD_WORDS] + every[-TAIL_WORDS:]
    octets = octets_of(text)
    assert words_of(text, octets, signs_of(text, octets)) == (kept, len(every))


@settings(max_examples=200, deadline=None)
@given(text=texts)
def test_every_byte_is_a_sign_of_one_kind(text: str) -> None:
    octets = octets_of(text)
    counted = dataclasses.asdict(signs_of(text, octets))
    assert sum(counted.values()) == len(octets)
    alone = [dataclasses.asdict(_signs_of_one(octet)) for octet in octets[:400]]
    for kind, count in counted.items() if len(octets) <= 400 else ():
        assert count == sum(one[kind] for one in alone), kind


def _signs_of_one(octet: int) -> Signs:
    """A byte alone: one that trails is of no character, any other is of one."""
    return signs_of("" if 0x80 <= octet < 0xC0 else "x", bytes([octet]))


def test_digits_beyond_ascii_are_of_kinds_that_are_searched_for_them() -> None:
    searched = {"arabic", "indic", "vietnamese", "hangul", "emoji", "far"}
    for code in range(0x80, sys.maxunicode + 1):
        if unicodedata.category(chr(code)) == "Nd":
            counted = signs_of(chr(code), octets_of(chr(code)))
            assert any(getattr(counted, kind) for kind in searched), hex(code)


@settings(max_examples=300, deadline=None)
@given(text=texts)
def test_searches_that_are_skipped_would_have_found_nothing(text: str) -> None:
    vector, seen = HAND(AskText(text)), cap(text)
    code = sum(map(seen.count, CODE)) if any(sign in seen for sign in "([=\n") else 0
    numbers = len(NUMBER.findall(seen)) if any(digit in seen for digit in "0123456789") else 0
    maths = len(re.findall(r"[∀-⋿√π∞ℝℤℕℂℚ²³⊂≤≥◇□⊢]", seen))
    error = any(sign in seen for sign in ("Traceback", "Exception", "rror:"))
    for name, value in {"code_look": code, "numbers": numbers, "maths_signs": maths}.items():
        assert vector[COLUMN[name]] == pytest.approx(math.log1p(value), abs=1e-6), name
    assert vector[COLUMN["traceback"]] == error


def test_a_turn_before_is_joined_as_if_it_had_been_written_so() -> None:
    before = "Prove the theorem about «compact» sets. " * 40
    joined = read(AskText("make it shorter", (before,)))
    whole = read(AskText(f"{before}\nmake it shorter"))
    assert joined.follow_up and not whole.follow_up
    assert (joined.text, joined.octets, joined.beyond) == (whole.text, whole.octets, whole.beyond)
    assert (joined.words, joined.lead, joined.signs, joined.units) == (
        whole.words,
        whole.lead,
        whole.signs,
        whole.units,
    )


def test_what_is_read_of_a_long_ask_is_bounded() -> None:
    reading = read(AskText("word, " * 200_000))
    assert len(reading.text) == HEAD_CHARS + TAIL_CHARS + 1
    assert len(reading.words) == HEAD_WORDS + TAIL_WORDS


def test_words_that_nobody_taught_are_forgotten_again() -> None:
    index = WordIndex(None)
    taught = len(index)
    first = index["zqword0"]
    for number in range(2 * MOST_MET):
        assert index[f"zqword{number}"][:2] == first[:2]
    assert len(index) == taught + MOST_MET
    assert "zqword0" not in index and index["zqword0"] == first


def test_a_word_too_long_to_keep_is_not_kept() -> None:
    index = WordIndex(None)
    taught = len(index)
    assert index["q" * 5000] == index["q" * 6000]
    assert len(index) == taught


@settings(max_examples=200, deadline=None)
@given(word=st.text(alphabet="abcdeinrstugyzßé词", min_size=1, max_size=24))
def test_a_word_is_cut_into_the_longest_pieces_first(word: str) -> None:
    vectors = vectors_that_ship()
    expected: list[int] = []
    start = 0
    while start < len(word) and len(expected) < PIECES_PER_WORD:
        pieces = [("##" if start else "") + word[start:stop] for stop in range(len(word), start, -1)]
        piece = next((piece for piece in pieces if piece in vectors.vocabulary), None)
        if piece is None:
            start += 1
        else:
            expected.append(vectors.vocabulary[piece])
            start += len(piece.removeprefix("##"))
    assert vectors.rows_of(word) == tuple(expected)
