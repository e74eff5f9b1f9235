"""Keeps a running gateway's proofs of `max_risk`: every minute, off the way of requests, out of the ledger's audits.

All gateways on one ledger work out the same: the same pairs, counted from the same moment. What a proof is for is
`router.policy.decide`'s.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from classifiers.contract import Classifier
from router.errors import StoreError
from router.judge import Judge
from router.ledger.contract import Store
from router.ledger.pairs import scored_pairs
from router.ledger.rules_seen import first_seen, note_seen
from router.ledger.window import Window, timestamp
from router.policy.acts import not_proven
from router.policy.compiled import Policy, Proof, Proven
from router.policy.proofs import STANDS_SECONDS, Proofs, known_by, to_prove
from router.trial.risk_logged import Counterfactual

log = logging.getLogger(__name__)

EVERY_SECONDS: Final = 60.0
WINDOW_DAYS: Final = 30
MOST_PAIRS: Final = 5_000
"""Audited requests of a route that are looked at, the newest: a bound on memory and time."""

_DAY: Final = 86_400.0

By = Mapping[tuple[str, str], Proven]


@dataclass(frozen=True, slots=True)
class Judging:
    """Who judges. name: as decisions say it. classifier: what reads logged features as it does, where there is one."""

    name: str
    classifier: Classifier | None


def judgings(judge: Judge) -> tuple[Judging, ...]:
    """The judge, and the one that judges a share beside it."""
    judges = [judge, *([judge.canary.judge] if judge.canary is not None else [])]
    return tuple(Judging(one.name, one.classifier if one.classifier.name == one.name else None) for one in judges)


class Proving:
    """Works proofs out when policies or judge change, and every minute. open_store: a store for another event loop,
    closed afterwards. clock: unix seconds. ticks: seconds that never go back."""

    def __init__(
        self,
        proofs: Proofs,
        judge: Judge,
        policies: Callable[[], Sequence[Policy]],
        open_store: Callable[[], Store],
        *,
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ):
        self.proofs = proofs
        self._judge, self._policies, self._open_store = judge, policies, open_store
        self._clock, self._ticks = clock, ticks
        self._of: tuple[str, ...] = ()
        self._next = 0.0
        self._told: dict[tuple[str, str, str], bool] = {}
        self._lapsed = False

    async def poll(self) -> None:
        """Looks where it is time to. Raises StoreError; the last proofs stand for a while."""
        policies = [policy.digest for policy in self._policies() if any(to_prove(policy))]
        of = (*(judging.name for judging in judgings(self._judge)), *policies)
        if of == self._of and self._ticks() < self._next:
            return
        try:
            await self.look()
        except StoreError:
            if not self.proofs.stand and not self._lapsed and any(self._told.values()):
                self._lapsed = True
                log.warning(
                    "what was proven has not been looked at for %.0f minutes: the baselines serve", STANDS_SECONDS / 60
                )
            raise
        self._of, self._next = of, self._ticks() + EVERY_SECONDS

    async def look(self) -> None:
        """Works all proofs out anew, on a thread of its own. Raises StoreError."""
        now = self._clock()
        judging = judgings(self._judge)
        policies = {policy.digest: policy for policy in self._policies() if any(to_prove(policy))}
        found: By = {}
        if policies:
            found = await asyncio.to_thread(self._work_out, list(policies.values()), judging, now)
        self.proofs.put(found, now)
        self._lapsed = False
        self._tell(policies, judging[0].name, found)

    def _work_out(self, policies: Sequence[Policy], judgings: Sequence[Judging], now: float) -> By:
        async def read() -> By:
            store = self._open_store()
            try:
                await store.open()
                return {
                    (policy.digest, judging.name): await proofs_of(store, policy, judging, now, note=True)
                    for policy in policies
                    for judging in judgings
                }
            finally:
                await store.aclose()

        return asyncio.run(read())

    def _tell(self, policies: Mapping[str, Policy], name: str, found: By) -> None:
        """A line in the log for each rule whose proof came, went, or is waited for from now on."""
        told = {}
        for digest, policy in policies.items():
            for route, rule, max_risk in to_prove(policy):
                proof = found[digest, name][route.name, rule.name]
                key, proven = (policy.label, route.name, rule.name), proof.proves(max_risk)
                told[key] = proven
                if proven == self._told.get(key):
                    continue
                where = f"rule {rule.name} of route {route.name} ({policy.label}, {name})"
                if proven:
                    log.info(
                        "%s: max_risk %g proven, bound %.3g from %d pairs: it decides",
                        where, max_risk, proof.bound, proof.pairs,
                    )  # fmt: skip
                else:
                    level = logging.WARNING if self._told.get(key) else logging.INFO
                    log.log(level, "%s: %s: %s serves", where, not_proven(max_risk, proof), route.baseline)
        self._told = told


async def proofs_of(
    store: Store,
    policy: Policy,
    judging: Judging,
    now_unix: float,
    *,
    note: bool = False,
    since_unix: float | None = None,
) -> Proven:
    """What audits show of each rule with a `max_risk`, with this judge.

    Only pairs of the last 30 days count, and only those of requests since the rule was first seen with this judge.
    note: it is seen now. since_unix: from then on instead, whatever was seen when: a forecast, and no proof.
    """
    rules = [
        (route, rule, max_risk, known_by(policy, route, rule, judging.name))
        for route, rule, max_risk in to_prove(policy)
    ]
    if not rules:
        return {}
    keys = {key: {"route": route.name, "rule": rule.name, "classifier": judging.name} for route, rule, _, key in rules}
    if since_unix is not None:
        seen = dict.fromkeys(keys, since_unix)
    else:
        seen = await note_seen(store, keys, now_unix) if note else await first_seen(store, keys)
        begin = (now_unix - WINDOW_DAYS * _DAY) // _DAY * _DAY
        seen = {key: max(begin, since) for key, since in seen.items()}
    since = min(seen.values(), default=now_unix)
    would = Counterfactual(policy, judging.name, judging.classifier)
    found: dict[tuple[str, str], Proof] = {}
    for name in dict.fromkeys(route.name for route, *_ in rules):
        pairs = await scored_pairs(store, Window(since, max(since, now_unix)), routes=[name], most=MOST_PAIRS)
        for route, rule, max_risk, key in rules:
            if route.name == name:
                start = seen.get(key, now_unix)
                losses = would.losses(name, rule.name, [pair for pair in pairs if pair.row.at_unix >= start])
                found[name, rule.name] = _proof(losses.baseline, losses.taken, max_risk, start, losses.left_out)
    return found


def _proof(baseline: Sequence[float], taken: Sequence[float], max_risk: float, since: float, left_out: int) -> Proof:
    from classifiers.training.risk import risk  # scipy: only where a policy has a `max_risk`

    of = risk(np.array(baseline, dtype=np.float64), np.array(taken, dtype=np.float64))
    return Proof(of.bound, of.n, of.lost, of.more(max_risk), since, left_out)


def risk_rows(policy: Policy, judge: str, proven: Proven) -> list[dict[str, Any]]:
    """Every rule with a `max_risk` as a document, in the order of the policy."""
    rows = []
    for route, rule, max_risk in to_prove(policy):
        proof = proven.get((route.name, rule.name))
        rows.append(
            {
                "policy": policy.label,
                "route": route.name,
                "rule": rule.name,
                "judge": judge,
                "baseline": route.baseline,
                "max_risk": max_risk,
                "proven": proof is not None and proof.proves(max_risk),
                "bound": None if proof is None else proof.bound,
                "pairs": 0 if proof is None else proof.pairs,
                "lost": None if proof is None else proof.lost,
                "more": None if proof is None else proof.more,
                "left_out": 0 if proof is None else proof.left_out,
                "since": None if proof is None else timestamp(proof.since_unix),
            }
        )
    return rows
