"""Embedders that need no library, and an artefact of the encoder tier small enough to make in a test."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from classifiers.artefact import Artefact, untaught_heads
from classifiers.contract import Embedder
from classifiers.embedded import EmbeddedFeatures, Projection
from classifiers.features import HAND
from classifiers.tasks import TASKS

WEIGHTS = "a" * 64
SIZE = 8


class Letters:
    """Texts by their letters: unit vectors of eight shares. Slow by `seconds` a batch; remembers its batches."""

    weights = WEIGHTS

    def __init__(self, seconds: float = 0.0):
        self.seconds = seconds
        self.batches: list[list[str]] = []
        self.threads: set[int] = set()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.batches.append(list(texts))
        self.threads.add(threading.get_ident())
        time.sleep(self.seconds)
        counts = np.ones((len(texts), SIZE), np.float32)
        for row, text in zip(counts, texts, strict=True):
            for letter in text:
                row[ord(letter) % SIZE] += 1.0
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)


class Raises(Letters):
    """An encoder in trouble."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        super().embed(texts)
        raise RuntimeError("no embedding today")


class SaysNaN(Letters):
    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return super().embed(texts) * np.float32("nan")


class Held(Letters):
    """Answers only once `go` is set; `began` is set when it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.began, self.go = threading.Event(), threading.Event()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.began.set()
        assert self.go.wait(10)
        return super().embed(texts)


def encoder_artefact(*, weights: str = WEIGHTS, seed: int = 0, embedder: Embedder | None = None) -> Artefact:
    """Of the encoder tier, with heads made up: its complexity is about 0.9 for every ask."""
    source = np.random.default_rng(seed)
    projection = Projection.fitted(source.normal(size=(50, SIZE)).astype(np.float32), weights, 4)
    featurise = EmbeddedFeatures(None, projection, embedder)
    size = HAND + 4
    worlds = source.normal(size=(5, size + 1)).astype(np.float32) * np.float32(0.001)
    worlds[:, -1] += np.array([-2.2, 2.0, -2.2, 2.0, 0.0], np.float32)
    return Artefact(
        featurise=featurise,
        tasks=TASKS,
        models=(),
        tiers=(),
        worlds=worlds,
        task_heads=np.zeros((len(TASKS), size + 1), np.float32),
        heads=untaught_heads(size),
        priors=np.full((4, len(TASKS)), 0.5, np.float32),
        support_mean=np.zeros(size, np.float32),
        support_spread=np.ones(size, np.float32),
        support_centres=np.zeros((1, size), np.float32),
        support_knots=np.array([50.0, 100.0], np.float32),
    )
