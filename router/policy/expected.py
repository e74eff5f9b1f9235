"""What carrying a decision out would cost at other token counts than those it was made for: of a request that ended."""

from __future__ import annotations

from collections.abc import Iterator

from router.domain import Decision
from router.policy.compiled import Policy
from router.prices import estimate_usd


def cost_at(decision: Decision, policy: Policy, input_tokens: int, output_tokens: int) -> float | None:
    """Dollars, as `router.policy.acts` expects them: every part once, `then` with the chance that it is needed.

    None where a price is unknown.
    """
    terms = decision.terms
    total = 0.0
    for name, chance in _calls(decision):
        cost = estimate_usd(input_tokens, output_tokens, policy.models[name].price)
        if cost is None:
            return None
        total += cost * chance
    retrievers = () if terms is None else (part.retriever for part in terms.parts)
    return total + sum(policy.retrievers[name].price for name in retrievers if name is not None)


def _calls(decision: Decision) -> Iterator[tuple[str, float]]:
    """(model, chance that it is asked)."""
    terms = decision.terms
    if terms is None:
        yield decision.model, 1.0
        return
    yield from ((part.model, 1.0) for part in terms.parts)
    if terms.then is not None:
        yield terms.then, 1.0 - terms.quality
    if terms.judge is not None:
        yield terms.judge, 1.0
