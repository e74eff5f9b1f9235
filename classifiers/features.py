"""The one function that turns an ask into numbers, for serving and for training alike.

A vector is the hand-made block (shape, scripts, structure, what is asked for, language) followed by the mean of the
static word vectors that come with an artefact. All values stay within about +-8, so that the float16 copy which the
ledger keeps loses nothing that matters. What the numbers are worth is learned elsewhere.
"""

from __future__ import annotations

import hashlib
import math
import re
import struct
from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifiers import function_words, languages, lexicon, reading
from classifiers.contract import AskText
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

_AT: Final = {name: column for column, name in enumerate(CONCEPTS)}
_HARD: Final = tuple(
    _AT[name] for name in ("maths", "prove", "systems", "science", "build", "analyse", "depth", "constraint")
)
_EASY: Final = tuple(
    _AT[name] for name in ("greet", "thanks", "affirm", "translate", "brief", "everyday", "arithmetic", "what")
)
_LIGHT: Final = tuple(_AT[name] for name in ("rewrite", "summarise", "translate", "extract", "classify"))

_OPTION: Final = re.compile(r"\n\s{0,3}\(?[A-Ja-j][.):]\s")
_BULLET: Final = re.compile(r"\n\s{0,4}[-*•]\s")
_NUMBERED: Final = re.compile(r"\n\s{0,4}\d{1,2}[.)]\s")
_NUMBER: Final = re.compile(r"\d+(?:[.,]\d+)*")
_CODE_SIGNS: Final = (
    ");",
    "=>",
    "==",
    "!=",
    "{\n",
    "):\n",
    "def ",
    "#include",
    "\nimport ",
    "SELECT ",
    "return ",
    "const ",
)
_MATHS_SIGNS: Final = re.compile(r"[∀-⋿√π∞ℝℤℕℂℚ²³⊂≤≥◇□⊢]")
_ENDS_ASKING: Final = ("?", "？", "؟")
_ENDS_COLON: Final = (":", "：")
_NO_SCRIPTS: Final[tuple[float, ...]] = (0.0,) * len(SCRIPTS)
_LOG1P: Final = tuple(math.log1p(count) for count in range(512))


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

    def __init__(self, vectors: WordVectors | None = None):
        self.vectors = vectors
        self._index = WordIndex(vectors)
        self.size = HAND + (vectors.dimensions if vectors is not None else 0)
        self.digest = _digest(vectors)

    def __call__(self, ask: AskText) -> Vector:
        read = reading.read(ask)
        found = self._index.find(read)
        vector = np.empty(self.size, np.float32)
        if self.vectors is not None:
            self.vectors.mean_into(found.rows, vector[HAND:])
        _PACK.pack_into(
            vector.data,
            0,
            *_shape(read),
            *_structure(read, ask.text),
            *_conversation(read, ask, found),
            *_mixed(read, found),
            *found.lead,
            *[_LOG1P[count] for count in found.says],
            *languages.shares_of(read, found.votes),
        )
        return vector


def language_of(vector: Vector) -> str:
    """The language a vector was read in; `other` where nothing tells."""
    return LANGUAGES[int(vector[LANGUAGE_COLUMNS].argmax())]


