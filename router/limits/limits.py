"""What the pipeline asks of limits: how full they are before it decides, room before it calls, and the account after.

Where a policy has no limits nobody asks. What one request may take is `estimate`'s, which limits count it `book`'s.
"""

from __future__ import annotations

from collections import Counter as Sums
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from msgspec import Struct

from router.domain import Ask, Caller, Decision, Outcome
from router.limits.book import Book
from router.limits.contract import Charge, Counter, Kind, Refused, Reservation, Standing, Store
from router.limits.estimate import Amount, call_of, estimate
from router.limits.memory import unix_ms
from router.limits.telling import Headers, error_of, headers_of, reason_of
from router.limits.windows import IN_FLIGHT_WAIT_MS, day_ends_ms, month_ends_ms
from router.policy.compiled import Policy

_MOST_BOOKS = 8


class Budgets(Struct, frozen=True):
    """How things stand before a decision. used: see `Facts.budget_used`. spent: see `Facts.spent`.

    retry_after: seconds until the first of those models may serve again.
    """

    used: float = 0.0
    spent: Mapping[str, str] = MappingProxyType({})
    retry_after: float | None = None


NO_LIMITS = Budgets()


class Reserved(Struct, frozen=True):
    """Room that was made for one request. of: the model each charge is for, None for the request itself."""

    reservation: Reservation
    of: tuple[str | None, ...]
    headers: Headers


class ModelSpent(Exception):
    """A model that was decided on has no room left; another may have."""

    def __init__(self, model: str, reason: str, retry_after: float):
        super().__init__(reason)
        self.model, self.reason, self.retry_after = model, reason, retry_after

    def among(self, budgets: Budgets) -> Budgets:
        """The same, with this model among those that are spent."""
        waits = [wait for wait in (budgets.retry_after, self.retry_after) if wait is not None]
        return Budgets(budgets.used, {**budgets.spent, self.model: self.reason}, min(waits))


