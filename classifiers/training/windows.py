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

    Vectors of another feature function are left out, and with them their scores. Scores and tasks are what the artefact
    makes of the vectors, so that another judge is no drift; the task is the logged one where there is no such vector.
    """
    digest, size = artefact.featurise.digest, artefact.featurise.size
    judge = LearnedClassifier(artefact)
    vectors, scores, tasks = [], [], []
    for row in logged:
        task = row.task
        if row.features is not None and row.features_digest == digest and row.features.shape == (size,):
            vectors.append(np.nan_to_num(row.features))
            assessed = judge.assess_features(vectors[-1], ())
            scores.append(assessed.complexity)
            task = assessed.task
        tasks.append(task)
    labels = [found[0] for row in logged if (found := combined(row.labels)) is not None]
    return Window(
        np.stack(vectors) if vectors else None,
        digest if vectors else None,
        tuple(tasks),
        _numbers(scores),
        _numbers(labels),
        _numbers(gains),
    )


def _numbers(values: Sequence[float]) -> Numbers:
    return np.array(values, dtype=np.float64)
