"""Trying another model now and then where it hardly matters, with the exact chance of it written down.

Pure arithmetic: the draw is passed in. Off-policy estimates divide by what is logged, so it is exact, and bounded
from below.
"""

from __future__ import annotations

from msgspec import structs

from classifiers.contract import Assessment
from router.domain import Ask, RuleTrace, Verdict
from router.policy.compiled import CONVERSATION_RULE, Explore

LEAST_CHANCE = 0.005
"""Weights in off-policy estimates are at most 200; where there are too many near ties for the rate, fewer are tried."""


def explore(
    verdict: Verdict, settings: Explore, ask: Ask, assessment: Assessment, draw: float, *, in_tool_loop: bool
) -> Verdict:
    """The verdict, or now and then one of its near ties. draw: uniform in [0, 1).

    Near ties are the models that stand by and are predicted at most `band` better or worse. Each is taken with an equal
    part of `rate`, and the one that was decided on with the rest. Never for private asks, housekeeping, tool loops,
    conversations that keep their model, plans of several calls, models named outright, rules whose `max_risk` is not
    proven.
    """
    decision = verdict.decision
    settled = (
        decision.plan != "single"
        or decision.unproven is not None
        or decision.rule in (CONVERSATION_RULE, "pinned", "default", "degraded")
    )
    if settled or ask.private or ask.housekeeping or in_tool_loop or settings.rate <= 0:
        return verdict
    predicted = assessment.quality.get(decision.model, 0.0)
    ties = [
        name
        for name in decision.fallback
        if verdict.eligible[name] is True and abs(assessment.quality.get(name, 0.0) - predicted) <= settings.band
    ][: int(settings.rate / LEAST_CHANCE)]
    if not ties:
        return verdict
    chance = settings.rate / len(ties)
    number = int(draw / chance)
    if draw >= settings.rate or number >= len(ties):
        return structs.replace(verdict, decision=structs.replace(decision, probability=1.0 - settings.rate))
    tried = ties[number]
    behind = (decision.model, *(name for name in decision.fallback if name != tried))
    trace = RuleTrace(
        "explore", True, f"tries {tried} for {decision.model} with chance {chance:.4f}: predicted about as good"
    )
    other = structs.replace(
        decision,
        model=tried,
        fallback=behind,
        expected_cost_usd=verdict.expected_cost_usd.get(tried),
        probability=chance,
    )
    return structs.replace(verdict, decision=other, rules=(*verdict.rules, trace))
