"""How an ask is read before it is measured: capped, joined with the turn it follows, cut into words.

Everything is bounded, so an ask of a megabyte costs about what one of six thousand characters does. What the
pieces mean is left to `features`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from classifiers import lexicon
from classifiers.contract import AskText

HEAD_CHARS, TAIL_CHARS = 4000, 2000
HEAD_WORDS, TAIL_WORDS = 40, 24
"""What is asked for stands at the beginning or the end of a long paste, so the middle is only counted, not read."""
LEAD_WORDS = 12
FOLLOW_UP_UNITS = 14

# Not \\w: that would cut Hindi and Thai words at their vowel signs.
_WORD = re.compile(r"[^\s!-/:-@\[-`{-~«»“”„’…،؟؛。、！？：；（）「」『』।¿¡]+")
_STARTS_LIKE_A_FOLLOW_UP = frozenset(
    "and but so also now then more again another y pero ahora et mais maintenant und aber jetzt e ma ora mas agora en"
    " maar nu i ale teraz и а но теперь та але тепер ve ama şimdi dan tapi sekarang और अब و لكن".split()
)


@dataclass(frozen=True, slots=True)
class Reading:
    """One ask, cut up. `text` is what is judged: the last turn, with the turn before where it only makes sense so.

    words: lower case, at most HEAD_WORDS + TAIL_WORDS of them. lead: how many of the first count as the opening.
    word_count: of the capped text. bytes: histogram of its UTF-8, shape (256,). chars: before capping.
    spaceless: the capped text if it holds scripts matched by substring, else "".
    """

    text: str
    words: list[str]
    lead: int
    word_count: int
    bytes: NDArray[np.int64]
    chars: int
    spaceless: str
    follow_up: bool
    last_units: float
    earlier_units: float


def cap(text: str) -> str:
    """Head and tail of an over-long text."""
    if len(text) <= HEAD_CHARS + TAIL_CHARS:
        return text
    return f"{text[:HEAD_CHARS]}\n{text[-TAIL_CHARS:]}"


def words_of(text: str) -> list[str]:
    """Lower-case runs between spaces and punctuation; a run of Chinese is one of them."""
    return _WORD.findall(text.lower())


def byte_counts(text: str) -> NDArray[np.int64]:
    """Histogram of the UTF-8 bytes, shape (256,). Lone surrogates are kept as they are."""
    return np.bincount(np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8), minlength=256)


def spaceless_chars(counts: NDArray[np.int64]) -> int:
    """Characters of Thai and of East Asian scripts, told from their UTF-8 lead bytes."""
    return int(counts[0xE3:0xEE].sum())


def units_of(word_count: int, counts: NDArray[np.int64]) -> float:
    """Length in units that weigh alike in every script: a word where words are spaced, else about 1.7 characters."""
    hangul = int(counts[0xEA:0xEE].sum())
    return word_count + 0.6 * (spaceless_chars(counts) - hangul) + 0.15 * hangul + 0.08 * int(counts[0xE0])


def read(ask: AskText) -> Reading:
    """Cut one ask up. Never raises."""
    text = cap(ask.text)
    words, counts = words_of(text), byte_counts(text)
    last_units = units_of(len(words), counts)
    follow_up, earlier_units = False, 0.0
    if ask.earlier:
        before = cap(ask.earlier[-1])
        follow_up = last_units <= FOLLOW_UP_UNITS and _leans_on_what_came_before(text, words, last_units)
        if follow_up and len(ask.earlier) > 1 and len(before) < 40:  # "yes" after "make it shorter" after the question
            before = cap(f"{ask.earlier[-2]}\n{before}")
        before_words, before_counts = words_of(before), byte_counts(before)
        earlier_units = units_of(len(before_words), before_counts)
        if follow_up:
            text, words, counts = f"{before}\n{text}", before_words + words, before_counts + counts
    word_count, lead = len(words), min(len(words), LEAD_WORDS)
    if word_count > HEAD_WORDS + TAIL_WORDS:
        words = words[:HEAD_WORDS] + words[-TAIL_WORDS:]
    spaceless = text if spaceless_chars(counts) or counts[0xE0] else ""
    return Reading(
        text, words, lead, word_count, counts, len(ask.text), spaceless, follow_up, last_units, earlier_units
    )


def _leans_on_what_came_before(text: str, words: list[str], units: float) -> bool:
    """A short turn that says yes, points back, or is too short to stand alone; not a greeting or thanks."""
    concepts = lexicon.word_concepts()[0]
    names = lexicon.concept_names()
    said = {names[concepts[word]] for word in words if word in concepts}
    if spaceless_chars(byte_counts(text)):
        said |= {names[column] for entry, column in lexicon.substring_concepts().items() if entry in text}
    if units <= 6 and said & {"thanks", "greet"} and not said & {"affirm", "refer", "rewrite"}:
        return False
    if said & {"refer", "affirm"} or (words and words[0] in _STARTS_LIKE_A_FOLLOW_UP):
        return True
    return units <= 4 and "greet" not in said
