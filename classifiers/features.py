"""The one function that turns an ask into numbers, for serving and for training alike.

A vector is the hand-made block (shape, scripts, structure, what is asked for, language) followed by the mean of the
static word vectors that come with an artefact. All values stay within about +-8, so that the float16 copy which the
ledger keeps loses nothing that matters. What the numbers are worth is learned elsewhere.
"""

from __future__ import annotations

import hashlib
import math
import re
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifiers import lexicon, reading
from classifiers.contract import AskText
from classifiers.reading import Reading
from classifiers.vectors import WordVectors

Vector = NDArray[np.float32]

SCHEMA: Final = 1
"""Raise when the meaning of a column changes: old vectors are then no longer read."""

SCRIPT_LANGUAGES: Final = ("zh", "ja", "ko", "ar", "hi", "he", "el", "th")
LANGUAGES: Final = (*lexicon.FUNCTION_WORDS, *SCRIPT_LANGUAGES, "other")
CONCEPTS: Final = tuple(lexicon.CONCEPTS)

SHAPE: Final = (
    "units", "chars", "lines", "word_length", "long_words", "distinct_words", "sentences", "questions", "exclamations",
    "digits", "capitals", "numbers", "operators", "brackets", "quotes", "commas", "colons", "longest_words",
    "units_squared", "very_short", "very_long",
)  # fmt: skip
SCRIPTS: Final = ("latin_marked", "greek", "cyrillic", "hebrew", "arabic", "indic", "kana", "han", "hangul", "emoji")
STRUCTURE: Final = (
    "code_fence", "backtick", "code_look", "latex", "maths_signs", "options", "bullets", "numbered", "url", "json",
    "html", "table", "traceback", "blank", "docstring", "ends_asking", "ends_colon", "lower_start", "boxed", "quoted",
)  # fmt: skip
CONVERSATION: Final = (
    "tools",
    "json_schema",
    "images",
    "turns",
    "follow_up",
    "earlier_units",
    "last_units",
    "edit_turn",
)
MIXED: Final = (
    "hard_words", "easy_words", "hard_density", "easy_density", "short_and_hard", "asks_proof_of_maths",
    "lead_hard", "lead_easy", "long_and_light_task", "known_words",
)  # fmt: skip

_HARD: Final = ("maths", "prove", "systems", "science", "build", "analyse", "depth", "constraint")
_EASY: Final = ("greet", "thanks", "affirm", "translate", "brief", "everyday", "arithmetic", "what")
_LIGHT: Final = ("rewrite", "summarise", "translate", "extract", "classify")

_OPTION: Final = re.compile(r"(?:^|\n)\s{0,3}\(?[A-Ja-j][.):]\s")
_BULLET: Final = re.compile(r"(?:^|\n)\s{0,4}[-*•]\s")
_NUMBERED: Final = re.compile(r"(?:^|\n)\s{0,4}\d{1,2}[.)]\s")
_NUMBER: Final = re.compile(r"\d+(?:[.,]\d+)*")
_CODE: Final = re.compile(
    r"\bdef \w+\(|\bclass \w+|#include|\bimport \w|\bSELECT\b|\bfunction \w*\(|=>|\);|\{\n|\b(?:const|let|public) |[=!]="
)
_OPERATORS: Final = np.frombuffer(b"=+*/^<>%|&~\\", np.uint8)
_MATHS_SIGNS: Final = re.compile(r"[∀-⋿√π∞ℝℤℕℂℚ²³⊂≤≥]")


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
LANGUAGE_COLUMNS: Final = slice(HAND - len(LANGUAGES), HAND)


class FeatureFunction:
    """featurise(ask) -> float32 of shape (size,), size <= 512. Never raises; costs tens of microseconds.

    digest: names the function; vectors made under another digest must not be read with this one.
    """

    def __init__(self, vectors: WordVectors | None = None):
        self._vectors = vectors
        self.size = HAND + (vectors.dimensions if vectors is not None else 0)
        self.digest = _digest(vectors)

    def __call__(self, ask: AskText) -> Vector:
        read = reading.read(ask)
        vector = np.empty(self.size, np.float32)
        known = 0.0
        if self._vectors is not None:
            known = self._vectors.mean_into(read.words, vector[HAND:])
        lead, says = _concepts(read)
        vector[:HAND] = [
            *_shape(read),
            *_structure(read, ask.text),
            *_conversation(read, ask, says),
            *_mixed(read, lead, says, known),
            *lead,
            *[math.log1p(count) for count in says],
            *_languages(read),
        ]
        return vector

    featurise = __call__


