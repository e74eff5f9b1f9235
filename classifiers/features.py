"""The one function that turns an ask into numbers, for serving and for training alike.

A vector is the hand-made block (shape, scripts, structure, what is asked for, language), the mean of the static word
vectors and the opinions of a table of words; both tables come with an artefact. All values stay within about +-8, so
that the float16 copy which the ledger keeps loses nothing that matters. What they are worth is learned elsewhere.
"""

from __future__ import annotations

import hashlib
import re
import struct
from bisect import bisect_left
from collections.abc import Callable, Sequence
from math import log1p
from operator import itemgetter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifiers import function_words, languages, lexicon, reading
from classifiers.contract import AskText
from classifiers.grams import GramTable
from classifiers.languages import LANGUAGES
from classifiers.reading import Reading
from classifiers.signs import Signs
from classifiers.vectors import WordVectors
from classifiers.words import Findings, WordIndex

Vector = NDArray[np.float32]

SCHEMA: Final = 1
"""Raise when the meaning of a column changes: old vectors are then no longer read."""

CONCEPTS: Final = tuple(lexicon.CONCEPTS)
SHAPE: Final = (
    "units", "chars", "lines", "word_length", "long_words", "distinct_words", "sentences", "questions", "exclamations",
    "digits", "capitals", "numbers", "operators", "brackets", "quotes", "commas", "colons", "longest_words",
    "units_squared", "very_short", "very_long",
)  # fmt: skip
SCRIPTS: Final = ("marked", "greek", "cyrillic", "hebrew", "arabic", "indic", "kana", "han", "hangul", "emoji")
STRUCTURE: Final = (
    "code_fence", "backtick", "code_look", "latex", "maths_signs", "options", "bullets", "numbered", "url", "json",
    "html", "table", "traceback", "blank", "docstring", "ends_asking", "ends_colon", "lower_start", "boxed", "quoted",
)  # fmt: skip
CONVERSATION: Final = (
    "tools", "json_schema", "images", "turns", "follow_up", "earlier_units", "last_units", "edit_turn",
)  # fmt: skip
MIXED: Final = (
    "hard_words", "easy_words", "hard_density", "easy_density", "short_and_hard", "asks_proof_of_maths",
    "lead_hard", "lead_easy", "long_and_light_task", "known_words", "strange_words",
    "light_and_hard", "quoted_and_hard",
)  # fmt: skip

_REWRITE: Final = CONCEPTS.index("rewrite")
_PROVE: Final = CONCEPTS.index("prove")
_MATHS: Final = CONCEPTS.index("maths")


def _of(*concepts: str) -> Callable[[Sequence[float]], tuple[float, ...]]:
    """Picks the columns of some concepts out of a list by concept."""
    return itemgetter(*map(CONCEPTS.index, concepts))


_HARD: Final = _of("maths", "prove", "systems", "science", "build", "analyse", "depth", "constraint")
_EASY: Final = _of("greet", "thanks", "affirm", "translate", "brief", "everyday", "arithmetic", "what")
_LIGHT: Final = _of("rewrite", "summarise", "translate", "extract", "classify")

_OPTION: Final = re.compile(r"\n\s{0,3}\(?[A-Ja-j][.):]\s")
_BULLET: Final = re.compile(r"\n\s{0,4}[-*•]\s")
_NUMBERED: Final = re.compile(r"\n\s{0,4}\d{1,2}[.)]\s")
_NUMBER: Final = re.compile(r"\d+(?:[.,]\d+)*")
_NUMBER_OCTETS: Final = re.compile(rb"\d+(?:[.,]\d+)*")
_NUMBERS_ONLY: Final = bytes(octet if octet in b"0123456789.," else 0x20 for octet in range(256))
_MATHS_SIGNS: Final = re.compile(r"[∀-⋿√π∞ℝℤℕℂℚ²³⊂≤≥◇□⊢]")
_ENDS_ASKING: Final = ("?", "？", "؟")
_ENDS_COLON: Final = (":", "：")
_NO_SCRIPTS: Final[tuple[float, ...]] = (0.0,) * len(SCRIPTS)
_LOG1P: Final = tuple(log1p(count) for count in range(512))


def names(dimensions: int = 0) -> tuple[str, ...]:
    """What each column is, for a table of word vectors of so many dimensions."""
    return (
        *SHAPE,
        *(f"script:{name}" for name in SCRIPTS),
        *STRUCTURE,
        *CONVERSATION,
        *MIXED,
        *(f"lead:{name}" for name in CONCEPTS),
        *(f"says:{name}" for name in CONCEPTS),
        *(f"language:{name}" for name in LANGUAGES),
        *(f"vector:{number}" for number in range(dimensions)),
    )


HAND: Final = len(names())
_PACK: Final = struct.Struct(f"{HAND}f")
STRANGE_COLUMN: Final = names().index("strange_words")
LANGUAGE_COLUMNS: Final = slice(HAND - len(LANGUAGES), HAND)


