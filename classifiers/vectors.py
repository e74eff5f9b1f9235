"""Static word vectors: one row a word or word piece, looked up and averaged. Made in training, carried by an artefact.

The vocabulary is that of a WordPiece tokenizer: whole words, and pieces (`##ing`) for words it does not hold.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

_PIECES_PER_WORD = 6


class WordVectors:
    """words: n entries, lower case. table: int8, shape (n, d). scale: float32, shape (d,), so that a unit is
    about one standard deviation of an average over a text."""

    def __init__(self, words: list[str], table: NDArray[np.int8], scale: NDArray[np.float32]):
        self.words, self.table, self.scale = words, table, scale
        self.dimensions = int(table.shape[1])
        self._row = {word: number for number, word in enumerate(words)}
        sha = hashlib.sha256("\n".join(words).encode())
        sha.update(np.ascontiguousarray(table).tobytes())
        sha.update(np.ascontiguousarray(scale, np.float32).tobytes())
        self.digest = sha.hexdigest()

    def mean_into(self, words: list[str], out: NDArray[np.float32]) -> float:
        """Write the scaled mean of the words' rows into `out`; returns the share of words known whole."""
        row = self._row
        rows: list[int] = []
        known = 0
        for word in words:
            number = row.get(word)
            if number is not None:
                rows.append(number)
                known += 1
            else:
                rows.extend(self._pieces(word))
        if not rows:
            out[:] = 0.0
            return 0.0
        total = self.table[rows].sum(axis=0, dtype=np.int32)
        np.multiply(total, self.scale / len(rows), out=out, casting="unsafe")
        np.clip(out, -8.0, 8.0, out=out)
        return known / len(words)

    def _pieces(self, word: str) -> list[int]:
        """Longest pieces first, as WordPiece does; what fits nowhere is left out."""
        found: list[int] = []
        start, prefix = 0, ""
        word = word[:24]
        while start < len(word) and len(found) < _PIECES_PER_WORD:
            for stop in range(len(word), start, -1):
                number = self._row.get(prefix + word[start:stop])
                if number is not None:
                    found.append(number)
                    start = stop
                    break
            else:
                start += 1
            prefix = "##"
        return found
