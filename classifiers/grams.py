"""What single words say of an ask, learned from prompts: a hashed table whose rows are added up, one column an opinion.

Word vectors blur which word stood there; here each word, and once more each word of the opening, votes for itself. In
scripts without spaces characters and pairs of them take the place of words.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from operator import add
from pathlib import Path
from typing import Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from classifiers.reading import Reading
from classifiers.vectors import BOUND

BUCKETS: Final = 1 << 15
LEAD_WORDS: Final = 4
MOST_CHARS: Final = 48
"""Of a run without spaces."""
LONGEST_WORD: Final = 24
"""Letters of a word that count; `classifiers.words` knows longer ones by these alone."""

_LEAD, _PAIR, _CHAR = 1, 2, 3
"""What kind of gram it is, as the seed of its hash; a word's own is 0."""


class GramTable:
    """table: int8, shape (BUCKETS, c). scale: float32, shape (c,), so that a unit is about one standard deviation."""

    def __init__(self, table: NDArray[np.int8], scale: NDArray[np.float32]):
        self.table, self.scale = table, scale
        self.columns = int(table.shape[1])
        sha = hashlib.sha256(np.ascontiguousarray(table).tobytes())
        sha.update(np.ascontiguousarray(scale, np.float32).tobytes())
        self.digest = sha.hexdigest()
        self._rows = np.ascontiguousarray(table * scale, np.float32)

    def opinions_into(self, buckets: list[int], out: NDArray[np.float32]) -> None:
        """Write the opinions of these rows (see `buckets_of`) into `out`, shape (c,)."""
        if buckets:
            np.multiply(np.add.reduce(self._rows.take(buckets, axis=0)), len(buckets) ** -0.5, out)
            out.clip(-BOUND, BOUND, out)
        else:
            out[:] = 0.0

    def opinions(self, buckets: Iterable[list[int]]) -> NDArray[np.float32]:
        """The same for many readings whose buckets are known, shape (n, c)."""
        rows = [self._rows.take(found, axis=0).sum(axis=0) * max(1, len(found)) ** -0.5 for found in buckets]
        columns: NDArray[np.float32] = np.clip(np.stack(rows), -BOUND, BOUND).astype(np.float32)
        return columns


def grams_of(word: str) -> tuple[int, int]:
    """(row of a word, its row where it stands in the opening). Only the head of a long word counts."""
    spelt = word[:LONGEST_WORD].encode("utf-8", "surrogatepass")
    return crc32(spelt) & (BUCKETS - 1), crc32(spelt, _LEAD) & (BUCKETS - 1)


def buckets_of(read: Reading) -> list[int]:
    """Rows of the table that a reading names, each once, in order."""
    words = read.words
    if not read.signs.spaceless:
        pairs = [grams_of(word) for word in words]
        return sorted({*(gram for gram, _ in pairs), *(lead for _, lead in pairs[:LEAD_WORDS])})
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
    return crc32(chars.encode("utf-8", "surrogatepass"), _PAIR if len(chars) == 2 else _CHAR) & (BUCKETS - 1)


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