class FeatureFunction:
    """featurise(ask) -> float32 of shape (size,), size <= 512. Never raises; costs tens of microseconds.

    digest: names the function; vectors made under another digest must not be read with this one.
    """

    def __init__(self, vectors: WordVectors | None = None, grams: GramTable | None = None):
        self.vectors, self.grams = vectors, grams
        self.index = WordIndex(vectors)
        self.before_grams = HAND + (vectors.dimensions if vectors is not None else 0)
        """Columns that do not hang on the table of words."""
        self.size = self.before_grams + (grams.columns if grams is not None else 0)
        self.digest = _digest(vectors, grams)

    def with_grams(self, grams: GramTable) -> FeatureFunction:
        """The same function with another table of words."""
        return FeatureFunction(self.vectors, grams)

    def __call__(self, ask: AskText) -> Vector:
        vector = np.empty(self.size, np.float32)
        self.plain_into(ask, vector)
        return vector

    def many(self, asks: Sequence[AskText]) -> NDArray[np.float32]:
        """One vector for each ask, shape (n, size)."""
        vectors = np.empty((len(asks), self.size), np.float32)
        for ask, row in zip(asks, vectors, strict=True):
            self.plain_into(ask, row)
        return vectors

    def plain_into(self, ask: AskText, out: Vector) -> str:
        """Write the hand-made block, the mean of the word vectors and opinions; returns the text as it was read."""
        read = reading.read(ask)
        found = self.index.find(read)
        if self.vectors is not None:
            self.vectors.mean_into(found.rows, out[HAND : self.before_grams])
        if self.grams is not None:
            self.grams.opinions_into(found.grams, out[self.before_grams : self.before_grams + self.grams.columns])
        hand_into(read, ask, found, out)
        return read.text


def hand_into(read: Reading, ask: AskText, found: Findings, out: Vector) -> None:
    """Write the hand-made block into the first HAND columns. read, found: of this ask."""
    _PACK.pack_into(
        out.data,
        0,
        *_shape(read),
        *_structure(read, ask.text),
        *_conversation(read, ask, found),
        *_mixed(read, found),
        *found.lead,
        *[_LOG1P[said] for said in found.says],
        *languages.shares_of(read, found.votes),
    )


def language_of(vector: Vector) -> str:
    """The language a vector was read in; `other` where nothing tells."""
    shares: list[float] = vector[LANGUAGE_COLUMNS].tolist()
    return LANGUAGES[shares.index(max(shares))]


def _shape(read: Reading) -> Sequence[float]:
    words, signs = read.words, read.signs
    count, total = len(words) or 1, len(read.text) or 1
    lengths = sorted(map(len, words))
    units = log1p(read.units)
    stops, questions = signs.stops, signs.questions
    scripts: Sequence[float] = _NO_SCRIPTS
    if signs.trailing:
        stops += read.beyond.count("。") + read.beyond.count("।")
        questions += read.beyond.count("？") + read.beyond.count("؟")
        scripts = _scripts(signs, total)
    return (
        units,
        log1p(min(read.chars, reading.HEAD_CHARS + reading.TAIL_CHARS)) / 2,
        log1p(signs.newlines),
        min(sum(lengths) / count, 24) / 4,
        (len(lengths) - bisect_left(lengths, 9)) / count * 2,
        len(set(words)) / count,
        log1p(stops),
        log1p(questions),
        log1p(signs.exclamations),
        signs.digits / total * 4,
        signs.capitals / total * 4,
        log1p(_numbers(read)) if signs.digits else 0.0,
        log1p(signs.operators + signs.equals + signs.angles + signs.pipes + signs.backslashes) / 2,
        log1p(signs.brackets + signs.braces) / 2,
        log1p(signs.quotes) / 2,
        log1p(signs.commas) / 2,
        log1p(signs.colons),
        min(sum(lengths[-3:]) / 3, 24) / 4,
        units * units / 8,
        1.0 if units < 1.7 else 0.0,
        1.0 if units > 5.0 else 0.0,
        *scripts,
    )


def _numbers(read: Reading) -> int:
    """How many numbers, in a text with digits. Only these kinds of sign hold digits beyond ASCII."""
    signs = read.signs
    if signs.arabic or signs.indic or signs.vietnamese or signs.hangul or signs.emoji or signs.far:
        return len(_NUMBER.findall(read.text))
    return len(_NUMBER_OCTETS.findall(b" ".join(read.octets.translate(_NUMBERS_ONLY).split())))


def _scripts(signs: Signs, total: int) -> Sequence[float]:
    return (
        min(1.0, signs.marked / total * 8),
        min(1.0, signs.greek / total * 2),
        min(1.0, signs.cyrillic / total),
        min(1.0, signs.hebrew / total),
        min(1.0, signs.arabic / total),
        min(1.0, signs.indic / total),
        min(1.0, signs.kana / total),
        min(1.0, signs.han / total),
        min(1.0, signs.hangul / total),
        min(1.0, signs.emoji / total * 4),
    )


