"""Static word vectors: one row a word or word piece, looked up and averaged. Made in training, carried by an artefact.

The vocabulary is that of a WordPiece tokenizer: whole words, and pieces (`##ing`) for words it does not hold.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

BOUND = 8.0
PIECES_PER_WORD = 6


class WordVectors:
    """words: n entries, lower case. table: int8, shape (n, d). scale: float32, shape (d,), so that a unit is
    about one standard deviation of an average over a text."""

    def __init__(self, words: list[str], table: NDArray[np.int8], scale: NDArray[np.float32]):
        self.words, self.table, self.scale = words, table, scale
        self.dimensions = int(table.shape[1])
        sha = hashlib.sha256("\n".join(words).encode())
        sha.update(np.ascontiguousarray(table).tobytes())
        sha.update(np.ascontiguousarray(scale, np.float32).tobytes())
        self.digest = sha.hexdigest()
        self._rows = np.clip(table * scale, -BOUND, BOUND).astype(np.float32)
        self.vocabulary = {word: number for number, word in enumerate(words)}
        self._longest: dict[str, int] = {}
        for word in words:
            first = word[:3] if word.startswith("##") else word[:1]
            self._longest[first] = max(len(word), self._longest.get(first, 0))

    def mean_into(self, rows: bytes, out: NDArray[np.float32]) -> None:
        """Write the mean of the rows, packed as int64, into `out`, shape (d,); zeros where there are none."""
        taken = self._rows.take(np.frombuffer(rows, np.int64), axis=0)
        np.multiply(np.add.reduce(taken), 1.0 / max(1, len(taken)), out)

    def rows(self, numbers: list[int]) -> NDArray[np.float32]:
        """These rows, shape (len(numbers), d)."""
        rows: NDArray[np.float32] = self._rows.take(numbers, axis=0)
        return rows

    def rows_of(self, word: str) -> tuple[int, ...]:
        """One row for a word of the vocabulary, else those of its pieces."""
        whole = self.vocabulary.get(word)
        return self._cut(word) if whole is None else (whole,)

    def _cut(self, word: str) -> tuple[int, ...]:
        """Longest pieces first, as WordPiece does; what fits nowhere is left out."""
        found: list[int] = []
        start, prefix = 0, ""
        while start < len(word) and len(found) < PIECES_PER_WORD:
            # A run of Chinese is one word and hardly ever the same again, so most letters must cost one look-up only.
            longest = self._longest.get(prefix + word[start], 0) - len(prefix)
            for stop in range(min(len(word), start + longest), start, -1):
                number = self.vocabulary.get(prefix + word[start:stop])
                if number is not None:
                    found.append(number)
                    start = stop
                    break
            else:
                start += 1
            prefix = "##"
        return tuple(found)


VECTOR_FILES = ("vector_words.npy", "vector_table.npy", "vector_scale.npy")


def save_vectors(vectors: WordVectors, folder: Path) -> None:
    """Three arrays: the words as UTF-8 lines, the table, the scale."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / VECTOR_FILES[0], np.frombuffer("\n".join(vectors.words).encode(), np.uint8), allow_pickle=False)
    np.save(folder / VECTOR_FILES[1], vectors.table, allow_pickle=False)
    np.save(folder / VECTOR_FILES[2], vectors.scale, allow_pickle=False)


def load_vectors(folder: Path) -> WordVectors:
    """What `save_vectors` wrote. Raises OSError or ValueError; an artefact checks its files before this is called."""
    lines, table, scale = (np.load(folder / name, allow_pickle=False) for name in VECTOR_FILES)
    return WordVectors(lines.tobytes().decode().split("\n"), table, scale)
