"""From rows to calibrated heads: two worlds and what mixes them, how strength is chosen, what a head has not seen.

Chat is judged by prompts of our own with a level each, exams (questions with a right answer) by outcomes of models.
Their scales differ: a small model that fails two of three exam questions does most everyday asks well. So each world
has heads of its own, and one more head says how far an ask belongs to which. The fitting is in `fit`, the slope and
shift in `calibrate`; reading and saving in `train`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from classifiers.artefact import Artefact, untaught_heads
from classifiers.errors import TrainingError
from classifiers.features import FeatureFunction
from classifiers.grams import GramTable, buckets_of
from classifiers.reading import read
from classifiers.tasks import TASKS
from classifiers.training.calibrate import apply_to_head, fit_slope_and_shift, sigmoid
from classifiers.training.dataset import Row
from classifiers.training.fit import (
    Floats,
    fit_exams,
    fit_gate,
    fit_grams,
    fit_quality,
    fit_support,
    fit_tasks,
    folds,
    logits,
)

STRENGTHS: Final = (0.001, 0.003, 0.01, 0.03)
"""Of the chat heads."""
TASK_STRENGTH: Final = 0.01
GATE_STRENGTH: Final = 0.3
CHAT_LEAN: Final = 1.3
"""Logits by which an ask is taken for chat before anything is known of it. Chat is what a gateway sees, and a chat ask
taken for an exam question is judged on the wrong scale. Tried once, with five authors and no table of words: with each
author left out, levels rank with a Spearman of 0.69 at 1, 0.71 at 2, 0.72 at 3 (chat heads alone: 0.74), while the
calibration error of all rows held out grows from 0.023 over 0.038 to 0.056: the short open questions of mixed_tasks
read like chat."""
FOLDS: Final = 5
TIERS: Final = ("small", "large")
Fit = Callable[["Table", Floats], Floats]
"""(rows, labels) -> head."""
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Table:
    """Training rows as arrays. features: (n, d); labels are NaN where unknown; weights: (n,).

    buckets: of `classifiers.grams`, by row; their columns are not among the features, for whoever fits adds them.
    """

    rows: Sequence[Row]
    features: Floats
    buckets: Sequence[list[int]]
    small: Floats
    large: Floats
    weights: Floats

    @classmethod
    def of(cls, rows: Sequence[Row], featurise: FeatureFunction) -> Table:
        # float16, because that is what the ledger keeps and retraining sees.
        features = featurise.many([row.ask for row in rows]).astype(np.float16).astype(np.float64)
        weights = np.ones(len(rows))
        levels = [row.level for row in rows if row.level is not None]
        for level in set(levels):  # each level weighs the same, so that the mix of our prompts sets no base rate
            of_level = np.array([row.level == level for row in rows])
            weights[of_level] = len(levels) / len(set(levels)) / of_level.sum()
        small, large = (
            np.array([np.nan if label is None else label for label in labels], dtype=np.float64)
            for labels in ([row.small for row in rows], [row.large for row in rows])
        )
        buckets = [buckets_of(read(row.ask)) for row in rows]
        return cls(rows, features, buckets, small, large, weights)

    def part(self, indices: Any) -> Table:
        chosen = np.arange(len(self.rows))[indices]
        return Table(
            [self.rows[index] for index in chosen],
            self.features[chosen],
            [self.buckets[index] for index in chosen],
            self.small[chosen],
            self.large[chosen],
            self.weights[chosen],
        )

    @property
    def groups(self) -> list[str]:
        return [row.group for row in self.rows]

    @property
    def domains(self) -> list[str]:
        return [row.domain for row in self.rows]

    @property
    def chat(self) -> NDArray[np.bool_]:
        return np.array([row.source == "chat" for row in self.rows], dtype=bool)


def fit_artefact(table: Table, featurise: FeatureFunction, strength: float, seed: int) -> Artefact:
    """All heads on all rows of the table, calibrated on folds of it. strength: of the chat heads.

    featurise: without a table of words, which is fitted here first.
    """
    grams, opinions = words_of_chat(table, seed)
    featurise = featurise.with_grams(grams)
    table = with_opinions(table, opinions, featurise)
    chat, exams = table.part(table.chat), table.part(~table.chat)
    worlds = fit_worlds(chat, exams, table, strength, seed)
    # Only our own prompts name their task; benchmarks as a whole taught the task head worse than nothing.
    tasks = fit_tasks(chat.features, [row.task for row in chat.rows], TASKS, chat.weights, TASK_STRENGTH)
    mean, spread, centres, knots = fit_support(table.features, _by_source(table), seed)
    arrays: dict[str, Floats] = {
        "worlds": worlds,
        "task_heads": tasks,
        "heads": untaught_heads(featurise.size).astype(np.float64),
        "priors": _priors(chat, exams),
        "support_mean": mean,
        "support_spread": spread,
        "support_centres": centres,
        "support_knots": knots,
    }
    single = {name: array.astype(np.float32) for name, array in arrays.items()}
    return Artefact(featurise, TASKS, (), (), manifest={}, **single)


def words_of_chat(table: Table, seed: int) -> tuple[GramTable, Floats]:
    """(the table of words of all chat rows, its columns for every row from a table that has not seen the row)."""

    def fit(rows: Table) -> GramTable:
        tasks = [row.task for row in rows.rows]
        return fit_grams(rows.features, rows.buckets, rows.small, tasks, rows.weights)

    chat = table.part(table.chat)
    of_all = fit(chat)
    opinions = of_all.opinions(table.buckets).astype(np.float64)
    places = np.flatnonzero(table.chat)
    for seen, unseen in folds(chat.groups, min(FOLDS, len(set(chat.groups))), seed):
        opinions[places[unseen]] = fit(chat.part(seen)).opinions([chat.buckets[index] for index in unseen])
    return of_all, opinions


def with_opinions(table: Table, opinions: Floats, featurise: FeatureFunction) -> Table:
    """The same rows with the columns of a table of words where `featurise` has them."""
    before, after = np.split(table.features, [featurise.before_grams], axis=1)
    # float16, because that is what the ledger keeps and retraining sees.
    columns = opinions.astype(np.float16).astype(np.float64)
    return replace(table, features=np.hstack([before, columns, after]))


def fit_worlds(chat: Table, exams: Table, table: Table, strength: float, seed: int) -> Floats:
    """Shape (5, d + 1), as `Artefact.worlds`. Without exams everything is chat."""

    def of_chat(rows: Table, labels: Floats) -> Floats:
        return fit_quality(rows.features, labels, rows.weights, strength)

    in_chat = [calibrated_head(chat, tier, of_chat, seed) for tier in TIERS]
    if not len(exams.rows):
        always = np.append(np.zeros(table.features.shape[1]), 50.0)
        return np.vstack([*in_chat, *in_chat, always])
    in_exams = [calibrated_head(exams, tier, exam_head, seed) for tier in TIERS]
    gate = fit_gate(table.features, table.chat, GATE_STRENGTH)
    gate[-1] += CHAT_LEAN
    return np.vstack([*in_chat, *in_exams, gate])


def exam_head(rows: Table, labels: Floats) -> Floats:
    """See `fit.fit_exams`."""
    return fit_exams(rows.features, labels, rows.domains)


def generic_logits(worlds: Floats, features: Floats) -> Floats:
    """What an artefact says of a small and of a large model before trust and retraining, shape (n, 2)."""
    products = features @ worlds[:, :-1].T + worlds[:, -1]
    chat = sigmoid(products[:, 4:])
    mixed: Floats = products[:, 2:4] + chat * (products[:, :2] - products[:, 2:4])
    return mixed


def calibrated_head(table: Table, tier: str, fit: Fit, seed: int) -> Floats:
    """One quality head, shape (d + 1,)."""
    table, labels = _labelled(table, tier)
    held_out = held_out_logits(table, labels, fit, table.groups, seed)
    slope, shift = fit_slope_and_shift(held_out, labels, table.weights)
    return apply_to_head(fit(table, labels), slope, shift)


def held_out_logits(table: Table, labels: Floats, fit: Fit, groups: list[str], seed: int) -> Floats:
    """For every row, the logit of a head that has not seen the row's group."""
    result = np.zeros(len(labels))
    for seen, unseen in folds(groups, min(FOLDS, len(set(groups))), seed):
        result[unseen] = logits(fit(table.part(seen), labels[seen]), table.features[unseen])
    return result


