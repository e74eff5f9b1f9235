"""Two judges on labelled requests that neither was trained on: losses, calibration, and who is nearer by how much.

Each is judged as it would serve, support and all, for the model that really answered. How the candidate came to be is
`retrain`'s; what follows of the comparison, the gate's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from classifiers.artefact import Artefact
from classifiers.contract import LoggedDecision, ModelCard
from classifiers.training import measures
from classifiers.training.fit import Floats
from classifiers.training.labels import capped, combined
from classifiers.training.measures import Figure
from classifiers.training.resampled import mean
from classifiers.training.retrain import losses
from classifiers.training.rows import key_of
from classifiers.training.served import SMALL, qualities

BAR: Final = 0.35
"""The complexity at which `moved` counts crossings: the shipped policy's."""
DRAWS: Final = 400
"""Simulated sets of labels for `calibrated`."""


@dataclass(frozen=True, slots=True)
class Singles:
    """Labelled answers with features that the judges can read, n of them. asks: (n,), 0..k-1, alike for one ask."""

    rows: tuple[LoggedDecision, ...]
    features: NDArray[np.float32]
    scores: Floats
    weights: Floats
    asks: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True)
class Said:
    """What one judge said of n answers: P(good) of the model that answered, and complexity; (n,) each."""

    shares: Floats
    complexity: Floats


@dataclass(frozen=True, slots=True)
class Comparison:
    """Current and candidate on the same held-out answers. Lower is better for the losses, higher for AUC.

    difference: candidate minus current log loss. base_rate: figures of one who knows only how good each model was on
    the whole. knows: rank correlation of what the candidate says with what came, within each model. calibrated: the
    calibration error that labels drawn from the candidate's own shares stay below 95 times in 100: SIMULATED, what so
    few labels show of a judge that is right.
    """

    n: int
    current: Mapping[str, Figure]
    candidate: Mapping[str, Figure]
    base_rate: Mapping[str, Figure]
    difference: Figure
    knows: Figure
    calibrated: float | None
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


def singles(logged: Sequence[LoggedDecision], digest: str, size: int) -> Singles:
    """Those with a label that weighs something and features of the function named by `digest`, (size,) each."""
    kept, labels = [], []
    for row in capped(logged):
        label = combined(row.labels)
        if label is None or row.features is None or row.features_digest != digest or row.features.shape != (size,):
            continue
        kept.append(row)
        labels.append(label)
    asks: dict[bytes, int] = {}
    places = [asks.setdefault(key_of(row.features), len(asks)) for row in kept if row.features is not None]
    features = np.stack([row.features for row in kept if row.features is not None]) if kept else np.zeros((0, size))
    return Singles(
        tuple(kept),
        np.nan_to_num(features).astype(np.float32),
        np.array([score for score, _ in labels]),
        np.array([weight for _, weight in labels]),
        np.array(places, dtype=np.intp),
    )


def said_of(artefact: Artefact, given: Singles) -> Said:
    """What an artefact says of them as it serves."""
    cards: dict[str, ModelCard] = {SMALL.model: SMALL}
    for row in given.rows:
        cards.setdefault(_answered(row), row.model)
    place = {name: at for at, name in enumerate(cards)}
    found = qualities(artefact, given.features, tuple(cards.values()))
    own = np.array([place[_answered(row)] for row in given.rows], dtype=np.intp)
    return Said(found[np.arange(len(given)), own], 1.0 - found[:, 0])


def base_rates(learned: Sequence[LoggedDecision], given: Singles) -> Floats:
    """P(good) by one who only knows how good each model was on older requests, (n,); half a label's worth of doubt."""
    totals: dict[str, list[float]] = {}
    for row in capped(learned):
        score, weight = combined(row.labels) or (0.0, 0.0)
        for name in (_answered(row), ""):
            of = totals.setdefault(name, [0.5, 1.0])
            of[0] += weight * score
            of[1] += weight
    of_all = totals.get("", [0.5, 1.0])
    found = [totals.get(_answered(row), of_all) for row in given.rows]
    return np.array([good / whole for good, whole in found])


def compare_said(given: Singles, current: Said, candidate: Said, base_rate: Floats, seed: int) -> Comparison:
    """The comparison, with 95 per cent bootstrap intervals over asks."""
    if len(given) == 0:
        return Comparison(0, {}, {}, {}, Figure(None), Figure(None), None, 0.0)
    lost = [losses(shares, given.scores) for shares in (current.shares, candidate.shares)]
    return Comparison(
        n=len(given),
        current=_figures(current.shares, given, seed),
        candidate=_figures(candidate.shares, given, seed),
        base_rate=_figures(base_rate, given, seed),
        difference=mean(lost[1] - lost[0], given.weights, given.asks, seed),
        knows=mean(_knows(candidate.shares, given), given.weights, given.asks, seed),
        calibrated=_calibrated(candidate.shares, given.scores, seed),
        moved=float(np.mean((current.complexity >= BAR) != (candidate.complexity >= BAR))),
    )


def compare(current: Artefact, candidate: Artefact, held_out: Sequence[LoggedDecision], *, seed: int = 0) -> Comparison:
    """Both artefacts on labelled requests that neither was trained on; the base rate is that of the requests."""
    digest = current.featurise.digest
    given = singles(held_out if candidate.featurise.digest == digest else (), digest, current.featurise.size)
    said = [said_of(artefact, given) for artefact in (current, candidate)]
    return compare_said(given, said[0], said[1], base_rates(given.rows, given), seed)


def _answered(row: LoggedDecision) -> str:
    return row.model.model.lower()


def _knows(shares: Floats, given: Singles) -> Floats:
    """By row what it adds to the correlation of ranks of shares with scores, both scaled within each model, (n,)."""
    by_model: dict[str, list[int]] = {}
    for at, row in enumerate(given.rows):
        by_model.setdefault(_answered(row), []).append(at)
    added = np.zeros(len(given))
    for rows in by_model.values():
        scaled = [_scaled(values) for values in (measures.ranks(shares[rows]), given.scores[rows])]
        added[rows] = scaled[0] * scaled[1]
    return added


def _scaled(values: Floats) -> Floats:
    spread = float(values.std())
    scaled: Floats = (values - values.mean()) / spread if spread > 1e-9 else np.zeros(len(values))
    return scaled


def _calibrated(shares: Floats, scores: Floats, seed: int) -> float:
    """Scores between 0 and 1, of a judge who gives points, spread less than drawn ones: then it is a little wide."""
    random = np.random.default_rng(seed)
    times = DRAWS if len(shares) <= 20_000 else 50
    drawn = [measures.ece(shares, (random.random(len(shares)) < shares).astype(np.float64)) for _ in range(times)]
    return float(np.quantile(drawn, 0.95))


def _figures(shares: Floats, given: Singles, seed: int) -> dict[str, Figure]:
    scores, n = given.scores, len(given)
    lost = losses(shares, scores)
    times = 200 if n <= 20_000 else 50

    def figure(measure: Any) -> Figure:
        return measures.bootstrap(measure, n, seed, times)

    return {
        "log_loss": mean(lost, given.weights, given.asks, seed, times),
        "brier": mean((shares - scores) ** 2, given.weights, given.asks, seed, times),
        "ece": figure(lambda i: measures.ece(shares[i], scores[i])),
        "auc": figure(lambda i: measures.auc(shares[i], scores[i] > 0.5)),
    }
