"""The judge that learned: one feature vector, one matrix-vector product, a few corrections. numpy only.

How the arrays came to be is told by `classifiers.training`. Every head is a function of the feature vector alone, so
that what the ledger keeps is enough to train the next artefact.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, sqrt
from pathlib import Path

import numpy as np

from classifiers.artefact import Artefact, load_artefact, load_default
from classifiers.contract import AskText, Assessment, ModelCard
from classifiers.features import STRANGE_COLUMN, Vector, language_of

TRUST_FLOOR = 0.6
"""How much of a head's own opinion is kept for an ask with no support at all; the rest is the prior's."""
_MOST_LOGIT = 7.0


class LearnedClassifier:
    """`name` is `fast@digest`. Keep one instance; it is safe to share between threads."""

    def __init__(self, artefact: Artefact):
        self.artefact = artefact
        self._featurise = artefact.featurise
        self._first_model = 2 + len(artefact.tasks)
        self._model_rows = {model.lower(): self._first_model + number for number, model in enumerate(artefact.models)}
        self._weights = np.ascontiguousarray(artefact.heads[:, :-1])
        self._biases = np.ascontiguousarray(artefact.heads[:, -1])
        self._mean = artefact.support_mean
        self._per_spread = (1.0 / (artefact.support_spread * sqrt(len(artefact.support_mean)))).astype(np.float32)
        self._near, self._far = (float(knot) for knot in artefact.support_knots)
        self._prior_logits = np.log(artefact.priors / (1.0 - artefact.priors)).tolist()
        self._name = f"fast@{artefact.digest}"

    @classmethod
    def load(cls, folder: Path | None = None) -> LearnedClassifier:
        """From a folder, or the artefact that ships. Raises ArtefactError."""
        return cls(load_default() if folder is None else load_artefact(folder))

    @property
    def name(self) -> str:
        return self._name

    @property
    def features_digest(self) -> str | None:
        return self._featurise.digest

    def assess(self, ask: AskText, models: Sequence[ModelCard]) -> Assessment:
        return self.assess_features(self._featurise(ask), models)

    def assess_features(self, vector: Vector, models: Sequence[ModelCard]) -> Assessment:
        """Judge a vector that was logged before; the same answer as for the ask it was made from."""
        products: list[float] = (self._weights.dot(vector) + self._biases).tolist()
        support = self._support(vector)
        tasks = products[2 : self._first_model]
        task = tasks.index(max(tasks))
        trust = TRUST_FLOOR + (1.0 - TRUST_FLOOR) * support
        small_prior, large_prior = self._prior_logits[0][task], self._prior_logits[1][task]
        small = _share(trust * products[0] + (1.0 - trust) * small_prior)
        large = _share(trust * products[1] + (1.0 - trust) * large_prior)
        quality = {}
        for card in models:
            own = self._model_rows.get(card.model.lower())
            if own is not None:
                prior = small_prior if card.tier == "small" else large_prior
                quality[card.name] = _share(trust * products[own] + (1.0 - trust) * prior)
            else:
                quality[card.name] = small if card.tier == "small" else large
        return Assessment(
            complexity=1.0 - small,
            quality=quality,
            gain=large - small,
            support=support,
            task=self.artefact.tasks[task],
            language=language_of(vector),
            classifier=self._name,
            features=vector,
        )

    def _support(self, vector: Vector) -> float:
        """How like the training data: near enough in every column, and in words that somebody taught us."""
        away = (vector - self._mean) * self._per_spread
        near = (self._far - float(away.dot(away))) / (self._far - self._near)
        return max(0.0, min(1.0, near) * (1.0 - vector.item(STRANGE_COLUMN)))


def _share(logit: float) -> float:
    if logit > _MOST_LOGIT:
        logit = _MOST_LOGIT
    elif logit < -_MOST_LOGIT:
        logit = -_MOST_LOGIT
    return 1.0 / (1.0 + exp(-logit))
