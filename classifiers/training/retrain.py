"""Learns from one's own traffic: heads refitted from logged features and labels, pulled towards what was known before.

A head is changed only where held-out labels clearly bear it out, so that noise moves nothing: either its slope and
shift, or its weights under a strong Gaussian prior, whichever predicts held-out labels better. So few labels mend the
base rate, and more of them bend the head. Privately asked requests have no features and never get here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from classifiers.artefact import Artefact
from classifiers.contract import LoggedDecision
from classifiers.features import names
from classifiers.training.calibrate import apply_to_head, fit_slope_and_shift, sigmoid
from classifiers.training.fit import Floats, folds, one_thread
from classifiers.training.heads import generic_logits
from classifiers.training.labelled import Labelled, slices
from classifiers.training.labels import combined, held_apart
from classifiers.training.rows import key_of

MINIMUM_LABELS: Final = 20
"""Of a head; with fewer it stays as it is."""


Step = Literal["kept", "shifted", "refitted"]
STEPS: Final[tuple[Step, ...]] = ("shifted", "refitted")
"""The cautious one first; of equals it is taken."""
PULL: Final = 2500.0
"""Strength of the prior of a refitted head, in labels' worth. Weaker ones rank worse than they predict: what routes is
the difference of two heads, and so the noise of both. Of 80 to 10,000, tried with 500 to 5,000 noisy labels on
mmlu_pro, mixed_tasks and routellm_mmlu, this was best or near it everywhere; 250 and less are clearly worse."""
LONGER: Final = {"small": -0.15, "large": 0.0}
"""By tier: what one spread of the ask's length does to the logit of a good answer, before labels are heard.

