"""What routing between two models of an outcome file would have been worth, beside the baselines that keep one honest.

Without folds the artefact is scored as it is. With folds, two heads (small and large) are fitted on the file's own
labels, and each row is scored by heads that have not seen it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from classifiers.artefact import Artefact
from classifiers.contract import AskText
from classifiers.errors import TrainingError
from classifiers.features import names
from classifiers.heuristic import HeuristicClassifier
from classifiers.learned import LearnedClassifier
from classifiers.training import measures
from classifiers.training.calibrate import apply_to_head, fit_slope_and_shift, sigmoid
from classifiers.training.dataset import OutcomeRow
from classifiers.training.fit import Floats, fit_quality, folds, logits, one_thread
from classifiers.training.report import THRESHOLD

LARGE_PRICE, SMALL_PRICE = 24.7, 0.24
"""Dollars per million tokens where the file gives no costs: GPT-4-1106 and Mixtral-8x7B as in arXiv 2406.18665."""
STRENGTH: Final = 0.03
KEEP: Final = 0.95
_LENGTH: Final = names().index("units")
_TIMED: Final = 400


@dataclass(frozen=True, slots=True)
class Paired:
    """Queries with both models' scores, shapes (n,); share: P(small is good) where a router has one."""

    features: Floats
    small: Floats
    large: Floats
    small_cost: Floats
    large_cost: Floats
    domains: NDArray[np.str_]


def evaluate(
    rows: Sequence[OutcomeRow],
    small: str,
    large: str,
    artefact: Artefact,
    *,
    fold_count: int | None = None,
    seed: int = 0,
    incumbent: Artefact | None = None,
) -> dict[str, Any]:
    """The figures of the file, ready for JSON. Raises TrainingError if a model is not in it.

    apgr, cpt50, cpt80: see `measures`, on the routing score. auc: of the routing score against [large better than
    small]. auc_small, brier, ece: of P(small is good); None for routers that state none. wasted_share: of all
    requests, those sent to the large model though the small one did as well; risk_share: those sent to the small one
    though the large one did better; both at the router's own 0.35 (with folds: at the same share of large calls).
    cost_at_95: see `cost_keeping`. apgr_low, apgr_high: 95 per cent bootstrap interval.
    """
    both = [row for row in rows if small in row.scores and large in row.scores]
    if not both:
        known = sorted({model for row in rows for model in row.scores})
        raise TrainingError(f"no row has outcomes of both {small!r} and {large!r}; the file knows {', '.join(known)}")
    asks = [AskText(row.query) for row in both]
    paired = _pair(both, asks, small, large, artefact)
    learned = LearnedClassifier(artefact)
    zero_shot = np.array([learned.assess(ask, ()).complexity for ask in asks])
    if fold_count is None:
        score, share = zero_shot, 1.0 - zero_shot
        task = _prior_of_task(artefact, paired.features)
    else:
        with one_thread():
            score, share = _folded(paired, fold_count, seed)
        task = _gain_of_domain(paired, fold_count, seed)
    to_large = _top(score, float(np.mean(zero_shot >= THRESHOLD)))
    if incumbent is not None:
        other = LearnedClassifier(incumbent)
        before = np.array([other.assess(ask, ()).complexity for ask in asks])
    else:
        heuristic = HeuristicClassifier()
        before = np.array([heuristic.assess(ask, ()).complexity for ask in asks])
    random = np.random.default_rng(seed).random(len(both))
    better = paired.large > paired.small
    p50, p99 = _milliseconds(learned, asks)
    return {
        "n": len(both),
        "small": small,
        "large": large,
        "classifier": learned.name,
        "folds": fold_count,
        "small_mean": float(paired.small.mean()),
        "large_mean": float(paired.large.mean()),
        "router": {**_scored(score, share, paired, seed), "ms_p50": p50, "ms_p99": p99},
        "baselines": {
            "random": _scored(random, None, paired, seed),
            "length": _scored(paired.features[:, _LENGTH], None, paired, seed),
            "task_type": _scored(task, None, paired, seed),
            "incumbent": _scored(before, 1.0 - before, paired, seed),
        },
        "oracle": _scored(paired.large - paired.small, None, paired, seed),
        "by_domain": _by_domain(score, paired, seed),
        "wasted_share": float(np.mean(to_large & ~better)),
        "risk_share": float(np.mean(~to_large & better)),
        "cost_at_95": cost_keeping(score, paired, seed),
    }


