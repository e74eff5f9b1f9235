"""What routing between two models of an outcome file would have been worth, beside the baselines that keep one honest.

As it is, the judge has seen nothing of the file. It may instead be shown labels: of the other folds, of the other
domains, or of other files; every row is then ranked by what has not seen it (`own_labels`).

The figures, all over the rows that have an outcome of both models, which `pairing` reads:

apgr, cpt50, cpt80
    PGR is the share of the gap between the two models that is recovered; APGR the area under PGR over the share of
    calls sent to the large model, CPT(x) the smallest share with PGR >= x (RouteLLM, arXiv 2406.18665, section 3.2).
    Exact over all n + 1 ways to cut the ranking, ties in random order; None where the large model is not better.
    apgr_low and apgr_high are the 95 per cent percentile bootstrap interval over 1000 resamples of the rows.
auc, auc_small
    Area under the ROC curve: of the ranking against [large better than small], of P(small is good) against
    [score of small > 0.5]. auc_small_within: the mean over the file's domains of the AUC within each.
brier, ece
    Of P(small is good): mean squared error (Brier 1950); expected calibration error over 15 bins of equal count
    (Nguyen and O'Connor 2015). None for rankings that state no share.
wasted_share, risk_share
    Of all rows, those sent to the large model though the small one did as well, and those sent to the small one though
    the large one did better, at the judge's own threshold of 0.35 (once shown labels: at the same share of calls).
cost_at_95
    The share of always-large's bill at which 95 per cent of its quality is kept, the threshold chosen on one random
    half and the bill read on the other. Costs are the file's, else tokens at 24.7 and 0.24 dollars per million.

Baselines: random; length of the query; task_type (the mean gain of the row's domain among the rows learned from; where
that cannot be known, of its task as judged; without labels the mean complexity of that task); incumbent (the shipped
judge as it is; where that is what is measured, the heuristic). The oracle ranks by the true gain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from classifiers.artefact import Artefact
from classifiers.contract import Classifier
from classifiers.errors import TrainingError
from classifiers.features import FeatureFunction
from classifiers.heuristic import HeuristicClassifier
from classifiers.learned import LearnedClassifier
from classifiers.training import own_labels, scorecard
from classifiers.training.dataset import OutcomeRow
from classifiers.training.fit import Floats, folds
from classifiers.training.judging import assess_all, cpu_milliseconds
from classifiers.training.own_labels import Opinions
from classifiers.training.pairing import LENGTH, Paired, pair, pair_tiers
from classifiers.training.report import THRESHOLD


@dataclass(frozen=True, slots=True)
class Lessons:
    """Whether the judge is shown labels before it ranks, and which. At most one of the first three is given.

    folds: of the other folds. leave_domains: of the other domains. others: rows of other files, by file name.
    labels: only so many of them.
    """

    folds: int | None = None
    leave_domains: bool = False
    others: Sequence[tuple[str, Sequence[OutcomeRow]]] = ()
    labels: int | None = None

    @property
    def any(self) -> bool:
        return self.folds is not None or self.leave_domains or bool(self.others)


def evaluate(
    rows: Sequence[OutcomeRow],
    small: str,
    large: str,
    artefact: Artefact,
    *,
    classifier: Classifier | None = None,
    lessons: Lessons | None = None,
    incumbent: Classifier | None = None,
    plot: Path | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """The figures of the file, ready for JSON; what they mean is told above. Raises TrainingError, OSError.

    artefact: whose features are learned from. classifier: what judges as it is, default the artefact's own.
    incumbent: what stands beside it, default the heuristic. plot: a PNG to draw to.
    """
    lessons = lessons or Lessons()
    judge = classifier or LearnedClassifier(artefact)
    before = incumbent or HeuristicClassifier()
    paired = pair(rows, small, large, artefact.featurise)
    own = isinstance(judge, LearnedClassifier) and judge.artefact.featurise.digest == artefact.featurise.digest
    assessed = assess_all(judge, paired.asks, paired.vectors if own else None)
    p50, p99 = cpu_milliseconds(judge, paired.asks)
    as_it_is = np.array([assessment.complexity for assessment in assessed])
    tasks = [assessment.task for assessment in assessed]
    learned, linear, taught = _learn(paired, small, large, artefact.featurise, lessons, seed)
    router = learned or Opinions(as_it_is[None, :], 1.0 - as_it_is[None, :])
    rankings = {
        "random": np.random.default_rng(seed).random(len(paired)),
        "length": paired.features[:, LENGTH],
        "task_type": _task_type(paired, tasks, as_it_is, lessons, taught, seed),
        "incumbent": np.array([assessment.complexity for assessment in assess_all(before, paired.asks)]),
    }
    oracle = paired.large - paired.small
    if plot is not None:
        _draw(plot, f"{small} and {large}, n = {len(paired)}", router, rankings, oracle, paired)
    return {
        "n": len(paired),
        "small": small,
        "large": large,
        "classifier": judge.name,
        "features": artefact.digest,
        "incumbent": before.name,
        **_told(lessons, taught, small, large),
        "seed": seed,
        "small_mean": float(paired.small.mean()),
        "large_mean": float(paired.large.mean()),
        "router": {
            **scorecard.scored(router.score, router.share, paired, seed),
            **scorecard.within_domains(router.share, paired, seed),
            "ms_p50": p50,
            "ms_p99": p99,
        },
        "linear_heads": None
        if linear is None
        else {
            **scorecard.scored(linear.score, linear.share, paired, seed),
            **scorecard.within_domains(linear.share, paired, seed),
        },
        "baselines": {
            name: scorecard.scored(
                ranking[None, :], 1.0 - ranking[None, :] if name == "incumbent" else None, paired, seed
            )
            for name, ranking in rankings.items()
        },
        "oracle": scorecard.scored(oracle[None, :], None, paired, seed),
        "by_domain": scorecard.by_domain(router.score, router.share, paired, seed),
        **scorecard.at_threshold(router.score, float(np.mean(as_it_is >= THRESHOLD)), paired),
        "cost_at_95": scorecard.cost_at_95(router.score, paired, seed),
    }


@dataclass(frozen=True, slots=True)
class _Taught:
    """Rows of other files that were learned from, and whether they are of the two models or of whole tiers."""

    rows: Paired
    named_models: bool


def _learn(
    paired: Paired, small: str, large: str, featurise: FeatureFunction, lessons: Lessons, seed: int
) -> tuple[Opinions | None, Opinions | None, _Taught | None]:
    """(what the labels teach, what linear heads alone learn of them, the rows of other files), None where not asked."""
    few = lessons.labels
    if lessons.folds is not None:
        count = lessons.folds
        learned, linear = (own_labels.in_folds(paired, count, seed, few, linear=alone) for alone in (False, True))
        return learned, linear, None
    if lessons.leave_domains:
        learned, linear = (own_labels.domain_by_domain(paired, seed, few, linear=alone) for alone in (False, True))
        return learned, linear, None
    if lessons.others:
        taught = _taught(lessons.others, small, large, featurise)
        learned, linear = (
            own_labels.from_others(taught.rows, paired, seed, few, linear=alone) for alone in (False, True)
        )
        return learned, linear, taught
    if few is not None:
        raise TrainingError("so many labels of what? Name folds, domains left out or files to learn from")
    return None, None, None


def _taught(
    others: Sequence[tuple[str, Sequence[OutcomeRow]]], small: str, large: str, featurise: FeatureFunction
) -> _Taught:
    """Rows of both models where any file has them, else the mean small and the mean large model of the files."""
    rows = [row for _, of_file in others for row in of_file]
    if any(small in row.scores and large in row.scores for row in rows):
        return _Taught(pair(rows, small, large, featurise), named_models=True)
    try:
        return _Taught(pair_tiers(rows, featurise), named_models=False)
    except TrainingError as error:
        names = ", ".join(name for name, _ in others)
        raise TrainingError(f"{names}: no row to learn from: neither both models nor both tiers") from error


def _told(lessons: Lessons, taught: _Taught | None, small: str, large: str) -> dict[str, Any]:
    """How the ranking came about, for the JSON."""
    models: str | None
    if taught is not None:
        models = f"{small} and {large}" if taught.named_models else "generic tiers (mean small, mean large model)"
    else:
        models = f"{small} and {large}" if lessons.any else None
    return {
        "folds": lessons.folds,
        "leave_out": "domain" if lessons.leave_domains else None,
        "train": [name for name, _ in lessons.others] or None,
        "labels": lessons.labels,
        "draws": own_labels.DRAWS if lessons.labels is not None else None,
        "learned_from": models,
    }


def _task_type(
    paired: Paired, tasks: Sequence[str], as_it_is: Floats, lessons: Lessons, taught: _Taught | None, seed: int
) -> Floats:
    gain = paired.large - paired.small
    everything = np.arange(len(paired))
    judged = np.array(tasks)
    if lessons.folds is not None:
        return _mean_gain(folds(list(paired.groups), lessons.folds, seed), paired.domains, paired.domains, gain)
    if lessons.leave_domains:
        splits = [
            (np.flatnonzero(paired.domains != name), np.flatnonzero(paired.domains == name))
            for name in sorted(set(paired.domains.tolist()))
        ]
        return _mean_gain(splits, judged, judged, gain)
    if taught is not None:
        seen = np.arange(len(taught.rows))
        gain = taught.rows.large - taught.rows.small
        return _mean_gain([(seen, everything)], taught.rows.domains, paired.domains, gain)
    return _mean_gain([(everything, everything)], judged, judged, as_it_is)


def _mean_gain(splits: Any, keys: Any, asked: Any, gain: Floats) -> Floats:
    """For each row the mean gain of the seen rows with the same key, else of all of them."""
    result = np.zeros(len(asked))
    for seen, unseen in splits:
        means = {name: float(gain[seen][keys[seen] == name].mean()) for name in set(keys[seen].tolist())}
        overall = float(gain[seen].mean())
        result[unseen] = [means.get(name, overall) for name in asked[unseen].tolist()]
    return result


def _draw(
    path: Path, title: str, router: Opinions, rankings: dict[str, Floats], oracle: Floats, paired: Paired
) -> None:
    # A library of its own weight, wanted by few runs.
    from classifiers.training import plots

    scores = {"router": router.score[0], **rankings, "oracle": oracle}
    plots.draw(path, title, scores, router.share[0], paired.small, paired.large)
