"""Counts the signs of a text by kind, from the histogram of its UTF-8 bytes: one pass in C, whatever the length.

The lead byte of a UTF-8 sequence tells the script (Unicode 17, table 3-6), which is close enough for a judge and many
times cheaper than looking at characters one by one.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Signs(NamedTuple):
    """How many of each kind. Scripts are counted in characters, all else in bytes."""

    newlines: float
    spaces: float
    digits: float
    capitals: float
    letters: float
    stops: float
    questions: float
    exclamations: float
    operators: float
    equals: float
    brackets: float
    quotes: float
    apostrophes: float
    commas: float
    colons: float
    semicolons: float
    backticks: float
    backslashes: float
    dollars: float
    braces: float
    pipes: float
    angles: float
    marked: float
    greek: float
    cyrillic: float
    hebrew: float
    arabic: float
    indic: float
    kana: float
    han: float
    hangul: float
    emoji: float
    latin1: float
    vietnamese: float
    symbols: float
    beyond_ascii: float


_KINDS: Final[dict[str, bytes]] = {
    "newlines": b"\n",
    "spaces": b" ",
    "digits": b"0123456789",
    "capitals": bytes(range(0x41, 0x5B)),
    "letters": bytes((*range(0x41, 0x5B), *range(0x61, 0x7B))),
    "stops": b".",
    "questions": b"?",
    "exclamations": b"!",
    "operators": b"=+*/^<>%|&~\\",
    "equals": b"=",
    "brackets": b"([{",
    "quotes": b'"',
    "apostrophes": b"'",
    "commas": b",",
    "colons": b":",
    "semicolons": b";",
    "backticks": b"`",
    "backslashes": b"\\",
    "dollars": b"$",
    "braces": b"{",
    "pipes": b"|",
    "angles": b"<>",
    "marked": bytes(range(0xC3, 0xC6)),
    "greek": bytes((0xCE, 0xCF)),
    "cyrillic": bytes(range(0xD0, 0xD4)),
    "hebrew": bytes((0xD6, 0xD7)),
    "arabic": bytes(range(0xD8, 0xDC)),
    "indic": bytes((0xE0,)),  # and Thai
    "kana": bytes((0xE3,)),  # and the full stop of East Asian scripts
    "han": bytes(range(0xE4, 0xEA)),
    "hangul": bytes(range(0xEA, 0xEE)),
    "emoji": bytes((0xF0,)),
    "latin1": bytes((0xC2,)),
    "vietnamese": bytes((0xE1,)),
    "symbols": bytes((0xE2,)),
    "beyond_ascii": bytes(range(0x80, 0x100)),
}


def _matrix() -> NDArray[np.float32]:
    matrix = np.zeros((256, len(Signs._fields)), np.float32)
    for column, name in enumerate(Signs._fields):
        matrix[list(_KINDS[name]), column] = 1.0
    return matrix


_MATRIX: Final = _matrix()


def signs_of(text: str) -> Signs:
    """Count. Lone surrogates are counted as what their bytes look like."""
    octets = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)
    counts = np.bincount(octets, minlength=256).astype(np.float32)
    return Signs(*(counts @ _MATRIX).tolist())
