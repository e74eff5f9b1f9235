"""Who may serve: privacy, tools, schema, images, room for prompt and answer, health, budgets. Who should is `decide`'s.

A reason begins with its kind (`context: ...`), so that what refuses a request can be told from the reasons alone.
"""

from __future__ import annotations

from typing import Final

from msgspec import structs

from router.domain import Ask, ModelSpec
from router.policy.compiled import Facts, Policy, Privacy, Route

CONTEXT: Final = "context: "
UNHEALTHY: Final = "unhealthy: "
BUDGET: Final = "budget: "
RATE: Final = "rate: "
"""What `Facts.spent` begins with: money that is spent, or a pace that is reached."""


def eligible(policy: Policy, route: Route | None, ask: Ask, facts: Facts) -> dict[str, bool | str]:
    """True, or the first reason why not, for every model of the policy.

    route: None for a model named outright, to which the strictest privacy of the policy applies. What only time can
    mend (health, limits) comes last, so that it is the reason only where nothing else stands against the model.
    """
    privacy = policy.pinned_privacy if route is None else route.privacy
    needs = [
        name
        for name, wanted in (("tools", ask.tools), ("json_schema", ask.json_schema), ("images", ask.images))
        if wanted
    ]
    return {name: _reason(model, ask, privacy, needs, facts) or True for name, model in policy.models.items()}


def against_reading(model: ModelSpec, ask: Ask, privacy: Privacy, facts: Facts) -> str | None:
    """Why a model may not be shown the ask's words, to choose by them; what its answer would need is not asked here."""
    return _reason(model, structs.replace(ask, input_tokens=0, output_tokens=0), privacy, [], facts)


def _reason(model: ModelSpec, ask: Ask, privacy: Privacy, needs: list[str], facts: Facts) -> str | None:
    if ask.private and privacy == "enforce" and not model.private:
        return f"privacy: the ask holds {', '.join(ask.private)} and the model is not private"
    if needs and model.supports is not None:
        for need in needs:
            if need not in model.supports:
                return f"{need}: not supported"
    output = ask.output_tokens
    if model.max_output is not None and output > model.max_output:
        if not ask.output_assumed:
            return f"max_output: {output} tokens asked for, {model.max_output} at most"
        output = model.max_output
    if model.context is not None and ask.input_tokens + output > model.context:
        return f"{CONTEXT}{ask.input_tokens} tokens in and {output} out, room for {model.context}"
    if model.name in facts.unhealthy:
        return f"{UNHEALTHY}{facts.unhealthy[model.name]}"
    return facts.spent.get(model.name)
