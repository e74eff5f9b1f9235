"""Says in values what was decided and why: the answer of `POST /v1/route`, of `policy explain`, of the dashboard."""

from __future__ import annotations

from typing import Any

from classifiers.contract import Assessment
from router.ask import describe_ask
from router.domain import Ask, Terms, Verdict
from router.policy.compiled import Policy


def explanation(
    request_id: str, policy: Policy, route_name: str | None, ask: Ask, assessment: Assessment, verdict: Verdict
) -> dict[str, Any]:
    """The JSON of one decision. route_name: None for a model named outright."""
    decision = verdict.decision
    return {
        "request_id": request_id,
        "route": route_name,
        "policy": policy.label,
        "ask": describe_ask(ask, assessment.task, assessment.language),
        "assessment": {
            "complexity": assessment.complexity,
            "quality": dict(assessment.quality),
            "gain": assessment.gain,
            "support": assessment.support,
            "task": assessment.task,
            "language": assessment.language,
            "classifier": assessment.classifier,
        },
        "eligible": dict(verdict.eligible),
        "rules": [{"name": rule.name, "matched": rule.matched, "why": rule.why} for rule in verdict.rules],
        "decision": {
            "plan": decision.plan,
            "model": decision.model,
            "rule": decision.rule,
            "fallback": list(decision.fallback),
            "expected_cost_usd": decision.expected_cost_usd,
            "probability": decision.probability,
            "cache": decision.cache,
            **({"options": list(decision.options)} if decision.options else {}),
            **({"unproven": decision.unproven} if decision.unproven is not None else {}),
            **({"terms": _terms(decision.terms)} if decision.terms is not None else {}),
        },
    }


def _terms(terms: Terms) -> dict[str, Any]:
    """How a plan of several calls would be carried out."""
    return {
        "parts": [{"name": part.name, "model": part.model, "retriever": part.retriever} for part in terms.parts],
        "then": terms.then,
        "checks": list(terms.checks),
        "trust": terms.trust,
        "combine": terms.combine,
        "judge": terms.judge,
    }
