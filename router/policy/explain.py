"""Says in values what was decided and why: the answer of `POST /v1/route`, of `policy explain`, of the dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from classifiers.contract import Assessment
from router.ask import describe_ask
from router.domain import Ask, ModelSpec, Verdict
from router.policy.compiled import Facts, Policy, Route
from router.policy.decide import decide


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
        },
    }


def explain(
    policy: Policy, target: Route | ModelSpec, ask: Ask, assessment: Assessment, facts: Facts | None = None
) -> dict[str, Any]:
    """Decides, and says so. Raises what `decide` raises."""
    verdict = decide(policy, target, ask, assessment, facts or Facts())
    route = target.name if isinstance(target, Route) else None
    return explanation("none", policy, route, ask, assessment, verdict)


def in_effect(policy: Policy, route: Route | None) -> list[tuple[str, str]]:
    """Every key of the policy that bears on a route, as (key, what it means), for people. No secrets."""
    lines = [("version", "1"), ("default", f"{policy.default} serves when no rule can")]
    for model in policy.models.values():
        lines += [(f"models.{model.name}.{key}", value) for key, value in _model_lines(model).items()]
    if route is not None:
        lines += [(f"routes.{route.name}.{key}", value) for key, value in _route_lines(policy, route).items()]
    lines += [
        ("privacy.countries", ", ".join(policy.countries).upper() or "none: no national ids are looked for"),
        ("privacy.phone_region", policy.phone_region or "none: only phone numbers with +"),
        (
            "log_text",
            "asks and answers are kept (not private ones)" if policy.log_text == "full" else "no text is kept",
        ),
    ]
    return lines


def _model_lines(model: ModelSpec) -> Mapping[str, str]:
    price, timeouts = model.price, model.timeouts
    return {
        "tier": model.tier,
        "provider": model.provider,
        "model": model.model,
        "base_url": model.base_url or "the provider's own",
        "api_key": "given" if model.api_key else "none",
        "context": f"{model.context} tokens" if model.context else "unknown: not checked",
        "max_output": f"{model.max_output} tokens" if model.max_output else "unknown: not checked",
        "supports": "unknown: not checked" if model.supports is None else ", ".join(sorted(model.supports)) or "none",
        "private": "private asks may go here" if model.private else "private asks may not go here",
        "region": model.region or "not stated",
        "price": (
            f"${price.input:g} in, ${price.output:g} out per million tokens"
            + (f", ${price.cache_read:g} cache read" if price.cache_read is not None else "")
            + (f", ${price.cache_write:g} cache write" if price.cache_write is not None else "")
            + f" ({price.source})"
            if price
            else "unknown: costs are null"
        ),
        "timeouts": f"connect {timeouts.connect:g} s, first_token {timeouts.first_token:g} s, "
        f"idle {timeouts.idle:g} s, total {timeouts.total:g} s",
        "retries": str(model.retries),
        "max_concurrency": str(model.max_concurrency or "no limit"),
    }


def _route_lines(policy: Policy, route: Route) -> Mapping[str, str]:
    lines = {"baseline": route.baseline or "none: savings are not measured"}
    for number, rule in enumerate(route.rules):
        at = f"rules[{number}]"
        lines[f"{at}.name"] = rule.name
        lines[f"{at}.when"] = rule.condition.source if rule.condition else "always"
        if rule.use is not None:
            lines[f"{at}.use"] = rule.use
        else:
            lines[f"{at}.choose"] = "cheapest"
            lines[f"{at}.among"] = ", ".join(rule.among)
            lines[f"{at}.keep_quality"] = (
                "any" if rule.keep_quality is None else f"{rule.keep_quality:g} of the baseline's"
            )
        if rule.fallback is not None:
            lines[f"{at}.fallback"] = ", ".join(rule.fallback) or "nobody"
        else:
            lines[f"{at}.fallback"] = "nobody" if rule.use is not None else "the others of among"
    lines["cache.exact.ttl"] = f"{route.cache.ttl_seconds:g} s" if route.cache else "off"
    if route.cache:
        lines["cache.private"] = (
            "answers to private asks are kept too" if route.cache.private else "private asks bypass it"
        )
    lines["privacy"] = (
        "enforce: private asks only reach private models" if route.privacy == "enforce" else "observe: only noted"
    )
    lines["default"] = route.default
    return lines
