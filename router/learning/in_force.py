"""What a promotion would do under the policy in force: the estimate of `signalbox compare`, judges fitted forwards.

Requests are decided anew by the fit that precedes them, on rows it never saw; asks that it learned from are left out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final

from classifiers.artefact import Artefact
from classifiers.learned import LearnedClassifier
from classifiers.training.evidence import InForce
from classifiers.training.forward import Chain
from classifiers.training.measures import Figure
from classifiers.training.rows import key_of
from router.domain import Outcome
from router.judge import Judge
from router.ledger.answers import Answers, answers
from router.ledger.contract import Store
from router.ledger.window import Window
from router.policy.compiled import Policy
from router.trial.estimated import estimate
from router.trial.sides import Chosen, Side

HALF_WIDTH: Final = 0.05
MOST: Final = 20_000
"""Requests, the newest, that an estimate is made of."""
_SEEN: Final = "asked before, and learned from"


class _Chained(Side):
    """A side whose judge is, at any time, the one fitted on what is older. first: when a known ask was first seen."""

    def __init__(self, name: str, policy: Policy, judge: Judge, links: Chain, first: Mapping[bytes, float]):
        super().__init__(name, policy, judge)
        self._first = first
        self._begins = links.begins
        self._sides = [Side(name, policy, judge, LearnedClassifier(block.judge)) for block in links.blocks]

    def choose(self, row: Outcome) -> Chosen:
        """By the newest fit that had not seen the ask when it was fitted."""
        seen = row.at_unix
        if row.features is not None:
            seen = min(seen, self._first.get(key_of(row.features), seen))
        fits = [side for begin, side in zip(self._begins, self._sides, strict=True) if begin <= seen]
        return fits[-1].choose(row) if fits else Chosen(left_out=_SEEN)


async def estimate_in_force(store: Store, window: Window, links: Chain, current: Artefact, policy: Policy) -> InForce:
    """Differences of candidate and current judge in quality and cost; Raises StoreAway."""
    judge = Judge(LearnedClassifier(current), slow_seconds=float("inf"))
    first = {
        key_of(row.features): row.at_unix
        for block in links.blocks
        for row in (*block.learned, *block.logged)
        if row.features is not None
    }
    kept: deque[Answers] = deque(maxlen=MOST)
    held_out = Window(max(window.since_unix, links.begins[0]), window.until_unix)
    async for batch in answers(store, held_out):
        kept.extend(batch)
    ours = _Chained("candidate", policy, judge, links, first)
    theirs = Side("current", policy, judge, LearnedClassifier(current))
    found = estimate(list(kept), ours, theirs, half_width=HALF_WIDTH)
    effective = 0.0 if found.support is None else found.support.effective
    quality = None if found.quality is None else found.quality.difference.dr
    cost = None
    if found.cost_usd is not None and (whole := found.cost_usd.current.dr.value):
        gap = found.cost_usd.difference.dr
        cost = Figure(*(None if end is None else end / whole for end in (gap.value, gap.low, gap.high)))
    expected = None if found.quality is None else found.quality.candidate.dr
    return InForce(policy.label, found.requests, effective, found.refusal, quality, cost, expected)
