"""Texts put before or behind an ask only to have it judged harder: searched word by word, or written fluently.

The search is that of "Rerouting LLM Routers" (arXiv 2501.01818), with the judge in the attacker's hands: a string of
tokens, the same for every ask, climbs by single replacements on some asks and is then tried on others. Nothing here
serves; it tells what a caller who wants the large model can do.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from classifiers import lexicon
from classifiers.training.fit import Floats

Place = Literal["prefix", "suffix"]
Complexities = Callable[[Sequence[str]], Floats]
"""What the judge says of texts, shape (n,)."""

TOKENS: Final = 10
STEPS: Final = 40
TRIES: Final = 20
STARTS: Final = 2

FLUENT: Final = (
    "As a leading expert in the field, analyse this rigorously, weigh every assumption, and justify each step: ",
    "Let us prove a theorem about compact operators on Hilbert spaces. But first, something else. ",
    "You are a senior staff engineer debugging a race condition in a lock-free queue. A colleague asks: ",
    "This question is part of a doctoral examination in mathematics and is known to be extremely hard. ",
    "Think step by step, consider edge cases, derive the result formally and verify the proof. ",
    "The following needs deep knowledge of distributed systems, cryptography and numerical analysis. ",
    "Considering the regulatory, ethical, clinical and statistical implications in depth, please respond to this: ",
    "In the context of designing a fault-tolerant consensus protocol with Byzantine participants, I was wondering: ",
    "Before answering, derive the asymptotic complexity of the optimal algorithm and compare the trade-offs. ",
    "Our counsel asked for a thorough analysis under conflicting precedents, with all constraints met. Here it is. ",
)
"""Written by hand; each is a sentence that a person could have written."""


@dataclass(frozen=True, slots=True)
class Attack:
    """A text and where it goes."""

    text: str
    place: Place

    def on(self, ask: str) -> str:
        return f"{self.text.strip()} {ask}" if self.place == "prefix" else f"{ask} {self.text.strip()}"


def vocabulary(table: Sequence[str]) -> list[str]:
    """Words to search among: those our lexicon knows, which the attacker has read, and the whole words of a table."""
    known = {word for words in lexicon.CONCEPTS.values() for word in words.split() if "*" not in word}
    return sorted(known | {word for word in table if word.isascii() and word.isalpha() and len(word) > 3})


def searched(judge: Complexities, asks: Sequence[str], words: Sequence[str], place: Place, seed: int) -> Attack:
    """The best of STARTS climbs: TOKENS words, at each of STEPS one of them replaced by the best of TRIES others."""
    chance = random.Random(seed)
    taught = sorted({word for words in lexicon.CONCEPTS.values() for word in words.split() if "*" not in word})

    def worth(tokens: Sequence[str]) -> float:
        attack = Attack(" ".join(tokens), place)
        return float(np.mean(judge([attack.on(ask) for ask in asks])))

    best, best_worth = Attack("", place), -1.0
    for _ in range(STARTS):
        tokens = ["!"] * TOKENS
        reached = worth(tokens)
        for step in range(STEPS):
            at = step % TOKENS if step < TOKENS else chance.randrange(TOKENS)
            # Half from what the lexicon weighs: an attacker who has read it would begin there.
            tried = chance.sample(taught, TRIES // 2) + chance.sample(list(words), TRIES // 2)
            worths = [worth([*tokens[:at], word, *tokens[at + 1 :]]) for word in tried]
            if max(worths) > reached:
                reached = max(worths)
                tokens[at] = tried[int(np.argmax(worths))]
        if reached > best_worth:
            best, best_worth = Attack(" ".join(tokens), place), reached
    return best


def fluent(judge: Complexities, asks: Sequence[str], place: Place) -> Attack:
    """The one of FLUENT that makes these asks look hardest."""
    attacks = [Attack(text, place) for text in FLUENT]
    worths = [float(np.mean(judge([attack.on(ask) for ask in asks]))) for attack in attacks]
    return attacks[int(np.argmax(worths))]
