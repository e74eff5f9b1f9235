"""Asks a judge about many texts at once: what an encoder reads in batches is not read one by one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifiers.contract import AskText, Assessment, Classifier
from classifiers.courtesy import without_courtesies
from classifiers.gadgets import readings_without
from classifiers.learned import LearnedClassifier

TIMED: Final = 300
"""Asks whose judging is timed, one at a time."""


def assess_all(
    classifier: Classifier, asks: Sequence[AskText], vectors: NDArray[np.float32] | None = None
) -> list[Assessment]:
    """What `assess` says of each. vectors: of these asks, by the judge's own feature function, where they are known."""
    if not isinstance(classifier, LearnedClassifier):
        return [classifier.assess(ask, ()) for ask in asks]
    if vectors is None:
        vectors = classifier.artefact.featurise.many(asks)
    return [
        classifier.assess_features(vector, ()) if _read_as_it_is(ask) else classifier.assess(ask, ())
        for ask, vector in zip(asks, vectors, strict=True)
    ]


def assess_undefended(classifier: Classifier, asks: Sequence[AskText]) -> list[Assessment]:
    """The same with every text read just as it is: without the defences of `classifiers.gadgets` and `courtesy`."""
    if not isinstance(classifier, LearnedClassifier):
        return [classifier.assess(ask, ()) for ask in asks]
    return [classifier.assess_features(vector, ()) for vector in classifier.artefact.featurise.many(asks)]


def _read_as_it_is(ask: AskText) -> bool:
    return without_courtesies(ask) is ask and not readings_without(ask.text)


def cpu_milliseconds(classifier: Classifier, asks: Sequence[AskText]) -> tuple[float, float]:
    """(p50, p99) of one assessment, of up to TIMED asks; all threads, since encoders have some of their own."""
    taken = []
    for ask in asks[:TIMED]:
        begun = time.process_time_ns()
        classifier.assess(ask, ())
        taken.append((time.process_time_ns() - begun) / 1e6)
    p50, p99 = np.quantile(taken, [0.5, 0.99])
    return float(p50), float(p99)
