"""Two artefacts on labelled requests that neither was trained on: losses, calibration, and who is nearer by how much.

How the candidate came to be is `retrain`'s; what follows of the comparison, the gate's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from classifiers.artefact import Artefact, created, save_artefact
from classifiers.contract import LoggedDecision
from classifiers.training import measures
from classifiers.training.calibrate import sigmoid
from classifiers.training.fit import Floats, logits
from classifiers.training.heads import generic_logits
from classifiers.training.measures import Figure
from classifiers.training.retrain import ROW, Labelled, RetrainReport, losses, tier_of, usable

HOLD_OUT: Final = 0.2


@dataclass(frozen=True, slots=True)
class Comparison:
    """Current and candidate on the same held-out requests, for the models that really answered them.

    Lower is better for the losses, higher for AUC. difference: candidate minus current log loss, with its interval.
    """

    n: int
    current: Mapping[str, Figure]
    candidate: Mapping[str, Figure]
    difference: Figure
    moved: float
    """Share of requests that cross complexity 0.35."""

    @property
    def better(self) -> bool:
        """The candidate's log loss is lower, and the whole interval says so."""
        return self.difference.high is not None and self.difference.high < 0.0

    @property
    def not_worse(self) -> bool:
        """Nothing speaks against the candidate: the interval does not lie wholly above zero."""
        return self.n == 0 or (self.difference.low is not None and self.difference.low <= 0.0)


def newest(
    logged: Sequence[LoggedDecision], share: float = HOLD_OUT
) -> tuple[list[LoggedDecision], list[LoggedDecision]]:
    """(older, newest share) of the labelled requests, by time; ties by request id."""
    ordered = sorted((row for row in logged if row.labels), key=lambda row: (row.at_unix, row.request_id))
    cut = len(ordered) - round(len(ordered) * share)
    return ordered[:cut], ordered[cut:]


def compare(current: Artefact, candidate: Artefact, held_out: Sequence[LoggedDecision], *, seed: int = 0) -> Comparison:
    """Both artefacts on labelled requests neither was trained on, with 95 per cent bootstrap intervals."""
    labelled, _ = usable(held_out, current)
    n = len(labelled.scores)
    if n == 0 or candidate.featurise.digest != current.featurise.digest:
        return Comparison(0, {}, {}, Figure(None), 0.0)
    shares = [_shares(artefact, labelled) for artefact in (current, candidate)]
    lost = [losses(share, labelled.scores) for share in shares]

    def difference(i: NDArray[np.intp]) -> float:
        return float(np.average(lost[1][i] - lost[0][i], weights=labelled.weights[i]))

    generic = [_complexity(artefact, labelled) for artefact in (current, candidate)]
    return Comparison(
        n=n,
        current=_figures(shares[0], labelled, seed),
        candidate=_figures(shares[1], labelled, seed),
        difference=measures.bootstrap(difference, n, seed),
        moved=float(np.mean((generic[0] >= 0.35) != (generic[1] >= 0.35))),
    )


def save_retrained(
    artefact: Artefact, folder: Path, current: Artefact, report: RetrainReport, comparison: Comparison | None
) -> Artefact:
    """Write a retrained artefact with what it came from and how it compared; see `artefact.save_artefact`."""
    about: dict[str, Any] = {
        "created": created(),
        "parent": current.digest,
        "retraining": asdict(report),
        "comparison": asdict(comparison) if comparison is not None else None,
    }
    return save_artefact(artefact, folder, about, {})


def _shares(artefact: Artefact, labelled: Labelled) -> Floats:
    """P(good answer) of the model that answered, for each request, before support says how far to trust it."""
    rows = {model: 2 + number for number, model in enumerate(artefact.models)}
    chosen = [rows.get(row.model.model.lower(), ROW[tier_of(row)]) for row in labelled.decisions]
    picked = artefact.heads.astype(np.float64)[chosen]
    return sigmoid((picked[:, :-1] * labelled.features).sum(axis=1) + picked[:, -1])


def _complexity(artefact: Artefact, labelled: Labelled) -> Floats:
    features = labelled.features[:, :-1]
    generic = generic_logits(artefact.worlds.astype(np.float64), features)[:, :1]
    return 1.0 - sigmoid(logits(artefact.heads[0].astype(np.float64), np.hstack([features, generic])))


def _figures(shares: Floats, labelled: Labelled, seed: int) -> dict[str, Figure]:
    scores, n = labelled.scores, len(shares)
    lost = losses(shares, scores)
    return {
        "log_loss": measures.bootstrap(lambda i: float(lost[i].mean()), n, seed),
        "brier": measures.bootstrap(lambda i: measures.brier(shares[i], scores[i]), n, seed),
        "ece": measures.bootstrap(lambda i: measures.ece(shares[i], scores[i]), n, seed),
        "auc": measures.bootstrap(lambda i: measures.auc(shares[i], scores[i] > 0.5), n, seed),
    }