Longer asks cost small models more than large ones: the difference of their slopes is -0.11 on mmlu_pro, 0.3 on
mixed_tasks and 0.34 on GSM8K. A pull of 2,500 labels holds it up for long; it is no rule."""
LENGTH: Final = names().index("units")
SURE: Final = 2.0
"""Standard errors by which held-out labels must favour the steps. Several are tried, so one would let noise in."""
FOLDS: Final = 5
MOST_STEPS, ENOUGH = 60, 1e-6
"""Where the search for a head ends: after so many steps, or with one that changes no weight by more."""
ROW: Final = {"small": 0, "large": 1}


@dataclass(frozen=True, slots=True)
class HeadChange:
    """What became of one head. step: `kept`, `shifted` or `refitted`; losses are held-out log losses by label."""

    head: str
    labels: int
    step: Step
    loss_before: float | None
    loss_after: float | None


@dataclass(frozen=True, slots=True)
class RetrainReport:
    """What a retraining used and did. foreign: rows whose features another function made, and so left out."""

    used: int
    without_features: int
    without_label: int
    foreign: int
    heads: tuple[HeadChange, ...]

    @property
    def changed(self) -> bool:
        return any(change.step != "kept" for change in self.heads)


def retrain_from_logs(
    logged: Sequence[LoggedDecision], current: Artefact, *, seed: int = 0
) -> tuple[Artefact, RetrainReport]:
    """A new artefact from the current one and labelled requests. Deterministic; never raises for want of labels.

    Generic heads learn from every model of their tier. A model with labels of its own, where it is not the only one of
    its tier, gets a head of its own, pulled towards the generic one. Where nothing was learned the artefact returned
    equals the current one.
    """
    with one_thread():
        return _retrain(logged, current, seed)


def _retrain(logged: Sequence[LoggedDecision], current: Artefact, seed: int) -> tuple[Artefact, RetrainReport]:
    labelled, witnessed, report = usable(logged, current)
    heads = current.heads.astype(np.float64)
    trials = []
    for tier, row in ROW.items():
        whole, seen = (_of(tier_of, tier, one) for one in (labelled, witnessed))
        trials.append(_Trial(f"tier {tier}", heads[row], whole, seen, seed, LONGER[tier]))
    # Together, for what routes is the difference of the two: where one alone is mended, all of them are misjudged.
    changes = _decided(trials)
    for row, trial, change in zip(ROW.values(), trials, changes, strict=True):
        heads[row] = trial.fitted(change.step)
    own = {model: heads[2 + number] for number, model in enumerate(current.models)}
    tiers = dict(zip(current.models, current.tiers, strict=True))
    for model in sorted(set(map(_model_of, labelled.decisions))):
        whole, seen = (_of(_model_of, model, one) for one in (labelled, witnessed))
        tier = tiers.get(model) or tier_of(whole.decisions[0])
        if model not in own and len(whole.decisions) == trials[ROW[tier]].count:
            continue  # the tier has learned all that there is to learn of its only model
        trial = _Trial(f"model {model}", own.get(model, heads[ROW[tier]]), whole, seen, seed, 0.0)
        [change] = _decided([trial])
        if change.step != "kept":
            own[model], tiers[model] = trial.fitted(change.step), tier
        changes.append(change)
    models = tuple(sorted(own))
    new_heads = np.vstack([heads[:2], *(own[model][None, :] for model in models)])
    of_models = tuple(tiers[model] for model in models)
    artefact = replace(current, models=models, tiers=of_models, heads=new_heads.astype(np.float32), manifest={})
    return artefact, replace(report, heads=tuple(changes))


def _asks(rows: Sequence[LoggedDecision]) -> list[str]:
    """By row the ask that it answers, for two models may have answered one; named by the first of its answers."""
    first: dict[bytes, str] = {}
    return [first.setdefault(key_of(row.features), row.request_id) for row in rows if row.features is not None]


class _Trial:
    """One head, and what each step would make of it. losses: by step, log losses of held-out labels, (n,).

    whole: what it is fitted on; labelled: what is gone by in choosing the step, `whole` without those who are held down
    (see `labels.held_apart`). best: the step with the least loss. Too few labels: `kept` alone is tried.
    """

    def __init__(self, name: str, current: Floats, whole: Labelled, labelled: Labelled, seed: int, longer: float):
        self.name, self._current, self._whole, self._longer = name, current, whole, longer
        self.count, count = len(whole.scores), len(labelled.scores)
        self.weights = labelled.weights
        groups = _asks(labelled.decisions)
        self.tried = count >= MINIMUM_LABELS and len(set(groups)) >= FOLDS
        self.losses: dict[Step, Floats] = {
            "kept": losses(sigmoid(labelled.logits(current)), labelled.scores),
        }
        if self.tried:
            self.losses |= {step: np.zeros(count) for step in STEPS}
            for seen, unseen in folds(groups, FOLDS, seed):
                lesson = labelled.part(seen)
                for step, head in _fitted(current, lesson, longer).items():
                    shares = sigmoid(labelled.logits(head, unseen))
                    self.losses[step][unseen] = losses(shares, labelled.scores[unseen])
        self.best: Step = min(self.losses, key=lambda step: float(self.losses[step] @ self.weights))

    def fitted(self, step: Step) -> Floats:
        return self._current if step == "kept" else _fitted(self._current, self._whole, self._longer)[step]

    def change(self, step: Step) -> HeadChange:
        if not self.tried:
            return HeadChange(self.name, self.count, "kept", None, None)
        before, after = (float(np.average(self.losses[one], weights=self.weights)) for one in ("kept", step))
        return HeadChange(self.name, self.count, step, before, after)


def _decided(trials: Sequence[_Trial]) -> list[HeadChange]:
    """Each head's best step, if all of them together are clearly better than what is there; else nothing changes."""
    tried = [trial for trial in trials if trial.tried]
    gains = [(trial.losses["kept"] - trial.losses[trial.best]) * trial.weights for trial in tried]
    gain = np.concatenate([*gains, np.zeros(0)])
    sure = len(gain) > 1 and bool(gain.mean() > SURE * gain.std(ddof=1) / np.sqrt(len(gain)))
    return [trial.change(trial.best if sure else "kept") for trial in trials]


def _fitted(current: Floats, labelled: Labelled, longer: float) -> dict[Step, Floats]:
    """The head that each step makes of the current one.

    A refitted head is the mean of two: bent away from the shifted head, and from the share of good answers alone. The
    first is better where the current head knows this traffic, the second where it does not, and the mean nearly as
    good as the better one in either place.
    """
    slope, shift = fit_slope_and_shift(labelled.logits(current), labelled.scores, labelled.weights)
    shifted = apply_to_head(current, slope, shift)
    level = np.zeros_like(current)
    rate = float(np.clip(np.average(labelled.scores, weights=labelled.weights), 0.01, 0.99))
    level[-1] = np.log(rate / (1.0 - rate))
    bend = _Bending(labelled, longer)
    return {"shifted": shifted, "refitted": (bend.away_from(shifted) + bend.away_from(level)) / 2.0}


