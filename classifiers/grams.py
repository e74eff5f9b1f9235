"""What single words say of an ask, learned from prompts: a hashed table whose rows are added up, one column an opinion.

Word vectors blur which word stood there; here each word, and once more each word of the opening, votes for itself, and
so do the pairs of the opening and how an ask begins. In scripts without spaces characters and pairs of them take the
place of words.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from operator import add
from pathlib import Path
from typing import Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from classifiers.reading import Reading
from classifiers.vectors import BOUND

BUCKETS: Final = 1 << 17
"""Rows. With a quarter of them words fell together so often that one task in a hundred was named wrongly for it."""
_LAST: Final = BUCKETS - 1
LEAD_WORDS: Final = 4
OPENING_WORDS: Final = 6
MOST_CHARS: Final = 48
"""Of a run without spaces."""
LONGEST_WORD: Final = 24
"""Letters of a word that count; `classifiers.words` knows longer ones by these alone."""

_LEAD, _PAIR, _CHAR = 1, 2, 3
"""What kind of gram it is, as the seed of its hash; a word's own is 0."""
_FIRST, _SECOND, _THIRD = 40503, 30011, 52021
"""What rows of words in a row are multiplied by before they are added up to a row of their own."""
_ONE, _TWO, _THREE, _NEXT = 0x1357, 0x2468, 0x369B, 0x48C1
"""Added to that: how an ask begins (by one word, two, three), and pairs anywhere in the opening."""


class GramTable:
    """table: int8, shape (BUCKETS, c). scale: float32, shape (c,), so that a unit is about one standard deviation."""

    def __init__(self, table: NDArray[np.int8], scale: NDArray[np.float32]):
        self.table, self.scale = table, scale
        self.columns = int(table.shape[1])
        sha = hashlib.sha256(np.ascontiguousarray(table).tobytes())
        sha.update(np.ascontiguousarray(scale, np.float32).tobytes())
        self.digest = sha.hexdigest()

    def opinions_into(self, buckets: list[int], out: NDArray[np.float32]) -> None:
        """Write the opinions of these rows (see `buckets_of`) into `out`, shape (c,)."""
        if buckets:
            # Rows stay int8: four times as many of them fit into the processor's cache. The sum is exact.
            said = np.add.reduce(self.table.take(buckets, axis=0), dtype=np.float32)
            said *= self.scale
            np.multiply(said, len(buckets) ** -0.5, out)
            out.clip(-BOUND, BOUND, out)
        else:
            out[:] = 0.0

    def opinions(self, buckets: Iterable[list[int]]) -> NDArray[np.float32]:
        """The same for many readings whose buckets are known, shape (n, c)."""
        found = list(buckets)
        columns = np.empty((len(found), self.columns), np.float32)
        for rows, out in zip(found, columns, strict=True):
            self.opinions_into(rows, out)
        return columns


def grams_of(word: str) -> tuple[int, int]:
    """(row of a word, its row where it stands in the opening). Only the head of a long word counts."""
    spelt = word[:LONGEST_WORD].encode("utf-8", "surrogatepass")
    return crc32(spelt) & _LAST, crc32(spelt, _LEAD) & _LAST


def opening_of(words: Sequence[int]) -> list[int]:
    """Rows of how an ask begins (its first word, two and three) and of the pairs in its opening.

    words: rows of its first OPENING_WORDS words, in their order, or of fewer.
    """
    found = [(one * _FIRST + other * _SECOND + _NEXT) & _LAST for one, other in pairwise(words)]
    if words:
        begun = words[0] * _FIRST
        found.append((begun + _ONE) & _LAST)
        if len(words) > 1:
            begun += words[1] * _SECOND
            found.append((begun + _TWO) & _LAST)
            if len(words) > 2:
                found.append((begun + words[2] * _THIRD + _THREE) & _LAST)
    return found


def buckets_of(read: Reading) -> list[int]:
    """Rows of the table that a reading names, each once, in order."""
    words = read.words
    if not read.signs.spaceless:
        pairs = [grams_of(word) for word in words]
        rows = [gram for gram, _ in pairs]
        return sorted({*rows, *(lead for _, lead in pairs[:LEAD_WORDS]), *opening_of(rows[:OPENING_WORDS])})
    found: set[int] = set()
    for number, word in enumerate(words):
        if word.isascii():
            found.update(grams_of(word)[: 2 if number < LEAD_WORDS else 1])
            continue
        run = word[:MOST_CHARS]
        found.update(map(_bucket, run))
        found.update(map(_bucket, map(add, run, run[1:])))
    return sorted(found)


@lru_cache(maxsize=1 << 14)
def _bucket(chars: str) -> int:
    """Of one character or of two in a row. Remembered: the same few thousand make up a language."""
    return crc32(chars.encode("utf-8", "surrogatepass"), _PAIR if len(chars) == 2 else _CHAR) & _LAST


GRAM_FILES: Final = ("gram_table.npy", "gram_scale.npy")


def save_grams(grams: GramTable, folder: Path) -> None:
    """Two arrays: the table, the scale."""
    np.save(folder / GRAM_FILES[0], grams.table, allow_pickle=False)
    np.save(folder / GRAM_FILES[1], grams.scale, allow_pickle=False)


def load_grams(folder: Path) -> GramTable:
    """What `save_grams` wrote. Raises OSError or ValueError; an artefact checks its files before this is called."""
    table, scale = (np.load(folder / name, allow_pickle=False) for name in GRAM_FILES)
    fits = table.ndim == 2 and table.shape[0] == BUCKETS and table.dtype == np.int8 and scale.shape == table.shape[1:]
    if not fits or scale.dtype != np.float32 or not np.isfinite(scale).all():
        raise ValueError("the table of grams does not fit")
    return GramTable(table, scale)
