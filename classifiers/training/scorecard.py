"""One ranking of paired rows turned into figures: quality for cost, ranking, calibration, money.

What the figures mean, and where they come from, is told in `evaluate`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from classifiers.training import measures
from classifiers.training.fit import Floats
from classifiers.training.pairing import Paired

KEEP: Final = 0.95
TIMES: Final = 1000
"""Resamples of an interval."""
_TIMES_WITHIN: Final = 200


def scored(draws: Floats, shares: Floats | None, paired: Paired, seed: int) -> dict[str, float | None]:
    """Figures of one router: draws (k, n) of its ranking, shares of P(small is good) or None; means over the draws."""
    small, large = paired.small, paired.large
    area = measures.apgr_of_draws(draws, small, large, seed, TIMES)
    return {
        "apgr": area.value,
        "apgr_low": area.low,
        "apgr_high": area.high,
        "cpt50": _mean(lambda row: measures.cpt(row, small, large, 0.5, seed), draws),
        "cpt80": _mean(lambda row: measures.cpt(row, small, large, 0.8, seed), draws),
        "auc": _mean(lambda row: measures.auc(row, paired.large_is_better), draws),
        "auc_small": None if shares is None else _mean(lambda row: measures.auc(row, small > 0.5), shares),
        "brier": None if shares is None else _mean(lambda row: measures.brier(row, small), shares),
        "ece": None if shares is None else _mean(lambda row: measures.ece(row, small), shares),
    }


def by_domain(draws: Floats, shares: Floats | None, paired: Paired, seed: int) -> list[dict[str, Any]]:
    """A row for each domain, in the order of their names."""
    rows = []
    for domain in sorted(set(paired.domains.tolist())):
        here = paired.domains == domain
        small, large = paired.small[here], paired.large[here]
        rows.append(
            {
                "domain": domain,
                "n": int(here.sum()),
                "apgr": _mean(_apgr_of(small, large, seed), draws[:, here]),
                "auc": _mean(_auc_of(large > small), draws[:, here]),
                "auc_small": None if shares is None else _mean(_auc_of(small > 0.5), shares[:, here]),
            }
        )
    return rows


def within_domains(shares: Floats, paired: Paired, seed: int) -> dict[str, float | None]:
    """Mean over domains of auc_small within each, of which knowing the domain is worth nothing; with its interval.

    Rows are drawn anew within each domain. Domains where the small model is always or never right are left out.
    """
    good = paired.small > 0.5
    members = [np.flatnonzero(paired.domains == name) for name in sorted(set(paired.domains.tolist()))]
    members = [rows for rows in members if 0 < good[rows].sum() < len(rows)]
    if not members:
        return {"auc_small_within": None, "auc_small_within_low": None, "auc_small_within_high": None}

    def mean(drawn: list[NDArray[np.intp]]) -> float | None:
        return _mean(lambda rows: _mean(lambda share: measures.auc(share[rows], good[rows]), shares), drawn)

    random = np.random.default_rng(seed)
    again = [mean([random.choice(rows, len(rows)) for rows in members]) for _ in range(_TIMES_WITHIN)]
    low, high = np.quantile([figure for figure in again if figure is not None], [0.025, 0.975])
    return {"auc_small_within": mean(members), "auc_small_within_low": float(low), "auc_small_within_high": float(high)}


def at_threshold(draws: Floats, large_share: float, paired: Paired) -> dict[str, float]:
    """wasted_share and risk_share when the highest `large_share` of the rows go to the large model."""
    better = paired.large_is_better
    chosen = [_top(row, large_share) for row in draws]
    return {
        "wasted_share": float(np.mean([np.mean(to_large & ~better) for to_large in chosen])),
        "risk_share": float(np.mean([np.mean(~to_large & better) for to_large in chosen])),
    }


def cost_at_95(draws: Floats, paired: Paired, seed: int) -> float | None:
    """Mean over the draws of `cost_keeping`."""
    return _mean(lambda row: cost_keeping(row, paired, seed), draws)


def cost_keeping(score: Floats, paired: Paired, seed: int) -> float | None:
    """Share of always-large's bill at which KEEP of its quality is kept: the threshold is chosen on one random half,
    the cost read on the other. None if no threshold keeps it on the first half, or nothing is paid for at all."""
    order = np.random.default_rng(seed).permutation(len(score))
    chosen_on, read_on = order[: len(order) // 2], order[len(order) // 2 :]
    by_score = chosen_on[np.argsort(-score[chosen_on], kind="stable")]
    quality = paired.small[by_score].sum() + np.concatenate(
        [[0.0], np.cumsum(paired.large[by_score] - paired.small[by_score])]
    )
    enough = np.flatnonzero(quality >= KEEP * paired.large[by_score].sum() - 1e-9)
    whole_bill = float(paired.large_cost[read_on].sum())
    if not len(enough) or not len(chosen_on) or whole_bill <= 0.0:
        return None
    calls = int(enough[0])
    threshold = np.inf if calls == 0 else float(score[by_score[calls - 1]])
    to_large = score[read_on] >= threshold
    return float(np.where(to_large, paired.large_cost[read_on], paired.small_cost[read_on]).sum() / whole_bill)


def _top(score: Floats, share: float) -> NDArray[np.bool_]:
    chosen = np.zeros(len(score), dtype=bool)
    chosen[np.argsort(-score, kind="stable")[: round(share * len(score))]] = True
    return chosen


def _apgr_of(small: Floats, large: Floats, seed: int) -> Callable[[Floats], float | None]:
    return lambda row: measures.apgr(row, small, large, seed)


def _auc_of(good: NDArray[np.bool_]) -> Callable[[Floats], float | None]:
    return lambda row: measures.auc(row, good)


def _mean(measure: Callable[[Any], float | None], rows: Any) -> float | None:
    figures = [figure for row in rows if (figure := measure(row)) is not None]
    return sum(figures) / len(figures) if figures else None
