"""The judge without an artefact: a handful of rules a reader can check. It serves on the first day and on the worst.

It knows nothing of single models: every small model gets the same quality, every other one the large one's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from classifiers import features
from classifiers.contract import AskText, Assessment, ModelCard
from classifiers.tasks import HINTS

_COLUMN = {name: number for number, name in enumerate(features.names())}

_WEIGHTS = {
    # What weighs an ask up, in logits; every word of the left side is a column of `features.names()`.
    "units": 0.35,
    "hard_words": 0.55,
    "hard_density": 0.45,
    "lead_hard": 0.35,
    "short_and_hard": 0.35,
    "asks_proof_of_maths": 0.9,
    "says:systems": 0.7,
    "says:science": 0.5,
    "says:maths": 0.4,
    "says:depth": 0.4,
    "says:build": 0.3,
    "longest_words": 0.35,
    "code_fence": 0.3,
    "code_look": 0.25,
    "latex": 0.5,
    "maths_signs": 0.7,
    "options": 0.4,
    "traceback": 0.3,
    # What weighs it down.
    "easy_words": -0.35,
    "easy_density": -0.5,
    "lead_easy": -0.45,
    "lead:translate": -0.8,
    "lead:greet": -0.6,
    "lead:thanks": -1.2,
    "lead:rewrite": -0.6,
    "lead:summarise": -0.3,
    "lead:classify": -0.3,
    "says:brief": -0.4,
    "says:everyday": -0.4,
    "long_and_light_task": -1.0,
    "very_short": -0.8,
}
_BIAS = -2.6
_LARGE_GAIN = 2.0
"""Logits by which a large model is better. A guess: only an artefact has measured it."""


class HeuristicClassifier:
    """Rules only: no artefact, no features for the ledger, never raises."""

    def __init__(self) -> None:
        self._featurise = features.FeatureFunction()

    @property
    def name(self) -> str:
        return "heuristic@1"

    @property
    def features_digest(self) -> str | None:
        return None

    def assess(self, ask: AskText, models: Sequence[ModelCard]) -> Assessment:
        vector = self._featurise(ask)
        logit = _BIAS + sum(weight * float(vector[_COLUMN[name]]) for name, weight in _WEIGHTS.items())
        logit = min(max(logit, -6.0), 6.0)
        small, large = _share(-logit), _share(_LARGE_GAIN - logit)
        return Assessment(
            complexity=1.0 - small,
            quality={card.name: small if card.tier == "small" else large for card in models},
            gain=large - small,
            support=0.0,
            task=_task(vector),
            language=features.language_of(vector),
            classifier=self.name,
        )


def rule(size: int) -> features.Vector:
    """The rules as one linear function of a feature vector, shape (size,): logits by which an ask is harder."""
    weights = np.zeros(size, np.float32)
    for name, weight in _WEIGHTS.items():
        weights[_COLUMN[name]] = weight
    return weights


def _task(vector: features.Vector) -> str:
    for place in ("lead", "says"):
        for concept, task in HINTS:
            if vector[_COLUMN[f"{place}:{concept}"]] > 0:
                return task
    if vector[_COLUMN["code_look"]] > 0:
        return "code"
    return "chat"


def _share(logit: float) -> float:
    return 1.0 / (1.0 + math.exp(-logit))
