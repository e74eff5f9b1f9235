"""The feature function of the encoder tier: the hand-made columns, then a text's embedding along learned axes.

Who embeds is passed in, so that vectors which were logged can be learned from where no encoder is installed.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifiers.contract import AskText, Embedder
from classifiers.errors import EncoderError
from classifiers.features import FeatureFunction, Vector
from classifiers.grams import GramTable
from classifiers.vectors import BOUND, WordVectors

HEAD_TOKENS, TAIL_TOKENS = 92, 34
"""What an encoder reads of a text: with the two tokens around it 128. Cost grows with them, the middle is left out."""

PROJECTION_FILES: Final = ("projection_mean.npy", "projection_axes.npy")


@dataclass(frozen=True)
class Projection:
    """Which parts of an embedding become columns. mean: float32 (e,); axes: float32 (k, e), so that a column is about
    one standard deviation. weights: sha256 of the encoder's weights, for no other encoder's embeddings fit."""

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]
    weights: str

    def apply(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Columns (n, k), within +-8, of embeddings (n, e)."""
        columns: NDArray[np.float32] = np.clip((embeddings - self.mean) @ self.axes.T, -BOUND, BOUND)
        return columns

    @classmethod
    def fitted(cls, embeddings: NDArray[np.float32], weights: str, count: int) -> Projection:
        """The `count` directions in which embeddings (n, e) differ most (PCA), each scaled to a spread of one."""
        centred = embeddings.astype(np.float64)
        mean = centred.mean(axis=0)
        centred -= mean
        variances, directions = np.linalg.eigh(centred.T @ centred / len(centred))
        best = np.argsort(variances)[::-1][:count]
        axes = directions[:, best].T / np.sqrt(np.maximum(variances[best], 1e-9))[:, None]
        axes *= np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]  # eigh leaves signs to chance
        return cls(mean.astype(np.float32), axes.astype(np.float32), weights)

    @property
    def digest(self) -> str:
        sha = hashlib.sha256(self.weights.encode())
        for array in (self.mean, self.axes):
            sha.update(np.ascontiguousarray(array, np.float32).tobytes())
        return sha.hexdigest()


class EmbeddedFeatures(FeatureFunction):
    """As its parent, but it costs milliseconds, and less for each of `many`.

    vectors: give the parent's columns. embedder: None where vectors are only read; then a call raises EncoderError.
    """

    def __init__(
        self,
        vectors: WordVectors | None,
        projection: Projection,
        embedder: Embedder | None = None,
        grams: GramTable | None = None,
    ):
        super().__init__(vectors, grams)
        self.projection, self.embedder = projection, embedder
        self._first, self.size = self.size, self.size + len(projection.axes)
        parts = f"signalbox embedded {HEAD_TOKENS} {TAIL_TOKENS} {self.digest} {projection.digest}"
        self.digest = hashlib.sha256(parts.encode()).hexdigest()[:16]

    def __call__(self, ask: AskText) -> Vector:
        vector: Vector = self.many([ask])[0]
        return vector

    def many(self, asks: Sequence[AskText]) -> NDArray[np.float32]:
        """Raises EncoderError, and what the embedder raises."""
        if self.embedder is None:
            raise EncoderError("missing", "these features need an encoder; load them with classifiers.tiers")
        vectors = np.empty((len(asks), self.size), np.float32)
        if asks:
            texts = [self.plain_into(ask, row) for ask, row in zip(asks, vectors, strict=True)]
            vectors[:, self._first :] = self.projection.apply(self.embedder.embed(texts))
        return vectors

    def with_grams(self, grams: GramTable) -> EmbeddedFeatures:
        return EmbeddedFeatures(self.vectors, self.projection, self.embedder, grams)

    def with_embedder(self, embedder: Embedder) -> EmbeddedFeatures:
        """The same function, able to embed. That the embedder's weights are right is the caller's to check."""
        able = copy.copy(self)
        able.embedder = embedder
        return able


def save_projection(projection: Projection, folder: Path) -> None:
    """Two arrays; the weights' sha256 stands in the manifest."""
    for name, array in zip(PROJECTION_FILES, (projection.mean, projection.axes), strict=True):
        np.save(folder / name, np.ascontiguousarray(array, np.float32), allow_pickle=False)


def load_projection(folder: Path, weights: str) -> Projection:
    """What `save_projection` wrote. Raises OSError or ValueError; an artefact checks its files before this."""
    mean, axes = (np.load(folder / name, allow_pickle=False) for name in PROJECTION_FILES)
    fits = mean.ndim == 1 and axes.ndim == 2 and axes.shape[1] == len(mean)
    if not fits or not all(array.dtype == np.float32 and np.isfinite(array).all() for array in (mean, axes)):
        raise ValueError("the projection's arrays do not fit together")
    return Projection(mean, axes, weights)
