"""Figures of a replay: shares by model, rule and plan; quality and cost with intervals, beside the usual yardsticks.

Intervals are 95 per cent percentile bootstrap over the rows; differences are paired, row by row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifiers.training.measures import Figure, bootstrap
from router.policy.compiled import Route
from router.trial.replayed import Replay, Replayed

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Yardstick:
    """One way to answer all rows. cost: mean dollars a row; None where a price is unknown."""

    name: str
    quality: Figure
    cost_usd: Figure


@dataclass(frozen=True, slots=True)
class Worth:
    """rows: those that figures are over. kept: share of the baseline's quality. saved: share of its bill not spent."""

    rows: int
    policy: Yardstick
    yardsticks: tuple[Yardstick, ...]
    kept: Figure
    saved: Figure
    by_model: dict[str, int]
    by_rule: dict[str, int]
    by_plan: dict[str, int]
    baseline: str
    cheapest: str


def worth(replayed: Replay, route: str, seed: int = 0) -> Worth | None:
    """The figures; None where no row was answered."""
    places = np.array([place for place, row in enumerate(replayed.rows) if row.quality is not None], dtype=np.intp)
    if not len(places):
        return None
    rows = [replayed.rows[place] for place in places]
    quality, cost = quality_of(rows), cost_of(rows)
    scores = {name: values[places] for name, values in replayed.scores.items()}
    costs = {name: values[places] for name, values in replayed.costs.items()}
    names = list(scores)
    cheapest = min(names, key=lambda name: _mean_or_most(costs[name]))
    target = replayed.policy.routes.get(route)
    baseline = target.baseline if isinstance(target, Route) and target.baseline in scores else None
    baseline = baseline or max(names, key=lambda name: float(scores[name].mean()))
    shares = Counter(row.model for row in rows)
    random_quality = sum((count / len(rows) * scores[str(name)] for name, count in shares.items()), np.zeros(len(rows)))
    random_cost = sum((count / len(rows) * costs[str(name)] for name, count in shares.items()), np.zeros(len(rows)))
    best, for_best = _oracle(scores, costs)
    return Worth(
        len(rows),
        _yardstick("this policy", quality, cost, seed),
        (
            _yardstick(f"always {cheapest} (cheapest)", scores[cheapest], costs[cheapest], seed),
            _yardstick(f"always {baseline} (baseline)", scores[baseline], costs[baseline], seed),
            _yardstick("random, same shares", random_quality, random_cost, seed),
            _yardstick("oracle", best, for_best, seed),
        ),
        _ratio(quality, scores[baseline], seed, lambda ours, theirs: ours / theirs),
        _ratio(cost, costs[baseline], seed, lambda ours, theirs: 1 - ours / theirs),
        _counted(row.model for row in rows),
        _counted(row.rule for row in rows),
        _counted(row.plan for row in rows),
        baseline,
        cheapest,
    )


def quality_of(rows: Sequence[Replayed]) -> Floats:
    return np.array([row.quality for row in rows], dtype=np.float64)


def cost_of(rows: Sequence[Replayed]) -> Floats:
    """Dollars; NaN where a price is unknown."""
    return np.array([np.nan if row.cost_usd is None else row.cost_usd for row in rows])


def mean_of(values: Floats, seed: int) -> Figure:
    """The mean with its interval; none where any value is unknown."""
    if np.isnan(values).any():
        return Figure(None)
    return bootstrap(lambda picked: float(values[picked].mean()), len(values), seed)


def _yardstick(name: str, quality: Floats, cost: Floats, seed: int) -> Yardstick:
    return Yardstick(name, mean_of(quality, seed), mean_of(cost, seed))


def _ratio(ours: Floats, theirs: Floats, seed: int, of: Callable[[float, float], float]) -> Figure:
    if np.isnan(ours).any() or np.isnan(theirs).any():
        return Figure(None)

    def measure(picked: NDArray[np.intp]) -> float | None:
        below = float(theirs[picked].sum())
        return None if below <= 0 else of(float(ours[picked].sum()), below)

    return bootstrap(measure, len(ours), seed)


def _oracle(scores: dict[str, Floats], costs: dict[str, Floats]) -> tuple[Floats, Floats]:
    """The best answer of each row, by the cheapest model that gives it."""
    table, bill = np.stack(list(scores.values())), np.stack(list(costs.values()))
    best = table.max(axis=0)
    dear = np.where(table >= best - 1e-9, np.nan_to_num(bill, nan=np.inf), np.inf).min(axis=0)
    return best, np.where(np.isinf(dear), np.nan, dear)


def _mean_or_most(values: Floats) -> float:
    mean = float(values.mean())
    return float("inf") if mean != mean else mean


def _counted(names: Any) -> dict[str, int]:
    return dict(Counter(map(str, names)).most_common())
