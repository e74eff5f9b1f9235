"""The judge that learned: one feature vector, one matrix-vector product, a few corrections. numpy only.

How the arrays came to be is told by `classifiers.training`. Every head is a function of the feature vector alone, so
that what the ledger keeps is enough to train the next artefact.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import exp
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from classifiers.artefact import Artefact, load_artefact, load_default
from classifiers.contract import AskText, Assessment, ModelCard
from classifiers.courtesy import without_courtesies
from classifiers.features import STRANGE_COLUMN, Vector, language_of
from classifiers.gadgets import readings_without

TRUST_FLOOR = 0.6
"""How much of a head's own opinion is kept for an ask with no support at all; the rest is the prior's."""
FAR = 4.0
"""Spreads from the mean beyond which a single column no longer counts against support."""
_MOST_LOGIT = 7.0


class LearnedClassifier:
    """`name` is `fast@digest`, or `encoder@digest`. Keep one instance; it is safe to share between threads."""

    def __init__(self, artefact: Artefact):
        self.artefact = artefact
        self._featurise = artefact.featurise
        heads = artefact.heads
        self._first_own = 5 + len(artefact.tasks)
        first_model = self._first_own + 2
        self._model_rows = {model.lower(): first_model + number for number, model in enumerate(artefact.models)}
        rows = (artefact.worlds[:, :-1], artefact.task_heads[:, :-1], heads[:, :-2])
        self._weights = np.ascontiguousarray(np.vstack(rows))
        self._biases = np.concatenate([artefact.worlds[:, -1], artefact.task_heads[:, -1], heads[:, -1]])
        self._generic = dict(enumerate(heads[:, -2].tolist(), self._first_own))
        """By row of a head: how much of its tier's generic logit it takes."""
        self._of_small = {first_model + number for number, tier in enumerate(artefact.tiers) if tier == "small"}
        self._mean = artefact.support_mean
        self._per_spread = (1.0 / artefact.support_spread).astype(np.float32)
        self._centres = np.ascontiguousarray(artefact.support_centres)
        self._centre_lengths = (self._centres * self._centres).sum(axis=1)
        self._near, self._far = (float(knot) * len(self._mean) for knot in artefact.support_knots)
        self._prior_logits = np.log(artefact.priors / (1.0 - artefact.priors)).tolist()
        self._name = f"{artefact.tier}@{artefact.digest}"
        self._features_digest = artefact.featurise.digest

    @classmethod
    def load(cls, folder: Path | None = None) -> LearnedClassifier:
        """From a folder, or the artefact that ships. Raises ArtefactError."""
        return cls(load_default() if folder is None else load_artefact(folder))

    @property
    def name(self) -> str:
        return self._name

    @property
    def features_digest(self) -> str | None:
        return self._features_digest

    def assess(self, ask: AskText, models: Sequence[ModelCard]) -> Assessment:
        return self.assess_readings([self._featurise(reading) for reading in self.readings(ask)], models)

    @staticmethod
    def readings(ask: AskText) -> list[AskText]:
        """The ask alone, and other ways to read it where it holds what may have been put there to push it."""
        ask = without_courtesies(ask)
        return [ask, *(replace(ask, text=other) for other in readings_without(ask.text))]

    def assess_readings(self, vectors: Iterable[Vector], models: Sequence[ModelCard]) -> Assessment:
        """The easiest of the readings whose vectors these are."""
        first, *others = (self.assess_features(vector, models) for vector in vectors)
        return min(first, *others, key=_complexity) if others else first

    def assess_features(self, vector: Vector, models: Sequence[ModelCard]) -> Assessment:
        """Judge a vector that was logged before; the same answer as for the ask it was made from."""
        products: list[float] = (self._weights.dot(vector) + self._biases).tolist()
        first_own = self._first_own
        chat_small, chat_large, exam_small, exam_large, is_chat = products[:5]
        chat = _share(is_chat)
        generic_small = exam_small + chat * (chat_small - exam_small)
        generic_large = exam_large + chat * (chat_large - exam_large)
        tasks = products[5:first_own]
        task = tasks.index(max(tasks))
        support = self._support(vector)
        trust = TRUST_FLOOR + (1.0 - TRUST_FLOOR) * support
        small_prior, large_prior = self._priors(chat, task, 1.0 - trust)
        taken = self._generic
        small = _share(trust * (products[first_own] + taken[first_own] * generic_small) + small_prior)
        large = _share(trust * (products[first_own + 1] + taken[first_own + 1] * generic_large) + large_prior)
        quality = {}
        for card in models:
            own = self._model_rows.get(card.model.lower())
            if own is None:
                quality[card.name] = small if card.tier == "small" else large
            elif own in self._of_small:
                quality[card.name] = _share(trust * (products[own] + taken[own] * generic_small) + small_prior)
            else:
                quality[card.name] = _share(trust * (products[own] + taken[own] * generic_large) + large_prior)
        return Assessment(
            complexity=1.0 - small,
            quality=quality,
            gain=large - small,
            support=support,
            task=self.artefact.tasks[task],
            language=language_of(vector),
            classifier=self._name,
            features=vector,
            features_digest=self._features_digest,
        )

    def _priors(self, chat: float, task: int, distrust: float) -> tuple[float, float]:
        """What is put in the place of trust: logits of the small and of the large model for a task, as worlds mix."""
        chat_small, chat_large, exam_small, exam_large = (by_task[task] for by_task in self._prior_logits)
        small = exam_small + chat * (chat_small - exam_small)
        large = exam_large + chat * (chat_large - exam_large)
        return distrust * small, distrust * large

    def _support(self, vector: Vector) -> float:
        """How like the training data: near to one of its centres, and in words that somebody taught us."""
        place = ((vector - self._mean) * self._per_spread).clip(-FAR, FAR)
        away = float(place.dot(place)) + float((self._centre_lengths - 2.0 * self._centres.dot(place)).min())
        near = (self._far - away) / (self._far - self._near)
        return max(0.0, min(1.0, near) * (1.0 - vector.item(STRANGE_COLUMN)))


def _complexity(assessment: Assessment) -> float:
    return assessment.complexity


def _share(logit: float) -> float:
    if logit > _MOST_LOGIT:
        logit = _MOST_LOGIT
    elif logit < -_MOST_LOGIT:
        logit = -_MOST_LOGIT
    return 1.0 / (1.0 + exp(-logit))
