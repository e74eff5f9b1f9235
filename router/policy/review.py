"""Looks over a policy that loads: what of it can never act (findings), and what its owner may want to know (notes)."""

from __future__ import annotations

from dataclasses import dataclass

from router.policy.compiled import Policy, Route, Select
from router.prices import lookup


@dataclass(frozen=True, slots=True)
class Review:
    """findings: parts that can never act. notes: nothing wrong, but worth knowing."""

    findings: tuple[str, ...]
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
    if "auto" not in policy.routes:
        notes.append("no route is called auto; callers must name " + " or ".join(policy.routes))
    if not any(model.private for model in policy.models.values()):
        strict = [route.name for route in policy.routes.values() if route.privacy == "enforce"]
        notes += [f"route {name}: no model is private, so every private ask is refused" for name in strict]
    findings = [finding for route in policy.routes.values() for finding in _never_reached(route)]
    return Review(tuple(findings), tuple(notes))


def _never_reached(route: Route) -> list[str]:
    """Rules behind one that always matches and may name anybody: only its models' ill health lets them act.

    A selector may abstain, so `select` does not count.
    """
    for number, rule in enumerate(route.rules[:-1]):
        if rule.condition is None and not isinstance(rule.act, Select):
            names = ", ".join(other.name for other in route.rules[number + 1 :])
            return [
                f"route {route.name}: `{rule.name}` always matches, so these act only when it cannot serve: {names}"
            ]
    return []