class Limits:
    """The limits of whatever policies rule, over one store. refused: by limit and kind, so far."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.refused: Sums[tuple[str, str]] = Sums()
        self._books: dict[str, Book] = {}

    async def before(
        self,
        policy: Policy,
        caller: Caller,
        route: str | None,
        ask: Ask,
        choices: int = 1,
        *,
        may_pay: bool = True,
    ) -> Budgets:
        """How full the budgets are, and which models have no room for this ask. Reads only.

        may_pay: whether deciding may call a model. Raises RateLimited or BudgetSpent where it may, and nothing is left
        to pay it from, or fewer tokens than any answer may take.
        """
        book = self._book(policy)
        pays = may_pay and book.pays_to_select
        callers = book.of_caller(caller, route) if pays or "budget" in policy.names.roots else ()
        if not callers and not book.of_models:
            return NO_LIMITS
        standings = await self.store.peek([*callers, *book.of_models])
        paying = list(zip(callers, standings, strict=False))
        if pays:
            models = policy.models.values()
            least = min(call_of(model, ask.input_tokens, ask.output_tokens, choices).tokens for model in models)
            self._refuse_if_full(paying, Amount(1, least, 1))
        used = max((standing.share(counter) for counter, standing in paying), default=0.0)
        spent: dict[str, str] = {}
        waits: list[int] = []
        for counter, standing in zip(book.of_models, standings[len(callers) :], strict=True):
            call = call_of(policy.models[counter.subject], ask.input_tokens, ask.output_tokens, choices)
            if (found := _in_the_way(counter, standing, call)) is not None:
                spent.setdefault(counter.subject, reason_of(counter, *found))
                waits.append(found[1])
        return Budgets(used, spent, min(waits) / 1000 if waits else None)

    async def reserve(
        self, policy: Policy, caller: Caller, route: str | None, decision: Decision, ask: Ask, choices: int = 1
    ) -> Reserved:
        """Makes room for the most that a decision may take. Raises RateLimited or BudgetSpent, or ModelSpent."""
        book, most = self._book(policy), estimate(policy, decision, ask, choices)
        charges = [Charge(counter, 1, most.total.tokens, most.total.nano) for counter in book.of_caller(caller, route)]
        of: list[str | None] = [None] * len(charges)
        for model, amount in most.by_model.items():
            for counter in book.by_model[model]:
                charges.append(Charge(counter, amount.calls, amount.tokens, amount.nano))
                of.append(model)
        return await self._reserve(charges, of, book.lease_ms)

    async def reserve_stored(self, policy: Policy, caller: Caller, route: str | None) -> Reserved:
        """Counts a request that the cache answers: a request like any other, without tokens and money."""
        book = self._book(policy)
        charges = [Charge(counter, 1) for counter in book.of_caller(caller, route)]
        return await self._reserve(charges, [None] * len(charges), book.lease_ms)

    def settle(
        self, policy: Policy, caller: Caller, route: str | None, reserved: Reserved | None, rows: Iterable[Outcome]
    ) -> None:
        """Counts what a request took, by its rows in the ledger, in the place of what was reserved for it."""
        total, by_model = _taken(rows)
        if reserved is not None:
            taken = []
            for charge, model in zip(reserved.reservation.charges, reserved.of, strict=True):
                amount = total if model is None else by_model.get(model, _NOTHING)
                taken.append(Charge(charge.counter, charge.requests, amount.tokens, amount.nano))
            self.store.settle(reserved.reservation, taken)
        unforeseen: list[Charge] = []
        book = self._book(policy)
        if reserved is None and total.nano:
            unforeseen += [Charge(counter, nano=total.nano) for counter in book.of_caller(caller, route)]
        for model, amount in by_model.items():
            if amount.nano and (reserved is None or model not in reserved.of):
                unforeseen += [Charge(counter, nano=amount.nano) for counter in book.by_model.get(model, ())]
        if unforeseen:
            self.store.spend(unforeseen)

    def refusals(self, policy: Policy) -> dict[tuple[str, str], int]:
        """How often each bound of the policy's limits left no room, by limit and bound; 0 where it never did."""
        bounds = {
            (limit.name, kind): self.refused[limit.name, kind]
            for limit in policy.limits
            for kind, most in (
                ("requests", limit.requests_per_minute),
                ("tokens", limit.tokens_per_minute),
                ("day", limit.dollars_per_day),
                ("month", limit.dollars_per_month),
            )
            if most is not None
        }
        return {**bounds, **self.refused}

    def counters(self, policy: Policy, caller: Caller, route: str | None) -> tuple[Counter, ...]:
        """What counts a request of this caller, but for models."""
        return self._book(policy).of_caller(caller, route)

    def model_counters(self, policy: Policy, model: str) -> tuple[Counter, ...]:
        """What counts the calls of a model."""
        return self._book(policy).by_model[model]

    async def _reserve(self, charges: Sequence[Charge], of: Sequence[str | None], lease_ms: int) -> Reserved:
        if not charges:
            return Reserved(Reservation("", ()), (), ())
        answer = await self.store.reserve(charges, lease_ms)
        callers = [charge for charge, model in zip(charges, of, strict=True) if model is None]
        if not isinstance(answer, Refused):
            headers = headers_of([charge.counter for charge in callers], answer.standings[: len(callers)])
            return Reserved(answer.reservation, tuple(of), headers)
        counter, model = charges[answer.number].counter, of[answer.number]
        self.refused[counter.name, answer.kind] += 1
        if model is not None:
            reason = reason_of(counter, answer.kind, answer.wait_ms)
            raise ModelSpent(model, reason, answer.wait_ms / 1000)
        raise error_of(answer, callers)

    def _refuse_if_full(self, standings: Sequence[tuple[Counter, Standing]], least: Amount) -> None:
        for number, (counter, standing) in enumerate(standings):
            if (found := _in_the_way(counter, standing, least)) is not None:
                self.refused[counter.name, found[0]] += 1
                refused = Refused(number, *found, tuple(standing for _, standing in standings))
                charges = [Charge(counter, 1, least.tokens, least.nano) for counter, _ in standings]
                raise error_of(refused, charges)

    def _book(self, policy: Policy) -> Book:
        book = self._books.get(policy.digest)
        if book is None:
            if len(self._books) >= _MOST_BOOKS:
                self._books.clear()
            book = self._books[policy.digest] = Book(policy)
        return book


_NOTHING = Amount()


def _taken(rows: Iterable[Outcome]) -> tuple[Amount, dict[str, Amount]]:
    """What the rows of one request say it took, in all and by model. An answer out of the cache took nothing."""
    total = Amount()
    by_model: dict[str, Amount] = {}
    for row in rows:
        if row.cache == "hit":
            continue
        amount = Amount(1, row.usage.input + row.usage.output, row.cost_nano or 0)
        total.add(amount)
        if row.model is not None and row.provider != "retriever":
            by_model.setdefault(row.model, Amount()).add(amount)
    return total, by_model


def _in_the_way(counter: Counter, standing: Standing, call: Amount) -> tuple[Kind, int] | None:
    """What of a model's limit leaves no room for one call, and for about how long, in milliseconds."""
    if counter.requests is not None and standing.requests >= counter.requests:
        return "requests", standing.reset_ms
    if counter.tokens is not None and standing.tokens + call.tokens > counter.tokens:
        return "tokens", standing.reset_ms
    budgets: tuple[tuple[Kind, int | None, int, int, Callable[[int], int]], ...] = (
        ("month", counter.month, standing.month_spent, standing.month_held, month_ends_ms),
        ("day", counter.day, standing.day_spent, standing.day_held, day_ends_ms),
    )
    for kind, most, spent, held, ends_ms in budgets:
        if most is not None and call.nano and spent + held + call.nano > most:
            return kind, ends_ms(unix_ms()) if spent + call.nano > most else IN_FLIGHT_WAIT_MS
    return None
