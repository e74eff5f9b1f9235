"""Which language an ask is in: scripts where they tell, function words where they do not."""

from __future__ import annotations

import re
from typing import Final

from classifiers import function_words
from classifiers.reading import Reading

SCRIPT_LANGUAGES: Final = ("zh", "ja", "ko", "ar", "hi", "he", "el", "th")
LANGUAGES: Final = (*function_words.FUNCTION_WORDS, *SCRIPT_LANGUAGES, "other")

_AT: Final = {language: position for position, language in enumerate(LANGUAGES)}
_UKRAINIAN_LETTERS: Final = frozenset("іїєґІЇЄҐ")
_THAI: Final = re.compile("[\u0e00-\u0e7f]")
_SURE = 3.0
_NO_SCRIPTS: Final = (0.0,) * (len(LANGUAGES) - len(function_words.FUNCTION_WORDS))


def shares_of(read: Reading, votes: list[int]) -> list[float]:
    """A share for each of LANGUAGES, summing to one. votes: for each of FUNCTION_WORDS."""
    signs = read.signs
    if not signs.trailing:
        total = sum(votes) + 0.4
        return [(votes[0] + 0.4) / total, *[vote / total for vote in votes[1:]], *_NO_SCRIPTS]
    shares = [0.0] * len(LANGUAGES)
    foreign = signs.kana + signs.han + signs.hangul + signs.arabic + signs.hebrew + signs.greek + signs.indic
    if foreign > 0.4 * signs.letters:
        shares[_AT[_by_script(read)]] = 1.0
        return shares
    shares[: len(votes)] = votes
    shares[0] += 0.1
    if signs.cyrillic > signs.letters:
        shares[_AT["uk" if _UKRAINIAN_LETTERS & set(read.beyond) else "ru"]] += _SURE
    elif signs.marked or signs.latin1 or signs.vietnamese:
        letters = set(read.beyond)
        for marks, language in function_words.LATIN_MARKS.items():
            if not letters.isdisjoint(marks):
                shares[_AT[language]] += 1.5
    total = sum(shares)
    return [share / total for share in shares]


def _by_script(read: Reading) -> str:
    signs = read.signs
    kana = signs.kana - read.beyond.count("。") - read.beyond.count("、")
    counts = {
        "ja": signs.kana + signs.han if kana * 6 > signs.han else 0.0,
        "zh": signs.han + 0.5,
        "ko": signs.hangul,
        "ar": signs.arabic,
        "he": signs.hebrew,
        "el": signs.greek,
        "th": signs.indic if signs.indic and _THAI.search(read.text[:200]) else 0.0,
        "hi": signs.indic,
    }
    return max(counts, key=counts.__getitem__)
