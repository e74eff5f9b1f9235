"""What a judge says of many logged feature vectors at once: the arithmetic of `LearnedClassifier`, on arrays.

For evaluations that judge every row several times; a test holds it to what serves, row by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from classifiers.artefact import Artefact
from classifiers.contract import ModelCard
from classifiers.features import STRANGE_COLUMN
from classifiers.learned import FAR, TRUST_FLOOR
from classifiers.training.calibrate import sigmoid
from classifiers.training.fit import Floats

SMALL: Final = ModelCard("\0small", "\0small", "small")
"""The generic small model, whose quality is 1 - complexity."""
_AT_ONCE: Final = 4096
_MOST_LOGIT: Final = 7.0


def qualities(artefact: Artefact, features: NDArray[np.floating[Any]], cards: Sequence[ModelCard]) -> Floats:
    """P(good answer) of each model for each row as it would be served, (n, len(cards)). features: (n, d)."""
    found = np.empty((len(features), len(cards)))
    for start in range(0, len(features), _AT_ONCE):
        part = features[start : start + _AT_ONCE].astype(np.float32)
        found[start : start + _AT_ONCE] = _qualities(artefact, part, cards)
    return found


def _qualities(artefact: Artefact, vectors: NDArray[np.float32], cards: Sequence[ModelCard]) -> Floats:
    worlds = (vectors @ artefact.worlds[:, :-1].T + artefact.worlds[:, -1]).astype(np.float64)
    chat = sigmoid(worlds[:, 4])[:, None]
    generic = worlds[:, 2:4] + chat * (worlds[:, 0:2] - worlds[:, 2:4])
    tasks = (vectors @ artefact.task_heads[:, :-1].T + artefact.task_heads[:, -1]).argmax(axis=1)
    by_task = np.log(artefact.priors / (1.0 - artefact.priors)).astype(np.float64)[:, tasks].T
    prior = by_task[:, 2:4] + chat * (by_task[:, 0:2] - by_task[:, 2:4])
    trust = TRUST_FLOOR + (1.0 - TRUST_FLOOR) * _support(artefact, vectors)
    rows = {model.lower(): 2 + number for number, model in enumerate(artefact.models)}
    heads = artefact.heads
    columns = []
    for card in cards:
        row = rows.get(card.model.lower())
        tier = card.tier if row is None else artefact.tiers[row - 2]
        side = 0 if tier == "small" else 1
        head = heads[side if row is None else row]
        own = (vectors @ head[:-2] + head[-1]).astype(np.float64) + float(head[-2]) * generic[:, side]
        logit = trust * own + (1.0 - trust) * prior[:, side]
        columns.append(sigmoid(np.clip(logit, -_MOST_LOGIT, _MOST_LOGIT)))
    return np.column_stack(columns)


def _support(artefact: Artefact, vectors: NDArray[np.float32]) -> Floats:
    place = ((vectors - artefact.support_mean) / artefact.support_spread).clip(-FAR, FAR)
    centres, size = artefact.support_centres, len(artefact.support_mean)
    lengths = (centres * centres).sum(axis=1)
    away = (place * place).sum(axis=1) + (lengths - 2.0 * place @ centres.T).min(axis=1)
    near, far = (float(knot) * size for knot in artefact.support_knots)
    support: Floats = np.minimum(1.0, (far - away.astype(np.float64)) / (far - near))
    return np.maximum(0.0, support * (1.0 - vectors[:, STRANGE_COLUMN].astype(np.float64)))