def _shape(read: Reading) -> Sequence[float]:
    text, words, signs = read.text, read.words, read.signs
    count, total = len(words) or 1, len(text) or 1
    lengths = sorted(map(len, words))
    units = math.log1p(read.units)
    stops, questions = signs.stops, signs.questions
    scripts: Sequence[float] = _NO_SCRIPTS
    if signs.trailing:
        stops += text.count("。") + text.count("।")
        questions += text.count("？") + text.count("؟")
        scripts = _scripts(signs, total)
    return (
        units,
        math.log1p(min(read.chars, reading.HEAD_CHARS + reading.TAIL_CHARS)) / 2,
        math.log1p(signs.newlines),
        min(sum(lengths) / count, 24) / 4,
        (len(lengths) - bisect_left(lengths, 9)) / count * 2,
        len(set(words)) / count,
        math.log1p(stops),
        math.log1p(questions),
        math.log1p(signs.exclamations),
        signs.digits / total * 4,
        signs.capitals / total * 4,
        math.log1p(len(_NUMBER.findall(text))) if signs.digits else 0.0,
        math.log1p(signs.operators + signs.equals + signs.angles + signs.pipes + signs.backslashes) / 2,
        math.log1p(signs.brackets + signs.braces) / 2,
        math.log1p(signs.quotes) / 2,
        math.log1p(signs.commas) / 2,
        math.log1p(signs.colons),
        min(sum(lengths[-3:]) / 3, 24) / 4,
        units * units / 8,
        float(units < 1.7),
        float(units > 5.0),
        *scripts,
    )


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
    text, signs = read.text, read.signs
    lines = signs.newlines > 0
    options = len(_OPTION.findall(text)) if lines else 0
    code = 0
    if signs.brackets or signs.equals or lines:
        for sign in _CODE_SIGNS:
            code += text.count(sign)
    pairs_of_dollars = signs.dollars if signs.dollars % 2 == 0 else 0
    ending = last[-40:].rstrip()
    return (
        float(signs.backticks >= 3 and "```" in text),
        math.log1p(signs.backticks) / 2,
        math.log1p(code),
        math.log1p(signs.backslashes + pairs_of_dollars) / 2,
        math.log1p(len(_MATHS_SIGNS.findall(text))) if signs.symbols or signs.latin1 or signs.greek else 0.0,
        min(options, 12) / 4 if options >= 2 else 0.0,
        math.log1p(len(_BULLET.findall(text))) if lines else 0.0,
        math.log1p(len(_NUMBERED.findall(text))) if lines else 0.0,
        float("http" in text or "www." in text),
        float(signs.braces > 0 and '":' in text),
        float(signs.angles > 0 and ("</" in text or "/>" in text)),
        float(signs.pipes >= 4),
        float("Traceback" in text or "Exception" in text or "rror:" in text),
        float("___" in text or "[MASK]" in text),
        float('"""' in text or ">>>" in text),
        float(ending.endswith(_ENDS_ASKING)),
        float(ending.endswith(_ENDS_COLON)),
        float(last[:1].islower()),
        float("\\boxed" in text or "final answer" in text),
        float(signs.quotes >= 2 or signs.apostrophes >= 2),
    )


def _conversation(read: Reading, ask: AskText, found: Findings) -> Sequence[float]:
    return (
        math.log1p(min(ask.tools, 1000)),
        float(ask.json_schema),
        math.log1p(min(ask.images, 1000)),
        float(min(len(ask.earlier), 2)),
        float(read.follow_up),
        math.log1p(read.earlier_units),
        math.log1p(read.last_units),
        float(read.follow_up and found.says[_AT["rewrite"]] > 0),
    )


def _mixed(read: Reading, found: Findings) -> Sequence[float]:
    lead, says = found.lead, found.says
    hard = sum([says[column] for column in _HARD])
    easy = sum([says[column] for column in _EASY])
    light = sum([lead[column] for column in _LIGHT]) > 0
    seen = min(read.units, reading.HEAD_WORDS + reading.TAIL_WORDS) + 2.0
    hard_log = math.log1p(hard)
    # Hard words in a text that is only to be translated, corrected or searched do not make the ask hard.
    pasted = read.signs.quotes >= 2 or "```" in read.text
    return (
        hard_log,
        math.log1p(easy),
        hard / seen * 4,
        easy / seen * 4,
        hard_log if read.units < 30 else 0.0,
        float(says[_AT["prove"]] > 0 and says[_AT["maths"]] > 0),
        math.log1p(sum([lead[column] for column in _HARD])),
        math.log1p(sum([lead[column] for column in _EASY])),
        math.log1p(read.units) / 2 if light and read.units > 40 else 0.0,
        found.known,
        found.strange,
        hard_log if light else 0.0,
        hard_log if pasted else 0.0,
    )


def _digest(vectors: WordVectors | None) -> str:
    """sha256 over the schema, the words and the table that define the function; first 16 hex digits."""
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
    return sha.hexdigest()[:16]
