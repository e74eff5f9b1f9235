"""Everything that is known of a word, found in one lookup: concept, languages, rows of the word vectors.

A dictionary over all words taught; words outside it are worked out (stems, word pieces) and kept for a while. What is
counted over the words of a text is one integer a word with a byte for each count, so that adding them up counts all.
"""

from __future__ import annotations

from array import array
from collections import deque
from dataclasses import dataclass
from typing import Final

from classifiers import function_words, lexicon, reading
from classifiers.grams import LEAD_WORDS, LONGEST_WORD, OPENING_WORDS, buckets_of, grams_of, opening_of
from classifiers.reading import Reading
from classifiers.vectors import WordVectors

MOST_MET: Final = 8192
"""How many words that nobody taught are kept, the newest."""

_CONCEPTS: Final = len(lexicon.CONCEPTS)
_LANGUAGES: Final = len(function_words.FUNCTION_WORDS)
_TELLING: Final = _CONCEPTS + _LANGUAGES
"""Byte of a count: words with a concept or a language."""
_STRANGE: Final = _TELLING + 1
"""Words nobody taught us, be it by table, concept or language; numbers count as taught."""
_KNOWN: Final = _TELLING + 2
"""Words with exactly one row in the table."""
_BYTES: Final = _TELLING + 3

assert reading.HEAD_WORDS + reading.TAIL_WORDS < 256, "a count must fit into its byte"

_ONCE: Final = (0.0, *(1.0,) * 255)

Word = tuple[bytes, int, int, int]
"""(rows of the vector table as int64, what the word adds to the counts, its grams as a word and in the opening)."""


@dataclass(slots=True)
class Findings:
    """What the words of one reading say.

    lead: 1.0 for the concepts of the opening; says: how often each is named; votes: for each language;
    rows: of the vector table, as int64; known: share of words in it; strange: share of words nobody taught us, in 0..1.
    grams: rows of the table of words (see `grams.buckets_of`), each once, in order.
    """

    lead: list[float]
    says: list[int]
    votes: list[int]
    rows: bytes
    known: float
    strange: float
    grams: list[int]


class WordIndex(dict[str, Word]):
    """find(reading) -> Findings. The dictionary holds the words taught; it answers for all others too."""

    def __init__(self, vectors: WordVectors | None):
        self._concepts, self._stems = lexicon.word_concepts()
        self._votes = function_words.language_votes()
        self._vectors = vectors
        table = vectors.vocabulary if vectors is not None else {}
        taught = (*table, *self._concepts, *self._votes)
        self._same: dict[int, int] = {}
        super().__init__({word: self._look_up(word) for word in taught if not word.startswith("##")})
        self._met: deque[str] = deque()

    def __missing__(self, word: str) -> Word:
        known = self._look_up(word[:LONGEST_WORD])
        if len(word) <= LONGEST_WORD:
            self[word] = known
            self._met.append(word)
            if len(self._met) > MOST_MET:
                self.pop(self._met.popleft(), None)
        return known

    def find(self, read: Reading) -> Findings:
        found = zip(*map(self.__getitem__, read.words), strict=True) if read.words else ((), (), (), ())
        rows, adds, grams, leads = found
        opening = sum(adds[: read.lead])
        counts = sum(adds[read.lead :], opening).to_bytes(_BYTES, "little")
        says = list(counts[:_CONCEPTS])
        lead = [_ONCE[said] for said in opening.to_bytes(_BYTES, "little")[:_CONCEPTS]]
        telling, strangers, known = counts[_TELLING:]
        count = len(adds) or 1
        if read.signs.spaceless:
            told = buckets_of(read)
            strange = 0.0 if self._find_substrings(read.text, lead, says) or telling else 0.5
        else:  # a quarter of telling words is enough to know the language, and so not to find it strange
            told = sorted({*grams, *leads[:LEAD_WORDS], *opening_of(grams[:OPENING_WORDS])})
            strange = strangers / count * max(0.0, 1.0 - 4.0 * telling / count)
        return Findings(lead, says, list(counts[_CONCEPTS:_TELLING]), b"".join(rows), known / count, strange, told)

    def _look_up(self, word: str) -> Word:
        concept = self._concepts.get(word)
        if concept is None:
            concept = self._stems.get(word[:5], -1)
        votes = self._votes.get(word, ())
        rows = self._vectors.rows_of(word) if self._vectors is not None else ()
        counted = [_CONCEPTS + language for language in votes]
        if concept >= 0:
            counted.append(concept)
        if counted:
            counted.append(_TELLING)
        elif len(rows) != 1 and not word[:1].isdigit():
            counted.append(_STRANGE)
        if len(rows) == 1:
            counted.append(_KNOWN)
        add = sum(1 << 8 * byte for byte in counted)
        return array("q", rows).tobytes(), self._same.setdefault(add, add), *grams_of(word)

    @staticmethod
    def _find_substrings(text: str, lead: list[float], says: list[int]) -> bool:
        by_first = lexicon.substrings_by_first()
        text = text if len(text) <= 240 else text[:140] + text[-100:]
        found = False
        for start in [start for start, first in enumerate(text) if first in by_first]:
            for entry, concept in by_first[text[start]]:
                if text.startswith(entry, start):
                    says[concept] += 1
                    found = True
                    if start < 30:
                        lead[concept] = 1.0
                    break
        return found
