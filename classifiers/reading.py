"""How an ask is read before it is measured: capped, joined with the turn it follows, cut into words.

Everything is bounded, so an ask of a megabyte costs about what one of six thousand characters does. What the
pieces mean is left to `features`.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from classifiers import lexicon
from classifiers.contract import AskText
from classifiers.signs import Signs, signs_of

HEAD_CHARS, TAIL_CHARS = 4000, 2000
HEAD_WORDS, TAIL_WORDS = 40, 24
"""What is asked for stands at the beginning or the end of a long paste, so the middle is only counted, not read."""
LEAD_WORDS = 12
FOLLOW_UP_UNITS = 14

# Not \\w: that would cut Hindi and Thai words at their vowel signs.
_WORD: Final = re.compile(r"[^\s!-/:-@\[-`{-~«»“”„’…،؟؛。、！？：；（）「」『』।¿¡]+")
_STARTS_LIKE_A_FOLLOW_UP: Final = frozenset(
    "and but so also now then more again another y pero ahora et mais maintenant und aber jetzt e ma ora mas agora en"
    " maar nu i ale teraz и а но теперь та але тепер ve ama şimdi dan tapi sekarang और अब و لكن".split()
)

_GOES_ON: Final = frozenset(
    "continue proceed go do continúa sigue weiter mach prossegui continua dalej продолжай давай devam जारी".split()
)


class Reading(NamedTuple):
    """One ask, cut up. `text` is what is judged: the last turn, with the turn before where it only makes sense so.

    words: lower case, at most HEAD_WORDS + TAIL_WORDS of them. lead: how many of the first count as the opening.
    units: length of what was kept, alike in every script. chars: of the last turn, before it was capped.
    """

    text: str
    words: list[str]
    lead: int
    signs: Signs
    units: float
    chars: int
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


def units_of(word_count: int, signs: Signs) -> float:
    """Length in units that weigh alike in every script: a word where words are spaced, else about 1.7 characters."""
    return word_count + 0.6 * (signs.kana + signs.han) + 0.15 * signs.hangul + 0.08 * signs.indic


def read(ask: AskText) -> Reading:
    """Cut one ask up. Never raises."""
    text = cap(ask.text)
    words, signs = words_of(text), signs_of(text)
    units = last_units = units_of(len(words), signs)
    follow_up, earlier_units = False, 0.0
    if ask.earlier:
        before = cap(ask.earlier[-1])
        follow_up = last_units <= FOLLOW_UP_UNITS and _leans_on_what_came_before(text, words, signs)
        if follow_up and len(ask.earlier) > 1 and len(before) < 40:  # "yes" after "make it shorter" after the question
            before = cap(f"{ask.earlier[-2]}\n{before}")
        before_words = words_of(before)
        if follow_up:
            text, words = f"{before}\n{text}", before_words + words
            signs = signs_of(text)
            units = units_of(len(words), signs)
            earlier_units = max(0.0, units - last_units)
        else:
            earlier_units = units_of(len(before_words), signs_of(before))
    lead = min(len(words), LEAD_WORDS)
    if len(words) > HEAD_WORDS + TAIL_WORDS:
        words = words[:HEAD_WORDS] + words[-TAIL_WORDS:]
    return Reading(text, words, lead, signs, units, len(ask.text), follow_up, last_units, earlier_units)


def _leans_on_what_came_before(text: str, words: list[str], signs: Signs) -> bool:
    """A short turn that says yes, points back, or is too short to stand alone; not a greeting or thanks."""
    concepts = lexicon.word_concepts()[0]
    names = lexicon.concept_names()
    said = {names[concepts[word]] for word in words if word in concepts}
    if signs.spaceless:
        said |= {names[column] for entry, column in lexicon.substring_concepts().items() if entry in text}
    units = units_of(len(words), signs)
    if units <= 6 and said & {"thanks", "greet"} and not said & {"refer", "rewrite"} and not _GOES_ON & set(words):
        return False
    if "translate" in said and "refer" not in said:
        return False
    if not words:
        return units <= 4
    if "refer" in said or words[0] in _STARTS_LIKE_A_FOLLOW_UP or "that" in (words[0], words[-1]):
        return True
    if "affirm" in said and (units <= 8 or names[concepts.get(words[0], 0)] == "affirm"):
        return True
    return units <= 4 and "greet" not in said
