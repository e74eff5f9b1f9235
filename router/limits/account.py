"""One request before the limits of its policy: looked at, given room, and in the end settled. The pipeline holds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from router.domain import Ask, Caller, Decision, ModelSpec, Outcome
from router.limits.limits import NO_LIMITS, Limits, ModelSpent, Reserved
from router.limits.telling import Headers
from router.policy.compiled import Policy, Route


class Account:
    """Made once a request, where the policy has limits. route: None for a model named outright. choices: its `n`.

    budgets: how things stood when it was looked at, and since.
    """

    __slots__ = ("_ask", "_caller", "_choices", "_limits", "_policy", "_reserved", "_route", "budgets")

    def __init__(self, limits: Limits, policy: Policy, caller: Caller, route: str | None, ask: Ask, choices: int):
        self._limits, self._policy, self._caller, self._route = limits, policy, caller, route
        self._ask, self._choices = ask, choices
        self._reserved: Reserved | None = None
        self.budgets = NO_LIMITS

    @property
    def headers(self) -> Headers:
        """`x-ratelimit-*`, once there is room."""
        return () if self._reserved is None else self._reserved.headers

    async def look(self, *, may_pay: bool = True) -> None:
        """Sees how full the budgets are. may_pay: whether deciding may call a model.

        Raises RateLimited or BudgetSpent where it may, and nothing is left to pay it from.
        """
        limits, policy = self._limits, self._policy
        self.budgets = await limits.before(policy, self._caller, self._route, self._ask, self._choices, may_pay=may_pay)

    async def reserve(self, decision: Decision) -> bool:
        """Makes room for a decision. False: a model of it has none left; decide again, `budgets` knows of it now.

        Raises RateLimited or BudgetSpent where the caller has none.
        """
        try:
            self._reserved = await self._limits.reserve(
                self._policy, self._caller, self._route, decision, self._ask, self._choices
            )
        except ModelSpent as spent:
            self.budgets = spent.among(self.budgets)
            return False
        return True

    async def reserve_stored(self) -> None:
        """Counts an answer out of the cache. Raises RateLimited."""
        self._reserved = await self._limits.reserve_stored(self._policy, self._caller, self._route)

    def settle(self, rows: Sequence[Outcome]) -> None:
        """Counts what the request took, however it ended."""
        self._limits.settle(self._policy, self._caller, self._route, self._reserved, rows)


def account_of(
    limits: Limits, policy: Policy, caller: Caller, target: Route | ModelSpec, ask: Ask, values: Mapping[str, Any]
) -> Account | None:
    """A request's account; None where the policy has no limits, which then cost nothing. values: of its body."""
    if not policy.limits:
        return None
    route = target.name if isinstance(target, Route) else None
    return Account(limits, policy, caller, route, ask, values.get("n") or 1)