def cost_keeping(score: Floats, paired: Paired, seed: int) -> float | None:
    """Share of always-large's bill at which KEEP of its quality is kept: the threshold is chosen on one random half,
    the cost read on the other. None if no threshold keeps it on the first half."""
    order = np.random.default_rng(seed).permutation(len(score))
    chosen_on, read_on = order[: len(order) // 2], order[len(order) // 2 :]
    by_score = chosen_on[np.argsort(-score[chosen_on], kind="stable")]
    quality = paired.small[by_score].sum() + np.concatenate(
        [[0.0], np.cumsum(paired.large[by_score] - paired.small[by_score])]
    )
    enough = np.flatnonzero(quality >= KEEP * paired.large[by_score].sum())
    if not len(enough) or not len(read_on):
        return None
    calls = int(enough[0])
    threshold = np.inf if calls == 0 else float(score[by_score[calls - 1]])
    to_large = score[read_on] >= threshold
    bill = np.where(to_large, paired.large_cost[read_on], paired.small_cost[read_on]).sum()
    return float(bill / paired.large_cost[read_on].sum())


def _pair(both: Sequence[OutcomeRow], asks: Sequence[AskText], small: str, large: str, artefact: Artefact) -> Paired:
    features = np.stack([artefact.featurise(ask) for ask in asks]).astype(np.float64)
    tokens = np.expm1(features[:, _LENGTH]) * 1.35
    costs = []
    for model, price in ((small, SMALL_PRICE), (large, LARGE_PRICE)):
        given = [row.costs[model] for row in both]
        if all(cost is not None for cost in given):
            costs.append(np.array(given, dtype=np.float64))
        else:
            costs.append((tokens + np.array([row.output_tokens[model] or 300.0 for row in both])) * price * 1e-6)
    return Paired(
        features=features,
        small=np.array([row.scores[small] for row in both]),
        large=np.array([row.scores[large] for row in both]),
        small_cost=costs[0],
        large_cost=costs[1],
        domains=np.array([row.domain for row in both]),
    )


def _folded(paired: Paired, count: int, seed: int) -> tuple[Floats, Floats]:
    """(gain, P(small is good)) from heads fitted on the other folds and calibrated on folds of those."""
    n = len(paired.small)
    share = {"small": np.zeros(n), "large": np.zeros(n)}
    groups = [str(number) for number in range(n)]
    for seen, unseen in folds(groups, count, seed):
        for tier, labels in (("small", paired.small), ("large", paired.large)):
            ones = np.ones(len(seen))
            held_out = np.zeros(len(seen))
            for inner, outer in folds([groups[index] for index in seen], 3, seed):
                head = fit_quality(paired.features[seen[inner]], labels[seen[inner]], ones[inner], STRENGTH)
                held_out[outer] = logits(head, paired.features[seen[outer]])
            slope, shift = fit_slope_and_shift(held_out, labels[seen], ones)
            head = apply_to_head(fit_quality(paired.features[seen], labels[seen], ones, STRENGTH), slope, shift)
            share[tier][unseen] = sigmoid(logits(head, paired.features[unseen]))
    return share["large"] - share["small"], share["small"]


def _prior_of_task(artefact: Artefact, features: Floats) -> Floats:
    heads = artefact.heads[2 : 2 + len(artefact.tasks)].astype(np.float64)
    tasks = (features @ heads[:, :-1].T + heads[:, -1]).argmax(axis=1)
    scores: Floats = 1.0 - artefact.priors[0].astype(np.float64)[tasks]
    return scores


def _gain_of_domain(paired: Paired, count: int, seed: int) -> Floats:
    gain = paired.large - paired.small
    result = np.zeros(len(gain))
    for seen, unseen in folds([str(number) for number in range(len(gain))], count, seed):
        means = {name: float(gain[seen][paired.domains[seen] == name].mean()) for name in set(paired.domains[seen])}
        overall = float(gain[seen].mean())
        result[unseen] = [means.get(name, overall) for name in paired.domains[unseen]]
    return result


def _scored(score: Floats, share: Floats | None, paired: Paired, seed: int) -> dict[str, float | None]:
    small, large = paired.small, paired.large
    area = measures.bootstrap(lambda i: measures.apgr(score[i], small[i], large[i], seed), len(score), seed, times=200)
    return {
        "apgr": area.value,
        "apgr_low": area.low,
        "apgr_high": area.high,
        "cpt50": measures.cpt(score, small, large, 0.5, seed),
        "cpt80": measures.cpt(score, small, large, 0.8, seed),
        "auc": measures.auc(score, large > small),
        "auc_small": None if share is None else measures.auc(share, small > 0.5),
        "brier": None if share is None else measures.brier(share, small),
        "ece": None if share is None else measures.ece(share, small),
    }


def _by_domain(score: Floats, paired: Paired, seed: int) -> list[dict[str, Any]]:
    rows = []
    for domain in sorted(set(paired.domains.tolist())):
        here = paired.domains == domain
        small, large = paired.small[here], paired.large[here]
        rows.append(
            {
                "domain": domain,
                "n": int(here.sum()),
                "apgr": measures.apgr(score[here], small, large, seed),
                "auc": measures.auc(score[here], large > small),
            }
        )
    return rows


def _top(score: Floats, share: float) -> NDArray[np.bool_]:
    chosen = np.zeros(len(score), dtype=bool)
    chosen[np.argsort(-score, kind="stable")[: round(share * len(score))]] = True
    return chosen


def _milliseconds(classifier: LearnedClassifier, asks: Sequence[AskText]) -> tuple[float, float]:
    """CPU p50 and p99 of one assessment."""
    taken = []
    for ask in asks[:_TIMED]:
        begun = time.thread_time_ns()
        classifier.assess(ask, ())
        taken.append((time.thread_time_ns() - begun) / 1e6)
    p50, p99 = np.quantile(taken, [0.5, 0.99])
    return float(p50), float(p99)