def _shape(read: Reading) -> list[float]:
    text, words, counts = read.text, read.words, read.bytes
    count = len(words) or 1
    total = len(text) or 1
    lengths = [len(word) for word in words]
    long_words = sum(length >= 9 for length in lengths)
    longest = sorted(lengths)[-3:]
    units = math.log1p(reading.units_of(read.word_count, counts))
    lines = int(counts[0x0A])
    stops = int(counts[0x2E]) + text.count("。") + text.count("।")
    digits = int(counts[0x30:0x3A].sum())
    numbers = len(_NUMBER.findall(text)) if digits else 0
    letters_up = int(counts[0x41:0x5B].sum())
    return [
        units,
        math.log1p(read.chars) / 2,
        math.log1p(lines),
        min(sum(lengths) / count, 24) / 4,
        long_words / count * 2,
        len(set(words)) / count,
        math.log1p(stops),
        math.log1p(int(counts[0x3F]) + text.count("？") + text.count("؟")),
        math.log1p(int(counts[0x21])),
        digits / total * 4,
        letters_up / total * 4,
        math.log1p(numbers),
        math.log1p(int(counts[_OPERATORS].sum())) / 2,
        math.log1p(int(counts[0x28]) + int(counts[0x5B]) + int(counts[0x7B])) / 2,
        math.log1p(int(counts[0x22]) + text.count("“") + text.count("«")) / 2,
        math.log1p(int(counts[0x2C])) / 2,
        math.log1p(int(counts[0x3A])),
        min(sum(longest) / 3, 24) / 4 if longest else 0.0,
        units * units / 8,
        float(units < 1.7),
        float(units > 5.0),
        min(1.0, int(counts[0xC3:0xC6].sum()) / total * 8),
        min(1.0, int(counts[0xCE:0xD0].sum()) / total * 2),
        min(1.0, int(counts[0xD0:0xD4].sum()) / total),
        min(1.0, int(counts[0xD6:0xD8].sum()) / total),
        min(1.0, int(counts[0xD8:0xDC].sum()) / total),
        min(1.0, int(counts[0xE0]) / total),
        min(1.0, max(0, int(counts[0xE3]) - text.count("。") - text.count("、")) / total),
        min(1.0, int(counts[0xE4:0xEA].sum()) / total),
        min(1.0, int(counts[0xEA:0xEE].sum()) / total),
        min(1.0, int(counts[0xF0]) / total * 4),
    ]


def _structure(read: Reading, last: str) -> list[float]:
    text, counts = read.text, read.bytes
    several_lines = counts[0x0A] > 0
    options = len(_OPTION.findall(text)) if several_lines else 0
    code = len(_CODE.findall(text)) if counts[0x28] or counts[0x3D] or counts[0x3B] or "import" in text else 0
    backslashes, dollars = int(counts[0x5C]), int(counts[0x24])
    ending = last[-40:].rstrip()
    return [
        float("```" in text),
        math.log1p(int(counts[0x60])) / 2,
        math.log1p(code),
        math.log1p(backslashes + (dollars if dollars % 2 == 0 else 0)) / 2,
        math.log1p(len(_MATHS_SIGNS.findall(text))) if counts[0xE2] or counts[0xC2] or counts[0xCF] else 0.0,
        min(options, 12) / 4 if options >= 2 else 0.0,
        math.log1p(len(_BULLET.findall(text))) if several_lines else 0.0,
        math.log1p(len(_NUMBERED.findall(text))) if several_lines else 0.0,
        float("http" in text or "www." in text),
        float(counts[0x7B] > 0 and '":' in text),
        float("</" in text or "/>" in text),
        float(counts[0x7C] >= 4),
        float("Traceback" in text or "Exception" in text or "rror:" in text),
        float("___" in text or "[MASK]" in text or "____" in text),
        float('"""' in text or ">>>" in text),
        float(ending.endswith(("?", "？", "؟"))),
        float(ending.endswith((":", "："))),
        float(last[:1].islower()),
        float("\\boxed" in text or "final answer" in text),
        float(counts[0x22] >= 2 or counts[0x27] >= 2),
    ]


def _conversation(read: Reading, ask: AskText, says: list[int]) -> list[float]:
    return [
        math.log1p(min(ask.tools, 1000)),
        float(ask.json_schema),
        math.log1p(min(ask.images, 1000)),
        float(min(len(ask.earlier), 2)),
        float(read.follow_up),
        math.log1p(read.earlier_units),
        math.log1p(read.last_units),
        float(read.follow_up and says[CONCEPTS.index("rewrite")] > 0),
    ]


