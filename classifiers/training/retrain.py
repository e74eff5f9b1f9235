"""Learns from one's own traffic: heads refitted from logged features and labels, pulled towards what serves now.

Two steps, each taken only as far as held-out labels bear it out, so that few labels mend the base rate, more of them
bend the head, and noise moves nothing: first slope and shift of a head, then its weights under a Gaussian prior
centred on the current ones. Privately asked requests have no features and never get here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from classifiers.artefact import Artefact
from classifiers.contract import LoggedDecision
from classifiers.training.calibrate import apply_to_head, fit_slope_and_shift, sigmoid
from classifiers.training.fit import Floats, Scaling, folds, logits, one_thread
from classifiers.training.heads import generic_logits
from classifiers.training.labels import capped, combined

MINIMUM_LABELS: Final = 20
"""Of a head; with fewer it stays as it is."""
PULLS: Final = (300.0, 100.0, 30.0, 10.0)
"""Strengths of the prior that are tried, strongest first, in labels' worth."""
SURE: Final = 2.0
"""Standard errors by which held-out labels must favour a step. Several are tried, so one would let noise in."""
FOLDS: Final = 5
ROW: Final = {"small": 0, "large": 1}


@dataclass(frozen=True, slots=True)
class Labelled:
    """Logged requests with a label, oldest first. scores, weights: (n,).

    features: (n, d + 1), the last column is the generic logit of the tier that answered; heads read both.
    """

    decisions: tuple[LoggedDecision, ...]
    features: Floats
    scores: Floats
    weights: Floats

    def part(self, chosen: Sequence[int]) -> Labelled:
        indices = np.array(chosen, dtype=np.intp)
        return Labelled(
            tuple(self.decisions[index] for index in chosen),
            self.features[indices],
            self.scores[indices],
            self.weights[indices],
        )


