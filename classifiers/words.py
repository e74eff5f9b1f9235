"""Everything that is known of a word, found in one lookup: concept, languages, rows of the word vectors.

A dictionary over all words taught; words outside it are worked out once (stems, word pieces) and remembered.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from classifiers import function_words, lexicon
from classifiers.reading import Reading
from classifiers.vectors import WordVectors

LONGEST_WORD = 24


class Word(NamedTuple):
    """rows: of the vector table. concept: column of lexicon.CONCEPTS, or -1. votes: languages it speaks for.

    taught: someone told us of it, be it by table, concept or language; numbers count as taught.
    """

    rows: tuple[int, ...]
    concept: int
    votes: tuple[int, ...]
    taught: bool


class Findings(NamedTuple):
    """What the words of one reading say.

    lead: 1.0 for the concepts of the opening; says: how often each is named; votes: for each language;
    rows: of the vector table; known: share of words in it; strange: share of words nobody taught us, in 0..1.
    """

    lead: list[float]
    says: list[int]
    votes: list[float]
    rows: list[int]
    known: float
    strange: float


class WordIndex:
    """find(reading) -> Findings."""

    def __init__(self, vectors: WordVectors | None):
        self._concepts, self._stems = lexicon.word_concepts()
        self._votes = function_words.language_votes()
        self._vectors = vectors
        table = vectors.vocabulary if vectors is not None else {}
        taught = (*table, *self._concepts, *self._votes)
        self._words = {word: self._look_up(word) for word in taught if not word.startswith("##")}
        self._others = lru_cache(maxsize=8192)(self._look_up)
        self._concept_count = len(lexicon.CONCEPTS)
        self._language_count = len(function_words.FUNCTION_WORDS)

    def find(self, read: Reading) -> Findings:
        lead, says = [0.0] * self._concept_count, [0] * self._concept_count
        votes = [0.0] * self._language_count
        rows: list[int] = []
        words = self._words
        known = telling = strangers = 0
        for position, text in enumerate(read.words):
            word = words.get(text) or self._others(text[:LONGEST_WORD])
            word_rows, concept, speaks_for, taught = word
            rows += word_rows
            if concept >= 0:
                says[concept] += 1
                telling += 1
                if position < read.lead:
                    lead[concept] = 1.0
            elif speaks_for:
                telling += 1
            elif not taught:
                strangers += 1
            for language in speaks_for:
                votes[language] += 1.0
            if len(word_rows) == 1:
                known += 1
        count = len(read.words) or 1
        if read.signs.spaceless:
            strange = 0.0 if self._find_substrings(read.text, lead, says) or telling else 0.5
        else:  # a quarter of telling words is enough to know the language, and so not to find it strange
            strange = strangers / count * max(0.0, 1.0 - 4.0 * telling / count)
        return Findings(lead, says, votes, rows, known / count, strange)

    def _look_up(self, word: str) -> Word:
        concept = self._concepts.get(word)
        if concept is None:
            concept = self._stems.get(word[:5], -1)
        votes = self._votes.get(word, ())
        rows = self._vectors.rows_of(word) if self._vectors is not None else ()
        return Word(rows, concept, votes, len(rows) == 1 or concept >= 0 or bool(votes) or word[:1].isdigit())

    @staticmethod
    def _find_substrings(text: str, lead: list[float], says: list[int]) -> bool:
        entries = lexicon.substring_concepts()
        text = text if len(text) <= 240 else text[:140] + text[-100:]
        found = False
        for start in range(len(text)):
            for length in (2, 1, 3, 4, 5):
                concept = entries.get(text[start : start + length])
                if concept is not None:
                    says[concept] += 1
                    found = True
                    if start < 30:
                        lead[concept] = 1.0
                    break
        return found
