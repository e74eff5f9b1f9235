"""Which limits of a policy count a request: by caller and route, and by model. Looked up once, then remembered."""

from __future__ import annotations

from router.domain import Caller
from router.limits.contract import Counter
from router.policy.compiled import Limit, Policy, Select
from router.prices import NANO_PER_DOLLAR

LEASE_SECONDS = 900.0
"""A reservation is taken for lost after so long: longer than any answer takes by default."""

_MOST_CALLERS = 10_000


class Book:
    """The limits of one policy, as counters. lease_ms: how long a reservation under it holds.

    pays_to_select: whether deciding itself may cost something, for a model that reads the options.
    """

    def __init__(self, policy: Policy) -> None:
        self._limits = tuple(limit for limit in policy.limits if limit.per != "model")
        self._by_caller: dict[tuple[str, str, str | None], tuple[Counter, ...]] = {}
        per_model = [limit for limit in policy.limits if limit.per == "model"]
        self.by_model = {
            name: tuple(counter_of(limit, name) for limit in per_model if not limit.only or name in limit.only)
            for name in policy.models
        }
        self.of_models = tuple(counter for counters in self.by_model.values() for counter in counters)
        self.pays_to_select = any(
            isinstance(rule.act, Select) and rule.act.model is not None
            for route in policy.routes.values()
            for rule in route.rules
        )
        longest = max((model.timeouts.total for model in policy.models.values()), default=0.0)
        self.lease_ms = int(max(LEASE_SECONDS, 1.5 * longest) * 1000)

    def of_caller(self, caller: Caller, route: str | None) -> tuple[Counter, ...]:
        """The counters of a request but those of models. route: None for a model named outright."""
        who = (caller.tenant, caller.key, route)
        if (found := self._by_caller.get(who)) is not None:
            return found
        if len(self._by_caller) >= _MOST_CALLERS:
            self._by_caller.clear()
        counters = []
        for limit in self._limits:
            named = {"key": caller.key, "tenant": caller.tenant, "route": route, "all": "all"}[limit.per]
            if named is not None and (not limit.only or named in limit.only):
                # Two tenants may call a key of theirs the same.
                subject = f"{caller.tenant}/{named}" if limit.per == "key" else named
                counters.append(counter_of(limit, subject))
        self._by_caller[who] = tuple(counters)
        return self._by_caller[who]


def counter_of(limit: Limit, subject: str) -> Counter:
    """A limit as it holds for one subject."""
    return Counter(
        limit.name,
        limit.per,
        subject,
        limit.requests_per_minute,
        limit.tokens_per_minute,
        None if limit.dollars_per_day is None else round(limit.dollars_per_day * NANO_PER_DOLLAR),
        None if limit.dollars_per_month is None else round(limit.dollars_per_month * NANO_PER_DOLLAR),
    )