def _mixed(read: Reading, lead: list[float], says: list[int], known: float) -> list[float]:
    hard = sum(says[column] for column in _columns(_HARD))
    easy = sum(says[column] for column in _columns(_EASY))
    units = reading.units_of(read.word_count, read.bytes)
    light = any(lead[column] for column in _columns(_LIGHT))
    seen = min(units, reading.HEAD_WORDS + reading.TAIL_WORDS) + 2.0
    return [
        math.log1p(hard),
        math.log1p(easy),
        hard / seen * 4,
        easy / seen * 4,
        math.log1p(hard) if units < 30 else 0.0,
        float(says[CONCEPTS.index("prove")] > 0 and says[CONCEPTS.index("maths")] > 0),
        math.log1p(sum(lead[column] for column in _columns(_HARD))),
        math.log1p(sum(lead[column] for column in _columns(_EASY))),
        math.log1p(units) / 2 if light and units > 40 else 0.0,
        known,
    ]


@cache
def _columns(concepts: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(CONCEPTS.index(name) for name in concepts)


def _concepts(read: Reading) -> tuple[list[float], list[int]]:
    """(which concepts the opening names, how often each is named in what is read)."""
    words, stems = lexicon.word_concepts()
    lead, says = [0.0] * len(CONCEPTS), [0] * len(CONCEPTS)
    for position, word in enumerate(read.words):
        column = words.get(word)
        if column is None:
            column = stems.get(word[:5])
            if column is None:
                continue
        says[column] += 1
        if position < read.lead:
            lead[column] = 1.0
    if read.spaceless:
        entries = lexicon.substring_concepts()
        text = read.spaceless if len(read.spaceless) <= 240 else read.spaceless[:140] + read.spaceless[-100:]
        for start in range(len(text)):
            for stop in (start + 2, start + 1, start + 3, start + 4, start + 5):
                column = entries.get(text[start:stop])
                if column is not None:
                    says[column] += 1
                    if start < 30:
                        lead[column] = 1.0
                    break
    return lead, says


def _languages(read: Reading) -> list[float]:
    """Shares of the languages, most likely one largest: scripts where they tell, function words where they do not."""
    counts = read.bytes
    scores = [0.0] * len(LANGUAGES)
    kana, han, hangul = int(counts[0xE3]), int(counts[0xE4:0xEA].sum()), int(counts[0xEA:0xEE].sum())
    kana -= read.text.count("。") + read.text.count("、") if kana else 0
    latin = int(counts[0x41:0x7B].sum()) * 0.4
    foreign = {
        "ja": (kana + han if kana * 6 > han else 0) if kana else 0,
        "zh": han if kana * 6 <= han else 0,
        "ko": hangul,
        "ar": int(counts[0xD8:0xDC].sum()),
        "he": int(counts[0xD6:0xD8].sum()),
        "el": int(counts[0xCE:0xD0].sum()),
        "hi": 0,
        "th": 0,
    }
    if counts[0xE0]:
        thai = sum("\u0e00" <= letter <= "\u0e7f" for letter in read.text[:400])
        foreign["th" if thai * 2 > min(int(counts[0xE0]), 400) else "hi"] = int(counts[0xE0])
    script, most = max(foreign.items(), key=lambda item: item[1])
    if most > latin and most > 0:
        scores[LANGUAGES.index(script)] = 1.0
        return scores
    votes = lexicon.language_votes()
    for word in read.words:
        for position in votes.get(word, ()):
            scores[position] += 1.0
    if counts[0xC3:0xC6].any() or counts[0xE1] or counts[0xC2]:
        for letters, language in lexicon.LATIN_MARKS.items():
            if any(letter in read.text for letter in letters):
                scores[LANGUAGES.index(language)] += 1.5
    cyrillic = int(counts[0xD0:0xD4].sum())
    if cyrillic > latin:
        own = any(letter in read.text for letter in "іїєґІЇЄҐ")
        scores[LANGUAGES.index("uk" if own else "ru")] += 3.0
    else:
        scores[0] += 0.4 if counts[0x80:].sum() == 0 else 0.1
    total = sum(scores)
    return [score / total for score in scores] if total else [*scores[:-1], 1.0]


def language_of(vector: Vector) -> str:
    """The language a vector was read in; `other` where nothing tells."""
    return LANGUAGES[int(vector[LANGUAGE_COLUMNS].argmax())]


def _digest(vectors: WordVectors | None) -> str:
    """sha256 over the schema, the words and the table that define the function; first 16 hex digits."""
    sha = hashlib.sha256(f"signalbox features {SCHEMA}\n".encode())
    for words in (lexicon.CONCEPTS, lexicon.SUBSTRINGS, lexicon.FUNCTION_WORDS, lexicon.LATIN_MARKS, names()):
        sha.update(repr(words).encode())
    sha.update(vectors.digest.encode() if vectors is not None else b"no vectors")
    return sha.hexdigest()[:16]
