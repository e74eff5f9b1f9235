"""Logged requests as a window for `drift`: what an artefact reads of them, and what labels say. For reference and for
today alike, so that both are made in one way.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from classifiers.artefact import Artefact
from classifiers.contract import LoggedDecision
from classifiers.learned import LearnedClassifier
from classifiers.training.drift import Numbers, Window
from classifiers.training.labels import combined


def window_of(logged: Sequence[LoggedDecision], artefact: Artefact, gains: Sequence[float] = ()) -> Window:
    """gains: of audited requests, quality of the large model less that of the small one.

    Vectors of another feature function are left out, and with them their scores; tasks are those that were logged.
    """
    digest, size = artefact.featurise.digest, artefact.featurise.size
    vectors = [
        np.nan_to_num(row.features)
        for row in logged
        if row.features is not None and row.features_digest == digest and row.features.shape == (size,)
    ]
    judge = LearnedClassifier(artefact)
    scores = [judge.assess_features(vector, ()).complexity for vector in vectors]
    labels = [found[0] for row in logged if (found := combined(row.labels)) is not None]
    return Window(
        np.stack(vectors) if vectors else None,
        digest if vectors else None,
        tuple(row.task for row in logged),
        _numbers(scores),
        _numbers(labels),
        _numbers(gains),
    )


def _numbers(values: Sequence[float]) -> Numbers:
    return np.array(values, dtype=np.float64)