def _structure(read: Reading, last: str) -> Sequence[float]:
    """Every search waits for a count that says that it could find something."""
    text, signs = read.text, read.signs
    lines = signs.newlines > 0
    options = len(_OPTION.findall(text)) if lines else 0
    pairs_of_dollars = signs.dollars if signs.dollars % 2 == 0 else 0
    ending = last[-40:].rstrip()
    return (
        1.0 if signs.backticks >= 3 and "```" in text else 0.0,
        log1p(signs.backticks) / 2,
        log1p(_code_signs(text, signs)) if signs.brackets or signs.equals or lines else 0.0,
        log1p(signs.backslashes + pairs_of_dollars) / 2,
        log1p(len(_MATHS_SIGNS.findall(read.beyond))) if signs.symbols or signs.latin1 or signs.greek else 0.0,
        min(options, 12) / 4 if options >= 2 else 0.0,
        log1p(len(_BULLET.findall(text))) if lines else 0.0,
        log1p(len(_NUMBERED.findall(text))) if lines else 0.0,
        1.0 if "http" in text or (signs.stops and "www." in text) else 0.0,
        1.0 if signs.braces and signs.colons and '":' in text else 0.0,
        1.0 if signs.angles and ("</" in text or "/>" in text) else 0.0,
        1.0 if signs.pipes >= 4 else 0.0,
        1.0 if _shows_an_error(text, signs) else 0.0,
        1.0 if ("_" in text and "___" in text) or (signs.brackets and "[MASK]" in text) else 0.0,
        1.0 if (signs.quotes >= 3 and '"""' in text) or (signs.angles >= 3 and ">>>" in text) else 0.0,
        1.0 if ending.endswith(_ENDS_ASKING) else 0.0,
        1.0 if ending.endswith(_ENDS_COLON) else 0.0,
        1.0 if last[:1].islower() else 0.0,
        1.0 if (signs.backslashes and "\\boxed" in text) or "final answer" in text else 0.0,
        1.0 if signs.quotes >= 2 or signs.apostrophes >= 2 else 0.0,
    )


def _shows_an_error(text: str, signs: Signs) -> bool:
    if signs.capitals and (("T" in text and "Traceback" in text) or ("E" in text and "Exception" in text)):
        return True
    return signs.colons > 0 and "rror:" in text


def _code_signs(text: str, signs: Signs) -> int:
    count = text.count("def ") + text.count("return ") + text.count("const ") + text.count("#include")
    if signs.equals:
        count += text.count("==") + text.count("=>") + text.count("!=")
    if signs.semicolons:
        count += text.count(");")
    if signs.newlines:
        count += text.count("\nimport ")
        if signs.braces:
            count += text.count("{\n")
        if signs.colons:
            count += text.count("):\n")
    if signs.capitals >= 6:
        count += text.count("SELECT ")
    return count


def _conversation(read: Reading, ask: AskText, found: Findings) -> Sequence[float]:
    return (
        log1p(min(ask.tools, 1000)) if ask.tools else 0.0,
        1.0 if ask.json_schema else 0.0,
        log1p(min(ask.images, 1000)) if ask.images else 0.0,
        min(len(ask.earlier), 2),
        1.0 if read.follow_up else 0.0,
        log1p(read.earlier_units),
        log1p(read.last_units),
        1.0 if read.follow_up and found.says[_REWRITE] else 0.0,
    )


def _mixed(read: Reading, found: Findings) -> Sequence[float]:
    lead, says = found.lead, found.says
    hard = sum(_HARD(says))
    easy = sum(_EASY(says))
    light = any(_LIGHT(lead))
    seen = min(read.units, reading.HEAD_WORDS + reading.TAIL_WORDS) + 2.0
    hard_log = log1p(hard)
    # Hard words in a text that is only to be translated, corrected or searched do not make the ask hard.
    pasted = read.signs.quotes >= 2 or (read.signs.backticks >= 3 and "```" in read.text)
    return (
        hard_log,
        log1p(easy),
        hard / seen * 4,
        easy / seen * 4,
        hard_log if read.units < 30 else 0.0,
        1.0 if says[_PROVE] and says[_MATHS] else 0.0,
        log1p(sum(_HARD(lead))),
        log1p(sum(_EASY(lead))),
        log1p(read.units) / 2 if light and read.units > 40 else 0.0,
        found.known,
        found.strange,
        hard_log if light else 0.0,
        hard_log if pasted else 0.0,
    )


def _digest(vectors: WordVectors | None, grams: GramTable | None) -> str:
    """sha256 over the schema, the words and the tables that define the function; first 16 hex digits."""
    sha = hashlib.sha256(f"signalbox features {SCHEMA}\n".encode())
    for words in (
        lexicon.CONCEPTS,
        lexicon.SUBSTRINGS,
        function_words.FUNCTION_WORDS,
        function_words.LATIN_MARKS,
        names(),
    ):
        sha.update(repr(words).encode())
    sha.update(vectors.digest.encode() if vectors is not None else b"no vectors")
    sha.update(grams.digest.encode() if grams is not None else b"")
    return sha.hexdigest()[:16]
