"""What a rehearsal came to: quality and cost over time, and what other ways of routing would have come to. Arithmetic.

Bills are shares of what the large model alone would have cost on the same queries; quality is the mean recorded score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from classifiers.training import curves, measures
from classifiers.training.agreement import before_asking
from classifiers.training.curves import Curve, Promise
from classifiers.training.fit import Floats
from router.domain import Price
from router.prices import estimate_usd
from router.rehearsal.recorded import Take

KEPT: Final = 0.95
RESAMPLES: Final = 500
CONFIDENCES: Final = {"sure": 0.95, "even": 0.5}
"""How sure thresholds are that are set beforehand: as `policy tune` is, and with no margin for what is uncertain."""


@dataclass(frozen=True, slots=True)
class Prices:
    """Of the two models, in dollars per million tokens."""

    small: Price
    large: Price


@dataclass(frozen=True, slots=True)
class Recorded:
    """Some queries as columns, shape (n,): scores, and dollars of one answer of each model."""

    small: Floats
    large: Floats
    small_cost: Floats
    large_cost: Floats
    length: Floats

    def __len__(self) -> int:
        return len(self.small)


def recorded_of(takes: Sequence[Take], prices: Prices) -> Recorded:
    """The columns. Tokens of a query are estimated at four characters each."""

    def cost(take: Take, tokens: int, price: Price) -> float:
        return estimate_usd(-(-len(take.query) // 4) + 3, tokens, price) or 0.0

    return Recorded(
        np.array([take.small for take in takes]),
        np.array([take.large for take in takes]),
        np.array([cost(take, take.small_tokens, prices.small) for take in takes]),
        np.array([cost(take, take.large_tokens, prices.large) for take in takes]),
        np.array([float(len(take.query)) for take in takes]),
    )


def curve_of(trust: Floats, recorded: Recorded) -> Curve:
    """Quality and cost at every threshold of a trust; the least trusted go to the large model first."""
    _, ranks = np.unique(trust, return_inverse=True)
    scaled = ranks / max(int(ranks.max()), 1)
    return curves.of_plan(
        before_asking(scaled, recorded.small, recorded.large, recorded.small_cost, recorded.large_cost)
    )


def hindsight(trust: Floats, recorded: Recorded) -> float:
    """The least bill at which `KEPT` of the large model's quality is kept, by the threshold that turned out best."""
    order = np.argsort(trust, kind="stable")  # the least trusted first
    quality = recorded.small.sum() + np.concatenate([[0.0], np.cumsum((recorded.large - recorded.small)[order])])
    cost = recorded.small_cost.sum() + np.concatenate(
        [[0.0], np.cumsum((recorded.large_cost - recorded.small_cost)[order])]
    )
    enough = quality >= KEPT * recorded.large.sum() - 1e-9
    return float(cost[int(np.argmax(enough))] / recorded.large_cost.sum()) if enough.any() else 1.0


def oracle_trust(recorded: Recorded) -> Floats:
    """What a router would trust that knew every score: where the large model gains most for its money comes last."""
    trust: Floats = -(recorded.large - recorded.small) / np.maximum(recorded.large_cost - recorded.small_cost, 1e-12)
    return trust


def fixed_beforehand(
    trust: Floats, recorded: Recorded, taught: Floats, audited: Recorded, confidence: float
) -> dict[str, float] | None:
    """`kept`, `bill` on `recorded` at the threshold that `audited` rows set; None where they set none.

    taught: the trust of the audited rows, whose scores are the judge's.
    """
    both = np.concatenate([taught, trust])
    _, ranks = np.unique(both, return_inverse=True)
    scaled = ranks / max(int(ranks.max()), 1)
    learned = curves.of_plan(
        before_asking(scaled[: len(taught)], audited.small, audited.large, audited.small_cost, audited.large_cost)
    )
    place = curves.set_threshold(learned, Promise(KEPT, confidence=confidence))
    if place is None:
        return None
    trusted = scaled[len(taught) :] >= learned.thresholds[place]
    quality = np.where(trusted, recorded.small, recorded.large).sum() / recorded.large.sum()
    bill = np.where(trusted, recorded.small_cost, recorded.large_cost).sum() / recorded.large_cost.sum()
    return {"kept": float(quality), "bill": float(bill)}


def compared(trusts: Mapping[str, Floats], recorded: Recorded, seed: int) -> dict[str, Any]:
    """By router: the hindsight `bill` with its interval, and the paired difference to `learned` with its own.

    The same of `calls`, the share of requests that the large model answers, by the threshold that is best for them.
    """
    count, random = len(recorded), np.random.default_rng(seed)
    draws = [random.integers(0, count, count) for _ in range(RESAMPLES)]
    calls = replace(recorded, small_cost=np.zeros(count), large_cost=np.ones(count))
    found: dict[str, Any] = {name: {} for name in trusts}
    for what, of in (("bill", recorded), ("calls", calls)):
        values = {name: hindsight(trust, of) for name, trust in trusts.items()}
        drawn = {
            name: np.array([hindsight(trust[rows], _part(of, rows)) for rows in draws])
            for name, trust in trusts.items()
        }
        for name in trusts:
            low, high = np.quantile(drawn[name], [0.025, 0.975])
            told: dict[str, Any] = {"value": values[name], "low": float(low), "high": float(high)}
            if name != "learned":
                low, high = np.quantile(drawn["learned"] - drawn[name], [0.025, 0.975])
                less = {"value": values["learned"] - values[name], "low": float(low), "high": float(high)}
                told["learned_less"] = less
            found[name][what] = told
    return found


def calibration(shares: Floats, small: Floats) -> float:
    """ECE of the predicted quality of the small model."""
    return measures.ece(shares, small)


def _part(recorded: Recorded, rows: Any) -> Recorded:
    return Recorded(
        recorded.small[rows],
        recorded.large[rows],
        recorded.small_cost[rows],
        recorded.large_cost[rows],
        recorded.length[rows],
    )