@dataclass(frozen=True, slots=True)
class HeadChange:
    """What became of one head. step: `kept`, `shifted` or `refitted`; losses are held-out log losses by label."""

    head: str
    labels: int
    step: str
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

    Generic heads learn from every model of their tier. A model with labels of its own gets a head of its own, pulled
    towards the generic one of its tier. Where nothing was learned the artefact returned equals the current one.
    """
    with one_thread():
        return _retrain(logged, current, seed)


def _retrain(logged: Sequence[LoggedDecision], current: Artefact, seed: int) -> tuple[Artefact, RetrainReport]:
    labelled, report = usable(logged, current)
    heads = current.heads.astype(np.float64)
    changes: list[HeadChange] = []
    for tier, row in ROW.items():
        of_tier = [index for index, decision in enumerate(labelled.decisions) if tier_of(decision) == tier]
        heads[row], change = _refit(f"tier {tier}", heads[row], labelled.part(of_tier), seed)
        changes.append(change)
    own = {model: heads[2 + number] for number, model in enumerate(current.models)}
    tiers = dict(zip(current.models, current.tiers, strict=True))
    for model in sorted({decision.model.model.lower() for decision in labelled.decisions}):
        of_model = [index for index, row in enumerate(labelled.decisions) if row.model.model.lower() == model]
        tier = tiers.get(model) or tier_of(labelled.decisions[of_model[0]])
        head, change = _refit(f"model {model}", own.get(model, heads[ROW[tier]]), labelled.part(of_model), seed)
        if change.step != "kept":
            own[model], tiers[model] = head, tier
        changes.append(change)
    models = tuple(sorted(own))
    new_heads = np.vstack([heads[:2], *(own[model][None, :] for model in models)])
    of_models = tuple(tiers[model] for model in models)
    artefact = replace(current, models=models, tiers=of_models, heads=new_heads.astype(np.float32), manifest={})
    return artefact, replace(report, heads=tuple(changes))


def _refit(name: str, current: Floats, labelled: Labelled, seed: int) -> tuple[Floats, HeadChange]:
    """The candidate with the least held-out loss, but the current head unless it is clearly beaten."""
    count = len(labelled.scores)
    groups = [row.request_id for row in labelled.decisions]
    if count < MINIMUM_LABELS or len(set(groups)) < FOLDS:
        return current, HeadChange(name, count, "kept", None, None)
    candidates = [("shifted", None), *(("refitted", pull) for pull in PULLS)]
    before = losses(sigmoid(logits(current, labelled.features)), labelled.scores)
    held_out = {pull: np.zeros(count) for _, pull in candidates}
    for seen, unseen in folds(groups, FOLDS, seed):
        for _, pull in candidates:
            head = _fitted(current, labelled.part([int(index) for index in seen]), pull)
            shares = sigmoid(logits(head, labelled.features[unseen]))
            held_out[pull][unseen] = losses(shares, labelled.scores[unseen])
    weights = labelled.weights / labelled.weights.mean()
    incumbent, step, pull, best = before, "kept", None, current
    for next_step, next_pull in candidates:  # from the most cautious to the boldest
        gain = (incumbent - held_out[next_pull]) * weights
        if gain.mean() > SURE * gain.std(ddof=1) / np.sqrt(count):
            incumbent, step, pull = held_out[next_pull], next_step, next_pull
    if step != "kept":
        best = _fitted(current, labelled, pull)
    mean_before, mean_after = (float(np.average(loss, weights=labelled.weights)) for loss in (before, incumbent))
    return best, HeadChange(name, count, step, mean_before, mean_after)


def _fitted(current: Floats, labelled: Labelled, pull: float | None) -> Floats:
    slope, shift = fit_slope_and_shift(logits(current, labelled.features), labelled.scores, labelled.weights)
    shifted = apply_to_head(current, slope, shift)
    return shifted if pull is None else _bend(shifted, labelled, pull)


def _bend(head: Floats, labelled: Labelled, pull: float) -> Floats:
    """Newton's method for the weights' difference from `head`, ridge `pull` on scaled features, bias nearly free."""
    scaling = Scaling.of(labelled.features, labelled.weights)
    design = np.hstack([scaling.apply(labelled.features), np.ones((len(labelled.scores), 1))])
    base = logits(head, labelled.features)
    ridge = np.full(design.shape[1], pull)
    ridge[-1] = 1.0
    change = np.zeros(design.shape[1])
    for _ in range(20):
        shares = sigmoid(base + design @ change)
        gradient = design.T @ (labelled.weights * (shares - labelled.scores)) + ridge * change
        curvature = (design * (labelled.weights * shares * (1.0 - shares))[:, None]).T @ design + np.diag(ridge)
        step = np.linalg.solve(curvature, gradient)
        change -= step
        if float(np.abs(step).max()) < 1e-8:
            break
    bent: Floats = head + scaling.fold_in(change[None, :-1], change[-1:])[0]
    return bent


def usable(logged: Sequence[LoggedDecision], current: Artefact) -> tuple[Labelled, RetrainReport]:
    without_label = without_features = foreign = 0
    kept: list[LoggedDecision] = []
    for row in capped(sorted(logged, key=lambda row: (row.at_unix, row.request_id))):
        if combined(row.labels) is None:
            without_label += 1
        elif row.features is None:
            without_features += 1
        elif row.features_digest != current.featurise.digest or row.features.shape != (current.featurise.size,):
            foreign += 1
        else:
            kept.append(row)
    labels = [combined(row.labels) or (0.0, 0.0) for row in kept]
    size = current.featurise.size
    features = np.stack([np.asarray(row.features, dtype=np.float64) for row in kept]) if kept else np.zeros((0, size))
    scores, weights = (np.array([label[part] for label in labels], dtype=np.float64) for part in (0, 1))
    features = np.nan_to_num(features)
    tiers = dict(zip(current.models, current.tiers, strict=True))
    columns = [ROW[tiers.get(row.model.model.lower()) or tier_of(row)] for row in kept]
    generic = generic_logits(current.worlds.astype(np.float64), features)[np.arange(len(kept)), columns]
    labelled = Labelled(tuple(kept), np.hstack([features, generic[:, None]]), scores, weights)
    return labelled, RetrainReport(len(kept), without_features, without_label, foreign, ())


def tier_of(row: LoggedDecision) -> str:
    return "small" if row.model.tier == "small" else "large"


def losses(shares: Floats, scores: Floats) -> Floats:
    bounded = np.clip(shares, 1e-3, 1.0 - 1e-3)
    losses: Floats = -(scores * np.log(bounded) + (1.0 - scores) * np.log1p(-bounded))
    return losses
