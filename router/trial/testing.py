"""Decides the cases of a policy and says of each whether what was expected came to be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from router.ask import read_ask
from router.domain import Decision, RuleTrace
from router.errors import RequestError
from router.judge import Judge
from router.policy.compiled import Facts, Policy, Route
from router.policy.decide import resolve
from router.trial.cases import CaseEntry, ExpectEntry
from router.trial.deciding import Decider, assess, models_reached, pinned

Checks = Callable[[dict[str, Any]], dict[str, Any]]
"""A chat body as the gateway reads it. Raises RequestError for what it would refuse."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as expected."""

    what: str
    expected: Any
    seen: Any


@dataclass(frozen=True, slots=True)
class Held:
    """One case after it was decided. decision: None where it was refused; then refused and message say how."""

    name: str
    differences: tuple[Difference, ...]
    decision: Decision | None = None
    route: str | None = None
    rules: tuple[RuleTrace, ...] = ()
    refused: str | None = None
    message: str | None = None

    @property
    def holds(self) -> bool:
        return not self.differences


def hold(policy: Policy, cases: Iterable[CaseEntry], judge: Callable[[], Judge], checks: Checks) -> list[Held]:
    """Every case, decided. judge: made once, and only where a case does not pin what it says."""
    decider, made = Decider(policy), list[Judge]()

    def judging() -> Judge:
        if not made:
            made.append(judge())
        return made[0]

    return [_held(decider, case, judging, checks) for case in cases]


def _held(decider: Decider, case: CaseEntry, judge: Callable[[], Judge], checks: Checks) -> Held:
    policy = decider.policy
    try:
        values = checks(case.chat_body())
        target = resolve(policy, values["model"])
        ask = read_ask(values, policy.scanner)
        ask = replace(ask, private=tuple(sorted({*ask.private, *case.private})))
        facts = Facts(
            tenant=case.tenant,
            key_tags=tuple(case.tags),
            headers={name.lower(): value for name, value in case.headers.items()},
            metadata=values.get("metadata") or {},
            at=case.at or datetime.now(UTC),
            unhealthy=dict.fromkeys(case.unhealthy, "the case says so"),
        )
        if case.judged is None:
            assessment = assess(judge(), ask, policy.cards)
        else:
            assessment = pinned(policy, case.judged.model_dump())
        _, verdict = decider.decide(target, ask, assessment, facts, case.select)
    except RequestError as error:
        wanted = case.expect.refused
        refused = (Difference("refused", wanted or "no", error.code),) if wanted != error.code else ()
        return Held(case.name, refused, refused=error.code, message=error.message)
    route = target.name if isinstance(target, Route) else None
    differences = tuple(_differences(case.expect, verdict.decision, route))
    return Held(case.name, differences, verdict.decision, route, verdict.rules)


def _differences(expect: ExpectEntry, decision: Decision, route: str | None) -> Iterator[Difference]:
    if expect.refused is not None:
        yield Difference("refused", expect.refused, f"no: {decision.model} by `{decision.rule}`")
    for what, seen in (
        ("model", decision.model),
        ("rule", decision.rule),
        ("plan", decision.plan),
        ("route", route),
        ("options", list(decision.options)),
    ):
        expected = getattr(expect, what)
        if expected is not None and expected != seen:
            yield Difference(what, expected, seen)
    reached = models_reached(decision)
    for name in expect.not_model or ():
        if name in reached:
            yield Difference("not_model", f"not {name}", f"{', '.join(reached)} may be asked")
    most, cost = expect.max_cost_usd, decision.expected_cost_usd
    if most is not None and (cost is None or cost > most):
        yield Difference("max_cost_usd", most, "unknown" if cost is None else round(cost, 9))
