"""How an ask is read before it is measured: capped, joined with the turn it follows, cut into words.

Everything is bounded, so an ask of a megabyte costs about what one of six thousand characters does. What the
pieces mean is left to `features`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from classifiers import lexicon
from classifiers.contract import AskText
from classifiers.signs import Signs, octets_of, signs_of

HEAD_CHARS, TAIL_CHARS = 4000, 2000
HEAD_WORDS, TAIL_WORDS = 40, 24
"""What is asked for stands at the beginning or the end of a long paste, so the middle is only counted, not read."""
LEAD_WORDS = 12
FOLLOW_UP_UNITS = 14

_PUNCTUATION: Final = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
_FAR_PUNCTUATION: Final = (
    ("latin1", "«»¿¡"),
    ("symbols", "“”„’…"),
    ("arabic", "،؟؛"),
    ("indic", "।"),
    ("kana", "。、「」『』"),
    ("far", "！？：；（）"),
)
"""By the kind of sign that a text must hold for one of them to occur."""
_LOWER_AND_SPACED: Final = bytes(
    ord(" ") if chr(octet) in _PUNCTUATION else ord(chr(octet).lower()) if octet < 128 else octet
    for octet in range(256)
)
_ASCII: Final = bytes(range(128))
_STARTS_LIKE_A_FOLLOW_UP: Final = frozenset(
    "and but so also now then more again another y pero ahora et mais maintenant und aber jetzt e ma ora mas agora en"
    " maar nu i ale teraz и а но теперь та але тепер ve ama şimdi dan tapi sekarang और अब و لكن".split()
)

_GOES_ON: Final = frozenset(
    "continue proceed go do continúa sigue weiter mach prossegui continua dalej продолжай давай devam जारी".split()
)


@dataclass(slots=True)
class Reading:
    """One ask, cut up. `text` is what is judged: the last turn, with the turn before where it only makes sense so.

    octets: its UTF-8. beyond: its characters that are not ASCII, in their order.
    words: lower case, at most HEAD_WORDS + TAIL_WORDS of them. lead: how many of the first count as the opening.
    units: length of what was kept, alike in every script. chars: of the last turn, before it was capped.
    """

    text: str
    octets: bytes
    beyond: str
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


def words_of(text: str, octets: bytes, signs: Signs) -> tuple[list[str], int]:
    """(the first HEAD_WORDS and last TAIL_WORDS, how many there are in all).

    Words are the lower-case runs between spaces and punctuation; a run of Chinese is one of them. That is not a regular
    expression's \\w, which would cut Hindi and Thai words at their vowel signs.
    """
    if signs.trailing:
        spaced = octets_of(text.lower()).translate(_LOWER_AND_SPACED).decode("utf-8", "surrogatepass")
        for kind, marks in _FAR_PUNCTUATION:
            if getattr(signs, kind):
                for mark in marks:
                    spaced = spaced.replace(mark, " ")
    else:
        spaced = octets.translate(_LOWER_AND_SPACED).decode("ascii")
    words = spaced.split(None, HEAD_WORDS)
    if len(words) <= HEAD_WORDS:
        return words, len(words)
    tail = words.pop().rsplit(None, TAIL_WORDS)
    between = len(tail.pop(0).split()) if len(tail) > TAIL_WORDS else 0
    return words + tail, HEAD_WORDS + between + len(tail)


def units_of(word_count: int, signs: Signs) -> float:
    """Length in units that weigh alike in every script: a word where words are spaced, else about 1.7 characters."""
    return word_count + 0.6 * (signs.kana + signs.han) + 0.15 * signs.hangul + 0.08 * signs.indic


def read(ask: AskText) -> Reading:
    """Cut one ask up. Never raises."""
    text = cap(ask.text)
    octets = octets_of(text)
    signs = signs_of(text, octets)
    words, count = words_of(text, octets, signs)
    units = last_units = units_of(count, signs)
    follow_up, earlier_units = False, 0.0
    if ask.earlier:
        before = cap(ask.earlier[-1])
        follow_up = last_units <= FOLLOW_UP_UNITS and _leans_on_what_came_before(text, words, signs)
        if follow_up and len(ask.earlier) > 1 and len(before) < 40:  # "yes" after "make it shorter" after the question
            before = cap(f"{ask.earlier[-2]}\n{before}")
        before_octets = octets_of(before)
        if not follow_up and before.isascii():  # only its length is asked for, and every unit is a word
            earlier_units = float(len(before_octets.translate(_LOWER_AND_SPACED).split()))
        else:
            before_signs = signs_of(before, before_octets)
            before_words, before_count = words_of(before, before_octets, before_signs)
            earlier_units = units_of(before_count, before_signs)
        if follow_up:
            text, octets = f"{before}\n{text}", b"%b\n%b" % (before_octets, octets)
            words, count = before_words + words, before_count + count
            signs = signs_of(text, octets)
            units = units_of(count, signs)
            earlier_units = max(0.0, units - last_units)
    if len(words) > HEAD_WORDS + TAIL_WORDS:
        words = words[:HEAD_WORDS] + words[-TAIL_WORDS:]
    beyond = octets.translate(None, _ASCII).decode("utf-8", "surrogatepass") if signs.trailing else ""
    lead = min(count, LEAD_WORDS)
    return Reading(text, octets, beyond, words, lead, signs, units, len(ask.text), follow_up, last_units, earlier_units)


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
