"""Looks over a policy that loads: what of it can never act (findings), and what its owner may want to know (notes)."""

from __future__ import annotations

from dataclasses import dataclass

from router.policy.compiled import Policy, Route
from router.policy.lint.conditions import condition_findings
from router.policy.lint.finding import Finding
from router.policy.lint.standby import standby_findings
from router.policy.lint.unused import models_of, unused_findings
from router.prices import estimate_usd, lookup

_USUAL_TOKENS = 500
"""Of an ask, and of its answer, where a usual one is meant."""


@dataclass(frozen=True, slots=True)
class Review:
    """findings: parts that can never act, or not as they were meant. notes: nothing wrong, but worth knowing."""

    findings: tuple[Finding, ...]
    notes: tuple[str, ...]


def review(policy: Policy) -> Review:
    """Findings and notes, in the order of the file."""
    notes = []
    for model in policy.models.values():
        if model.price is None:
            notes.append(f"model {model.name}: no price is known, its costs will be null")
        if model.context is None:
            notes.append(f"model {model.name}: no context length is known, long asks are not kept from it")
        facts = lookup(model.model)
        if facts is not None and facts.retires is not None and model.base_url is None:
            notes.append(f"model {model.name}: {model.model} retires on {facts.retires.isoformat()}")
    if any(limit.dollars_per_day is not None or limit.dollars_per_month is not None for limit in policy.limits):
        notes += [
            f"model {model.name}: no price is known, so limits of dollars do not hold for it"
            for model in policy.models.values()
            if model.price is None
        ]
    if "auto" not in policy.routes:
        notes.append("no route is called auto; callers must name " + " or ".join(policy.routes))
    if not any(model.private for model in policy.models.values()):
        strict = [route.name for route in policy.routes.values() if route.privacy == "enforce"]
        notes += [f"route {name}: no model is private, so every private ask is refused" for name in strict]
    for route in policy.routes.values():
        if route.rules and route.baseline is not None and route.baseline not in models_of(policy, route):
            notes.append(
                f"route {route.name}: its baseline {route.baseline} is never asked here: savings are against a guess"
            )
        cost = None if route.audit is None else _audit_usd(policy, route)
        if route.audit is not None and cost is not None and cost > route.audit.budget_usd:
            notes.append(
                f"route {route.name}: one audit of a usual ask takes about ${cost:.4f}, more than its budget of "
                f"${route.audit.budget_usd:g} a day: hardly any will run"
            )
    findings = (*unused_findings(policy), *condition_findings(policy), *standby_findings(policy))
    return Review(findings, tuple(notes))


def _audit_usd(policy: Policy, route: Route) -> float | None:
    """Dollars that one audit of a usual ask takes: an answer of the baseline, and both answers weighed twice."""
    assert route.audit is not None and route.baseline is not None
    baseline, judge = policy.models[route.baseline].price, policy.models[route.audit.judge].price
    answer = estimate_usd(_USUAL_TOKENS, _USUAL_TOKENS, baseline)
    weighing = estimate_usd(3 * _USUAL_TOKENS, 100, judge)
    return None if answer is None or weighing is None else answer + 2 * weighing