class _Bending:
    """Newton's method for a head's difference from another: ridge on scaled features, the bias nearly free.

    longer: what one spread of the ask's length is expected to do to the logit, before labels are heard. The curvature
    is most of the work and hardly changes on the way: it is worked out anew only where a step is not half of the one
    before. Rows are kept in float32, more than the ledger keeps of them, and worked on a slice at a time.
    """

    def __init__(self, labelled: Labelled, longer: float):
        self._labelled = labelled
        self._scaling = labelled.scaling()
        count, size = len(labelled.rows), labelled.features.shape[1] + 1
        self._design = np.ones((count, size + 1), np.float32)
        for rows in slices(count):
            self._design[rows, :-1] = self._scaling.apply(labelled.block(rows))
        self._expected = np.zeros(size + 1)
        self._expected[LENGTH] = longer
        self._curvature: Floats | None = None

    def away_from(self, head: Floats) -> Floats:
        scores, weights = self._labelled.scores, self._labelled.weights
        base = self._labelled.logits(head)
        ridge = np.full(len(self._expected), PULL)
        ridge[-1] = 1.0
        change, before = self._expected.copy(), np.inf
        for _ in range(MOST_STEPS):
            shares = sigmoid(base + self._design @ change.astype(np.float32))
            if self._curvature is None:
                self._curvature = self._curved(weights * shares * (1.0 - shares))
            wrong = (weights * (shares - scores)).astype(np.float32)
            gradient = self._design.T @ wrong + ridge * (change - self._expected)
            step = np.linalg.solve(self._curvature + np.diag(ridge), gradient)
            change -= step
            length = float(np.abs(step).max())
            if length < ENOUGH:
                break
            if length > before / 2.0:
                self._curvature = None
            before = length
        bent: Floats = head + self._scaling.fold_in(change[None, :-1], change[-1:])[0]
        return bent

    def _curved(self, weights: Floats) -> Floats:
        found = np.zeros((len(self._expected), len(self._expected)))
        roots = np.sqrt(weights).astype(np.float32)[:, None]
        for rows in slices(len(weights)):
            weighed = self._design[rows] * roots[rows]
            found += weighed.T @ weighed
        return found


def _of(what: Callable[[LoggedDecision], str], name: str, labelled: Labelled) -> Labelled:
    """The rows of one tier, or of one model."""
    return labelled.part([at for at, row in enumerate(labelled.decisions) if what(row) == name])


def usable(logged: Sequence[LoggedDecision], current: Artefact) -> tuple[Labelled, Labelled, RetrainReport]:
    """(what can be learned from, the same without whoever is held down, what was left out and why)."""
    without_label = without_features = foreign = 0
    kept: list[LoggedDecision] = []
    seen: list[tuple[float, float] | None] = []
    ordered = sorted(logged, key=lambda row: (row.at_unix, row.request_id))
    for row, witness in zip(*held_apart(ordered), strict=True):
        if combined(row.labels) is None:
            without_label += 1
        elif row.features is None:
            without_features += 1
        elif row.features_digest != current.featurise.digest or row.features.shape != (current.featurise.size,):
            foreign += 1
        else:
            kept.append(row)
            seen.append(combined(witness.labels))
    labels = [combined(row.labels) or (0.0, 0.0) for row in kept]
    size = current.featurise.size
    features = np.zeros((len(kept), size), np.float32)
    for at, row in enumerate(kept):
        features[at] = row.features
    np.nan_to_num(features, copy=False)
    scores, weights = (np.array([label[part] for label in labels], dtype=np.float64) for part in (0, 1))
    tiers = dict(zip(current.models, current.tiers, strict=True))
    columns = np.array([ROW[tiers.get(row.model.model.lower()) or tier_of(row)] for row in kept], dtype=np.intp)
    generic, worlds = np.zeros(len(kept)), current.worlds.astype(np.float64)
    for rows in slices(len(kept)):
        said = generic_logits(worlds, features[rows].astype(np.float64))
        generic[rows] = said[np.arange(len(said)), columns[rows]]
    labelled = Labelled(tuple(kept), features, np.arange(len(kept)), generic, scores, weights)
    places = [at for at, label in enumerate(seen) if label is not None]
    scores, weights = (np.array([label[part] for label in seen if label is not None]) for part in (0, 1))
    witnessed = replace(labelled.part(places), scores=scores.astype(np.float64), weights=weights.astype(np.float64))
    return labelled, witnessed, RetrainReport(len(kept), without_features, without_label, foreign, ())


def _model_of(row: LoggedDecision) -> str:
    return row.model.model.lower()


def tier_of(row: LoggedDecision) -> str:
    return "small" if row.model.tier == "small" else "large"


def losses(shares: Floats, scores: Floats) -> Floats:
    bounded = np.clip(shares, 1e-3, 1.0 - 1e-3)
    losses: Floats = -(scores * np.log(bounded) + (1.0 - scores) * np.log1p(-bounded))
    return losses
