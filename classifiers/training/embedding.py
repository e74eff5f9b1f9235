"""Makes the feature function of the encoder tier from training asks: which axes of their embeddings become columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifiers import reading
from classifiers.contract import AskText
from classifiers.embedded import EmbeddedFeatures, Projection
from classifiers.encoder import SentenceEncoder
from classifiers.vectors import WordVectors

AXES: Final = 256
"""Columns of the embedding; with the hand-made ones they must stay within the 512 that the ledger keeps."""
_PART: Final = 2048


class Remembered:
    """An encoder that embeds each text once, those of like length together. Training reads the same texts often."""

    def __init__(self, encoder: SentenceEncoder, say: Callable[[str], None] = lambda text: None):
        self._encoder, self._say = encoder, say
        self.weights = encoder.weights
        self._known: dict[str, NDArray[np.float32]] = {}

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        new = sorted({text for text in texts if text not in self._known}, key=lambda text: (len(text), text))
        for start in range(0, len(new), _PART):
            part = new[start : start + _PART]
            self._known.update(zip(part, self._encoder.embed(part), strict=True))
            self._say(f"embedded {start + len(part)} of {len(new)} texts")
        return np.stack([self._known[text] for text in texts])


def encoder_features(
    asks: Sequence[AskText], vectors: WordVectors | None, embedder: Remembered, axes: int = AXES
) -> EmbeddedFeatures:
    """A feature function whose axes were fitted on `asks`.

    vectors: only their vocabulary is kept, by which strange words are told; what the words mean, embeddings say better.
    """
    embeddings = embedder.embed([reading.read(ask).text for ask in asks])
    known = vectors.words if vectors is not None else []
    words = WordVectors(known, np.zeros((len(known), 0), np.int8), np.zeros(0, np.float32))
    return EmbeddedFeatures(words, Projection.fitted(embeddings, embedder.weights, axes), embedder)
