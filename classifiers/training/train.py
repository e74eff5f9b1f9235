"""Trains an artefact from outcome files and the seed prompts: read, fit, measure, save.

The same input, seed and machine give the same bytes; the date in the manifest is SOURCE_DATE_EPOCH, or none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from classifiers.artefact import DEFAULT_FOLDER, Artefact, created, save_artefact
from classifiers.encoder import SentenceEncoder
from classifiers.errors import TrainingError
from classifiers.features import FeatureFunction
from classifiers.training import report
from classifiers.training.dataset import SEED_FILES, read_outcomes, seed_rows, training_rows, without_near_duplicates
from classifiers.training.embedding import Remembered, encoder_features
from classifiers.training.heads import Say, Table, choose_strength, fit_artefact
from classifiers.vectors import WordVectors, load_vectors

NEVER: Final = "routellm"
"""The published test sets: a file of theirs is refused as training data."""


def train(
    data: Sequence[Path],
    out: Path,
    *,
    seed: int = 0,
    vectors: WordVectors | None = None,
    encoder: SentenceEncoder | None = None,
    say: Say = lambda text: None,
) -> Artefact:
    """Train on outcome files and the seed prompts, write the artefact with its report to `out`.

    vectors: word vectors to build on; default those of the artefact that ships. encoder: what an artefact of the tier
    `encoder` shall embed by; without one it is of the tier `fast`. Raises TrainingError, ArtefactError.
    """
    for path in data:
        if path.name.startswith(NEVER):
            raise TrainingError(f"{path}: the RouteLLM test sets are for measuring and never trained on")
    rows = seed_rows()
    for path in data:
        say(f"reading {path.name}")
        rows += training_rows(read_outcomes(path), path.name.split(".")[0])
    rows = without_near_duplicates(rows)
    featurise = FeatureFunction(vectors if vectors is not None else shipped_vectors())
    if encoder is not None:
        featurise = encoder_features([row.ask for row in rows], featurise.vectors, Remembered(encoder, say))
    say(f"{len(rows)} rows, {featurise.size} features")
    table = Table.of(rows, featurise)
    strength = choose_strength(table, seed, say)
    artefact = fit_artefact(table, featurise, strength, seed)
    say("measuring")
    measured = report.measure(table, featurise, strength, seed, say)
    about = {
        "created": created(),
        "seed": seed,
        "strength": strength,
        "data": [{"name": path.name, "sha256": _sha256(path)} for path in (*SEED_FILES, *data)],
        "rows": {source: sum(row.source == source for row in rows) for source in sorted({row.source for row in rows})},
        "metrics": report.headline(measured),
    }
    texts = {"report.json": report.as_json(measured), "report.md": report.as_markdown(measured, about)}
    return save_artefact(artefact, out, about, texts)


def shipped_vectors() -> WordVectors:
    """Those of the shipped artefact, even when its heads no longer fit the feature function of this program."""
    try:
        return load_vectors(DEFAULT_FOLDER)
    except (OSError, ValueError) as error:
        raise TrainingError(f"{DEFAULT_FOLDER}: no word vectors to build on ({error})") from error


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