def choose_strength(table: Table, seed: int, say: Say) -> float:
    """The regularisation of the chat heads with the least weighted log loss on authors it has not seen.

    Whole authors are left out, because the next user is another one too; folds within authors chose looser heads.
    """
    table, labels = _labelled(table.part(table.chat), "small")
    authors = [row.group.split("/")[0] for row in table.rows]
    losses = {}
    for strength in STRENGTHS:

        def fit(rows: Table, labels: Floats, strength: float = strength) -> Floats:
            return fit_quality(rows.features, labels, rows.weights, strength)

        shares = sigmoid(held_out_logits(table, labels, fit, authors, seed))
        loss = -(labels * np.log(shares) + (1 - labels) * np.log1p(-shares))
        losses[strength] = float(np.average(loss, weights=table.weights))
        say(f"strength {strength}: log loss on authors left out {losses[strength]:.4f}")
    return min(losses, key=losses.__getitem__)


def _by_source(table: Table) -> Floats:
    """Weights by which each source counts the same."""
    sources = np.array([row.source for row in table.rows])
    weights = np.zeros(len(sources))
    for source in set(sources):
        here = sources == source
        weights[here] = 1.0 / here.sum()
    shared: Floats = weights * len(sources) / weights.sum()
    return shared


def _labelled(table: Table, tier: str) -> tuple[Table, Floats]:
    labels = table.small if tier == "small" else table.large
    known = ~np.isnan(labels)
    if known.sum() < 50:
        raise TrainingError(f"only {int(known.sum())} rows have an outcome of a {tier} model; 50 are needed")
    return table.part(known), labels[known]


def _priors(chat: Table, exams: Table) -> Floats:
    """As `Artefact.priors`; a task's share is drawn towards the mean of its tier as if by twenty rows."""
    priors = []
    for world in (chat, exams if len(exams.rows) else chat):
        tasks = np.array([row.task for row in world.rows])
        for labels in (world.small, world.large):
            known = ~np.isnan(labels)
            overall = float(np.average(labels[known], weights=world.weights[known]))
            weights, totals = (
                np.array([values[known & (tasks == task)].sum() for task in TASKS])
                for values in (world.weights, world.weights * np.nan_to_num(labels))
            )
            priors.append((totals + 20.0 * overall) / (weights + 20.0))
    return np.clip(priors, 0.02, 0.98)
