"""Which of some options a text belongs to: a score in 0..1 for each, learned from the options' own few texts.

An option is a description and some examples. The score of an option is that of kernel ridge regression on
`likeness` (which learns what parts the options from each other) plus how like the text is to the option's nearest text
and to all of them (which knows when a text is like none). What is a high score differs from one set of options to the
next, so it is put on a scale of their own (`calibrated`): 0.5 is where the best score of a text that belongs to an
option parts from that of one that belongs to none of them. Such are the examples with their option taken away, or asks
about anything (`strangers`), whichever is harder to tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from classifiers.contract import AskText
from classifiers.likeness import Array, Likeness
from classifiers.reading import read
from classifiers.strangers import STRANGERS
from classifiers.vectors import WordVectors

RIDGE: Final = 0.3
NEARNESS: Final = 0.5
"""How much likeness to an option's texts counts beside the regression."""

PRIOR_SLOPE, PRIOR_MIDDLE = 8.0, 0.4
"""What holds where there are no examples to learn it from; about what other sets of options came to."""
PRIOR_TEXTS: Final = 2.0
"""The prior counts as much as so many examples on either side."""
_PRIOR_SPREAD: Final = 0.2
_LEAST_SLOPE: Final = 2.0
_STEPS: Final = 20


class OptionTexts(Struct, frozen=True):
    """What is known of one option. description: about it, may be empty. examples: asks that belong to it."""

    description: str = ""
    examples: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        return (*([self.description] if self.description.strip() else []), *self.examples)


@dataclass(frozen=True, slots=True)
class Scale:
    """Puts raw scores into 0..1: `1 / (1 + exp(-slope * (raw - middle)))`."""

    slope: float = PRIOR_SLOPE
    middle: float = PRIOR_MIDDLE

    def of(self, raw: Array) -> Array:
        return np.asarray(1.0 / (1.0 + np.exp(-self.slope * (raw - self.middle))))


class Matcher:
    """scores(ask) -> shape (number of options,), in 0..1. Made once for a set of options; safe to share by threads.

    embeddings: by an encoder, of `texts_to_embed`; then `scores` wants the embedding of the ask's `text_of` too.
    """

    def __init__(
        self,
        options: Sequence[OptionTexts],
        vectors: WordVectors,
        embeddings: NDArray[np.float32] | None = None,
    ):
        texts = [text for option in options for text in option.all]
        self._options = len(options)
        self._owner = np.repeat(np.arange(len(options)), [len(option.all) for option in options])
        own = None if embeddings is None else embeddings[: len(texts)]
        self._likeness = Likeness(texts, vectors, own) if texts else None
        if self._likeness is None:
            self.scale = Scale()
            return
        self._belongs: Array = np.eye(self._options)[self._owner]
        self._asked = np.concatenate([_asked(option) for option in options])
        ridge = RIDGE * np.eye(len(texts))
        self._inverse: Array = np.asarray(np.linalg.inv(self._likeness.between + ridge), np.float64)
        self._learned = self._inverse @ self._belongs
        self._shares = self._belongs / np.maximum(self._belongs.sum(axis=0), 1.0)
        inside, outside = self.own_scores()
        strange = self._strangers(None if embeddings is None else embeddings[len(texts) :])
        self.scale = calibrated(inside, outside if len(outside) and outside.mean() > strange.mean() else strange)

    def scores(self, ask: AskText, embedding: NDArray[np.float32] | None = None) -> Array:
        """All 0 for a text that has nothing in common with any of the options, an empty one say."""
        if self._likeness is None:
            return np.zeros(self._options)
        like = self._likeness.like(read(ask), embedding)
        return self.scale.of(self.raw(like)) if like.any() else np.zeros(self._options)

    def raw(self, like: Array) -> Array:
        """Scores before they are put on the scale, of a text this like to each text of the options."""
        return np.asarray(like @ self._learned + NEARNESS * (self._nearest(like) + like @ self._shares))

    def own_scores(self) -> tuple[Array, Array]:
        """(best score of each example, read as if it were not among the texts; the same as if its option were not).

        Regression without some of the texts follows from the one with all of them (Rasmussen and Williams 2006, 5.4.2).
        """
        inside, outside = [], []
        for number in np.flatnonzero(self._asked).tolist():
            owner = self._owner[number]
            own = np.flatnonzero(self._owner == owner)
            if len(own) > 1:
                inside.append(self._without(number, np.array([number])).max())
            if self._options > 1:
                outside.append(np.delete(self._without(number, own), owner).max())
        return np.array(inside), np.array(outside)

    def _strangers(self, embeddings: NDArray[np.float32] | None) -> Array:
        """Best scores of asks about anything."""
        assert self._likeness is not None
        known = [None] * len(STRANGERS) if embeddings is None else embeddings
        likes = [
            self._likeness.like(read(AskText(text)), vector) for text, vector in zip(STRANGERS, known, strict=True)
        ]
        return np.array([self.raw(like).max() for like in likes])

    def _without(self, number: int, gone: NDArray[np.int64]) -> Array:
        """Raw scores of a text, with the texts `gone` (it is one of them) not there."""
        assert self._likeness is not None
        inner = self._inverse[np.ix_(gone, gone)]
        learned = self._belongs[gone] - np.linalg.solve(inner, self._learned[gone])
        like, there = self._likeness.between[number].copy(), np.ones(len(self._owner))
        like[gone] = there[gone] = 0.0
        near = self._nearest(like) + like @ self._belongs / np.maximum(there @ self._belongs, 1.0)
        return np.asarray(learned[gone == number][0] + NEARNESS * near)

    def _nearest(self, like: Array) -> Array:
        nearest = np.zeros(self._options)
        np.maximum.at(nearest, self._owner, like)
        return nearest


