"""From rows to calibrated heads: how chat and exams are weighed, how strength is chosen, what a head has not seen.

The fitting itself is in `fit`, the slope and shift in `calibrate`; reading and saving in `train`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from classifiers.artefact import Artefact
from classifiers.errors import TrainingError
from classifiers.features import FeatureFunction
from classifiers.tasks import TASKS
from classifiers.training.calibrate import apply_to_head, fit_slope_and_shift, sigmoid
from classifiers.training.dataset import Row
from classifiers.training.fit import Floats, fit_quality, fit_support, fit_tasks, folds, logits

CHAT_WEIGHT: Final = 8.0
"""Weight of all chat prompts together, against all outcome rows together.

More helps chat (seed tasks and languages left out) and costs ranking on exams. Between 5 and 20 the choice was not
blind: the shares of `bench/day_one.py` on the held-out chat prompts and the APGR on routellm_mmlu were looked at.
"""
STRENGTHS: Final = (0.0001, 0.0003, 0.001, 0.003)
TASK_STRENGTH: Final = 0.03
FOLDS: Final = 5
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Table:
    """Training rows as arrays. features: (n, d); labels are NaN where unknown; weights: (n,)."""

    rows: Sequence[Row]
    features: Floats
    small: Floats
    large: Floats
    weights: Floats

    @classmethod
    def of(cls, rows: Sequence[Row], featurise: FeatureFunction) -> Table:
        # float16, because that is what the ledger keeps and retraining sees.
        features = np.stack([featurise(row.ask) for row in rows]).astype(np.float16).astype(np.float64)
        chat = np.array([row.source == "chat" for row in rows])
        weights = np.ones(len(rows))
        levels = [row.level for row in rows if row.level is not None]
        for level in set(levels):  # each level weighs the same, so that the mix of our prompts sets no base rate
            of_level = np.array([row.level == level for row in rows])
            everything = CHAT_WEIGHT * (~chat).sum() if not chat.all() else float(len(rows))
            weights[of_level] = everything / len(set(levels)) / of_level.sum()
        small, large = (
            np.array([np.nan if label is None else label for label in labels], dtype=np.float64)
            for labels in ([row.small for row in rows], [row.large for row in rows])
        )
        return cls(rows, features, small, large, weights)

    def part(self, indices: Any) -> Table:
        chosen = np.arange(len(self.rows))[indices]
        return Table(
            [self.rows[index] for index in chosen],
            self.features[chosen],
            self.small[chosen],
            self.large[chosen],
            self.weights[chosen],
        )

    @property
    def groups(self) -> list[str]:
        return [row.group for row in self.rows]


def fit_artefact(table: Table, featurise: FeatureFunction, strength: float, seed: int) -> Artefact:
    """All heads on all rows of the table, calibrated on folds of it."""
    quality = [calibrated_head(table, tier, strength, seed) for tier in ("small", "large")]
    # Only our own prompts name their task; benchmarks as a whole taught the task head worse than nothing.
    chat = table.part(np.array([row.source == "chat" for row in table.rows]))
    tasks = fit_tasks(chat.features, [row.task for row in chat.rows], TASKS, chat.weights, TASK_STRENGTH)
    mean, spread, knots = fit_support(table.features, table.weights)
    return Artefact(
        featurise=featurise,
        tasks=TASKS,
        models=(),
        heads=np.vstack([*quality, tasks]).astype(np.float32),
        priors=_priors(table).astype(np.float32),
        support_mean=mean.astype(np.float32),
        support_spread=spread.astype(np.float32),
        support_knots=knots.astype(np.float32),
    )


def calibrated_head(table: Table, tier: str, strength: float, seed: int) -> Floats:
    """One generic quality head, shape (d + 1,)."""
    table, labels = _labelled(table, tier)
    held_out = held_out_logits(table, labels, strength, seed)
    slope, shift = fit_slope_and_shift(held_out, labels, table.weights)
    return apply_to_head(fit_quality(table.features, labels, table.weights, strength), slope, shift)


def held_out_logits(
    table: Table, labels: Floats, strength: float, seed: int, groups: list[str] | None = None
) -> Floats:
    """For every row, the logit of a head that has not seen the row's group (of `groups`, else the row's own)."""
    result = np.zeros(len(labels))
    for seen, unseen in folds(groups or table.groups, FOLDS, seed):
        head = fit_quality(table.features[seen], labels[seen], table.weights[seen], strength)
        result[unseen] = logits(head, table.features[unseen])
    return result


def choose_strength(table: Table, seed: int, say: Say) -> float:
    """The regularisation with the least weighted log loss of the small head on domains it has not seen.

    Whole domains are left out, because that is what traffic does to a router; folds within domains chose looser heads.
    """
    table, labels = _labelled(table, "small")
    domains = [row.domain for row in table.rows]
    losses = {}
    for strength in STRENGTHS:
        shares = sigmoid(held_out_logits(table, labels, strength, seed, domains))
        loss = -(labels * np.log(shares) + (1 - labels) * np.log1p(-shares))
        losses[strength] = float(np.average(loss, weights=table.weights))
        say(f"strength {strength}: log loss on domains left out {losses[strength]:.4f}")
    return min(losses, key=losses.__getitem__)


def _labelled(table: Table, tier: str) -> tuple[Table, Floats]:
    labels = table.small if tier == "small" else table.large
    known = ~np.isnan(labels)
    if known.sum() < 50:
        raise TrainingError(f"only {int(known.sum())} rows have an outcome of a {tier} model; 50 are needed")
    return table.part(known), labels[known]


def _priors(table: Table) -> Floats:
    """P(good answer) by tier and task, shape (2, tasks), drawn a little towards the mean of the tier."""
    priors = np.zeros((2, len(TASKS)))
    for tier, labels in enumerate((table.small, table.large)):
        known = ~np.isnan(labels)
        overall = float(np.average(labels[known], weights=table.weights[known]))
        for column, task in enumerate(TASKS):
            of_task = known & np.array([row.task == task for row in table.rows])
            weight = float(table.weights[of_task].sum())
            total = float((table.weights * np.nan_to_num(labels))[of_task].sum())
            priors[tier, column] = (total + 20.0 * overall) / (weight + 20.0)
    return np.clip(priors, 0.02, 0.98)
