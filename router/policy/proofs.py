"""What audits have proven of the rules with a `max_risk`, as deciding sees it, and by what a rule is known again.

Proofs are worked out elsewhere, off the way of requests (`router.learning.proving`), and put here by one assignment.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from types import MappingProxyType
from typing import Final

from router.policy.compiled import Choose, Policy, Proven, Route, Rule

STANDS_SECONDS: Final = 900.0
"""How long a proof stands where it cannot be worked out anew, the ledger being away; then the baseline serves."""

NOTHING_PROVEN: Proven = MappingProxyType({})


class Proofs:
    """The last proofs, by a policy's digest and by who judged. clock: seconds that never go back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._by: Mapping[tuple[str, str], Proven] = MappingProxyType({})
        self._at = -float("inf")
        self.looked_unix: float | None = None
        """When the ledger was last looked at."""

    def of(self, policy: Policy, classifier: str) -> Proven:
        """What is proven of a policy's rules where this classifier judged; nothing where that is too long ago."""
        if not self._by or not self.stand:
            return NOTHING_PROVEN
        return self._by.get((policy.digest, classifier), NOTHING_PROVEN)

    @property
    def stand(self) -> bool:
        """Whether the proofs were worked out lately enough."""
        return self._clock() - self._at <= STANDS_SECONDS

    def put(self, by: Mapping[tuple[str, str], Proven], looked_unix: float) -> None:
        """These from now on, and no others."""
        self._by, self._at, self.looked_unix = MappingProxyType(dict(by)), self._clock(), looked_unix


def to_prove(policy: Policy) -> Iterator[tuple[Route, Rule, float]]:
    """The rules of a policy that must be proven, with their `max_risk`."""
    for route in policy.routes.values():
        for rule in route.rules:
            if isinstance(rule.act, Choose) and rule.act.max_risk is not None:
                yield route, rule, rule.act.max_risk


def known_by(policy: Policy, route: Route, rule: Rule, classifier: str) -> str:
    """40 hex digits that are others for another judge, baseline, model, or rule up to this one; the same whatever else
    of the policy changes. Not `max_risk`: a bound that holds at all times may be held against any."""
    rules = route.rules[: route.rules.index(rule) + 1]
    names = sorted({route.baseline or "", *(rule.act.among if isinstance(rule.act, Choose) else ())})
    models = [(name, policy.models[name].model, policy.models[name].tier) for name in names if name in policy.models]
    written = [(one.condition.source if one.condition else "", repr(_unbound(one)), one.fallback) for one in rules]
    return sha256(repr((route.name, route.baseline, classifier, models, written)).encode()).hexdigest()[:40]


def _unbound(rule: Rule) -> object:
    return replace(rule.act, max_risk=None) if isinstance(rule.act, Choose) else rule.act