def texts_to_embed(options: Sequence[OptionTexts]) -> list[str]:
    """What an encoder has to embed before options can be matched by it."""
    return [*(text for option in options for text in option.all), *STRANGERS]


def text_of(ask: AskText) -> str:
    """What is matched of an ask: its last turn, with the turn before where it only makes sense so."""
    return read(ask).text


def _asked(option: OptionTexts) -> NDArray[np.bool_]:
    """Which of an option's texts read as asks do."""
    return np.array([False] * (len(option.all) - len(option.examples)) + [True] * len(option.examples), bool)


def calibrated(inside: Array, outside: Array) -> Scale:
    """The logistic curve that parts scores of what belongs from scores of what does not, both counted alike.

    Fitted by Newton's method; the prior takes part as texts of its own, so that a few examples cannot run away.
    """
    if not len(inside):
        return Scale()
    texts = len(inside) + len(outside)
    apart = np.array([-_PRIOR_SPREAD, _PRIOR_SPREAD])
    raw = np.concatenate([inside, outside, PRIOR_MIDDLE + apart])
    target = np.concatenate([np.ones(len(inside)), np.zeros(len(outside)), 1.0 / (1.0 + np.exp(-PRIOR_SLOPE * apart))])
    weight = np.repeat([texts / 2 / len(inside), texts / 2 / len(outside), PRIOR_TEXTS], [len(inside), len(outside), 2])
    columns = np.column_stack([raw, np.ones(len(raw))])
    line = np.array([PRIOR_SLOPE, -PRIOR_SLOPE * PRIOR_MIDDLE])
    for _ in range(_STEPS):
        told = 1.0 / (1.0 + np.exp(-np.clip(columns @ line, -30.0, 30.0)))
        pull = columns.T @ (weight * (target - told))
        curve = (columns * (weight * told * (1.0 - told))[:, None]).T @ columns + 1e-6 * np.eye(2)
        step = np.linalg.solve(curve, pull)
        line = line + step * min(1.0, 5.0 / max(1e-9, float(np.abs(step).max())))
    slope = max(_LEAST_SLOPE, float(line[0]))
    return Scale(slope, float(-line[1] / line[0]) if line[0] >= _LEAST_SLOPE else float(np.median(raw[:texts])))
