"""How like one text is to each of some others, in 0..1: spelling (parts of words, whole words) and word vectors.

Made for a few hundred short texts that are known beforehand, as the descriptions and examples of a selector's options
are: a look costs some tens of microseconds. An encoder's embeddings may take the place of the word vectors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from math import sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifiers.contract import AskText
from classifiers.reading import Reading, read
from classifiers.vectors import WordVectors

Array = NDArray[np.float64]

SHORTEST_PART, LONGEST_PART = 2, 4
"""Letters of the parts of words: they find a word again in another form, with a slip in it, or in a script without
spaces."""
MOST_CHARS: Final = 48
"""Of one run without spaces."""

PARTS, WORDS, VECTORS = 1.0, 0.5, 1.0
"""How much each of the three ways to be alike counts; where a text has no word vector the others share its part."""
PARTS_BESIDE, WORDS_BESIDE = 0.3, 0.15
"""The same beside an encoder's embeddings, which count 1."""

_RANK: Final = 50.0
"""The table of words is ordered by how common they are; the first fifty are about as common as each other (Zipf)."""


@lru_cache(maxsize=1 << 13)
def parts_of(word: str) -> tuple[str, ...]:
    """Runs of 2 to 4 characters of a word, its ends marked by spaces."""
    spelt = f" {word[:MOST_CHARS]} "
    return tuple(
        spelt[start : start + length]
        for length in range(SHORTEST_PART, LONGEST_PART + 1)
        for start in range(len(spelt) - length + 1)
    )


def all_parts(words: Iterable[str]) -> Counter[str]:
    return Counter([part for word in words for part in parts_of(word)])


def words_and_pairs(words: Sequence[str]) -> Counter[str]:
    """Words, and pairs of neighbours."""
    return Counter([*words, *map(" ".join, pairwise(words))])


class GramIndex:
    """TF-IDF cosine to each of n texts, given as counts of their grams.

    A gram that no text holds makes the asked text less like all of them, since it is longer by it.
    """

    def __init__(self, texts: Sequence[Counter[str]]):
        self._size = len(texts)
        spread: Counter[str] = Counter(gram for text in texts for gram in text)
        self._rows = {gram: row for row, gram in enumerate(spread)}
        self._unknown = len(spread)
        counts = np.array([*spread.values(), 0])
        self._idf = np.log((1.0 + self._size) / (1.0 + counts)) + 1.0
        self._counts, self._starts = counts, np.cumsum(counts) - counts
        self._where = np.empty(counts.sum(), np.int64)
        """Which texts hold a gram: for each row of `_starts` as many as `_counts` says."""
        self._what = np.empty(counts.sum())
        free = self._starts.copy()
        for number, text in enumerate(texts):
            rows, weights = self._weigh(text)
            places = free[rows]
            self._where[places], self._what[places] = number, weights
            free[rows] += 1

    def like(self, text: Counter[str]) -> Array:
        """Shape (n,), in 0..1."""
        rows, weights = self._weigh(text)
        counts = self._counts[rows]
        last = np.cumsum(counts)
        places = np.repeat(self._starts[rows] + counts - last, counts) + np.arange(last[-1] if len(last) else 0)
        shares = np.repeat(weights, counts) * self._what[places]
        return np.asarray(np.bincount(self._where[places], shares, self._size), np.float64)

    def _weigh(self, text: Counter[str]) -> tuple[NDArray[np.int64], Array]:
        """(rows of its grams, the unit vector that their weights make)."""
        rows = np.array([self._rows.get(gram, self._unknown) for gram in text], np.int64)
        weights = self._idf[rows] * (1.0 + np.log(np.fromiter(text.values(), np.float64, len(text))))
        return rows, weights / (np.sqrt(weights @ weights) or 1.0)


class Meanings:
    """Unit vectors of texts out of a table of words; a word counts more the rarer it is in the language."""

    def __init__(self, vectors: WordVectors):
        self._vectors = vectors
        size = len(vectors.words)
        self._rarity = (np.log1p(np.arange(size) / _RANK) / np.log1p(size / _RANK)).astype(np.float32)

    def of(self, words: Iterable[str]) -> NDArray[np.float32] | None:
        """Shape (d,); None where the table holds no part of any word."""
        rows = [row for word in words for row in self._vectors.rows_of(word[:MOST_CHARS])]
        if not rows:
            return None
        vector: NDArray[np.float32] = self._rarity[rows] @ self._vectors.rows(rows)
        length = float(np.linalg.norm(vector))
        return vector / length if length else None


class Likeness:
    """like(text) -> shape (n,), how like it is to each of n texts, about 0..1: an inner product of unit vectors.

    embeddings: of the n texts by an encoder, shape (n, e), unit vectors; then `like` is given the text's own too.
    """

    def __init__(self, texts: Sequence[str], vectors: WordVectors, embeddings: NDArray[np.float32] | None = None):
        readings = [read(AskText(text)).words for text in texts]
        self._parts = GramIndex([all_parts(words) for words in readings])
        self._words = GramIndex([words_and_pairs(words) for words in readings])
        self._meanings = None if embeddings is not None else Meanings(vectors)
        self._weights = (PARTS, WORDS) if embeddings is None else (PARTS_BESIDE, WORDS_BESIDE)
        spelt = sum(self._weights)
        if self._meanings is not None:
            meant = [self._meanings.of(words) for words in readings]
            nothing = np.zeros(vectors.dimensions, np.float32)
            self._vectors = np.stack([nothing if vector is None else vector for vector in meant])
            self._lengths = np.sqrt([spelt + (VECTORS if vector is not None else 0.0) for vector in meant])
        else:
            assert embeddings is not None
            self._vectors = embeddings
            self._lengths = np.full(len(texts), sqrt(spelt + VECTORS))
        self.between = np.stack(
            [self._like(words, embedding) for words, embedding in self._known(readings, embeddings)]
        )
        """Each text to each, shape (n, n)."""

    def like(self, reading: Reading, embedding: NDArray[np.float32] | None = None) -> Array:
        return self._like(reading.words, embedding)

    def _like(self, words: Sequence[str], embedding: NDArray[np.float32] | None) -> Array:
        parts, whole = self._weights
        total = parts * self._parts.like(all_parts(words)) + whole * self._words.like(words_and_pairs(words))
        vector = embedding if self._meanings is None else self._meanings.of(words)
        weight = parts + whole
        if vector is not None:
            total += VECTORS * (self._vectors @ vector)
            weight += VECTORS
        return np.asarray(total / (self._lengths * sqrt(weight)), np.float64)

    @staticmethod
    def _known(
        readings: Sequence[Sequence[str]], embeddings: NDArray[np.float32] | None
    ) -> Iterable[tuple[Sequence[str], NDArray[np.float32] | None]]:
        return zip(readings, [None] * len(readings) if embeddings is None else embeddings, strict=True)
