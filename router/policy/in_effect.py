"""Every key of a policy that bears on a route, and what it means, for people: the end of `policy explain`."""

from __future__ import annotations

from collections.abc import Mapping

from router.domain import ModelSpec, Part, RetrieverSpec
from router.policy.compiled import (
    Agree,
    Cascade,
    Choose,
    FanOut,
    Limit,
    Option,
    Policy,
    Route,
    Rule,
    Select,
    Use,
)


def in_effect(policy: Policy, route: Route | None) -> list[tuple[str, str]]:
    """Every key of the policy that bears on a route, as (key, what it means), for people. No secrets."""
    lines = [("version", "1"), ("default", f"{policy.default} serves when no rule can")]
    for model in policy.models.values():
        lines += [(f"models.{model.name}.{key}", value) for key, value in _model_lines(model).items()]
    for retriever in policy.retrievers.values():
        lines += [(f"retrievers.{retriever.name}.{key}", value) for key, value in _retriever_lines(retriever).items()]
    for option in policy.options.values():
        lines += [(f"options.{option.name}.{key}", value) for key, value in _option_lines(option).items()]
    for number, limit in enumerate(policy.limits):
        lines += [(f"limits[{number}].{key}", value) for key, value in _limit_lines(limit).items()]
    if route is not None:
        lines += [(f"routes.{route.name}.{key}", value) for key, value in _route_lines(policy, route).items()]
    share = f"{policy.canary.share:.0%} of conversations" if policy.canary else "nobody"
    lines += [
        ("shadow", policy.shadow or "none: nobody decides beside this policy"),
        ("canary.policy", policy.canary.file if policy.canary else "none"),
        ("canary.share", share),
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


def _retriever_lines(retriever: RetrieverSpec) -> Mapping[str, str]:
    return {
        "url": retriever.url,
        "api_key": "given" if retriever.api_key else "none",
        "top": f"{retriever.top} passages",
        "private": "private asks may go here" if retriever.private else "private asks may not go here",
        "timeout": f"{retriever.timeout:g} s, then the ask goes on without passages",
        "price": f"${retriever.price:g} a call",
    }


def _option_lines(option: Option) -> Mapping[str, str]:
    return {
        "use": option.part.model,
        "with": option.part.retriever or "no retriever",
        "description": option.description,
        "examples": f"{len(option.examples)}",
        "tags": ", ".join(option.tags) or "none",
    }


def _limit_lines(limit: Limit) -> Mapping[str, str]:
    lines = {"name": limit.name, "per": limit.per, "only": ", ".join(limit.only) or f"each {limit.per}"}
    for key, unit in (
        ("requests_per_minute", "requests in any minute"),
        ("tokens_per_minute", "tokens in any minute"),
        ("dollars_per_day", "dollars a day"),
        ("dollars_per_month", "dollars a month"),
    ):
        bound = getattr(limit, key)
        lines[key] = "no bound" if bound is None else f"{bound:g} {unit}"
    return lines


def _route_lines(policy: Policy, route: Route) -> Mapping[str, str]:
    lines = {"baseline": route.baseline or "none: savings are not measured"}
    for number, rule in enumerate(route.rules):
        at = f"rules[{number}]"
        lines[f"{at}.name"] = rule.name
        lines[f"{at}.when"] = rule.condition.source if rule.condition else "always"
        lines.update({f"{at}.{key}": value for key, value in _act_lines(rule).items()})
        if rule.fallback is not None:
            lines[f"{at}.fallback"] = ", ".join(rule.fallback) or "nobody"
        else:
            lines[f"{at}.fallback"] = "the others of among" if isinstance(rule.act, Choose) else "nobody"
    lines["cache.exact.ttl"] = f"{route.cache.ttl_seconds:g} s" if route.cache else "off"
    if route.cache:
        lines["cache.private"] = (
            "answers to private asks are kept too" if route.cache.private else "private asks bypass it"
        )
    lines["privacy"] = (
        "enforce: private asks only reach private models" if route.privacy == "enforce" else "observe: only noted"
    )
    staying = route.conversation
    lines["conversation.margin"] = (
        f"a change must gain {staying.margin:g} in predicted quality" if staying else "off: each turn is decided anew"
    )
    if staying:
        lines["conversation.ttl"] = f"{staying.ttl_seconds:g} s after the last turn"
    audit, explore = route.audit, route.explore
    lines["audit.rate"] = f"{audit.rate:g} of the requests are answered twice" if audit else "off: nothing is audited"
    if audit:
        lines["audit.judge"] = audit.judge
        lines["audit.budget_per_day"] = f"${audit.budget_usd:g}, each process for itself"
        lines["audit.review"] = f"{audit.review:g} of the others have their answer scored alone"
        lines["audit.judges_itself"] = "yes" if audit.judges_itself else "no: its own answers are not judged"
    lines["explore.rate"] = f"{explore.rate:g} of the requests go elsewhere" if explore else "off: nothing is tried"
    if explore:
        lines["explore.band"] = f"where predicted qualities are at most {explore.band:g} apart"
    lines["default"] = route.default
    return lines


def _act_lines(rule: Rule) -> Mapping[str, str]:
    """The keys of a rule's verb."""
    act = rule.act
    if isinstance(act, Use):
        return {"use": act.model}
    if isinstance(act, Choose):
        return _choose_lines(act)
    if isinstance(act, Select):
        return {
            "select.by": "embedding" if act.model is None else "model",
            "select.model": act.model or "none: likeness decides",
            "select.among": ", ".join(option.name for option in act.among),
            "select.top": str(act.top),
            "select.threshold": "calibrated on the options' examples"
            if act.threshold is None
            else f"{act.threshold:g}",
            "select.combine": act.combine or "nothing to combine",
            "select.judge": act.judge or "nobody",
        }
    if isinstance(act, Cascade):
        return {
            "cascade.first": _named(act.first),
            "cascade.then": act.then,
            "cascade.checks": ", ".join(act.checks) or "none",
            "cascade.trust": "no bar: checks alone" if act.trust is None else f"at least {act.trust:g}",
        }
    if isinstance(act, Agree):
        return {
            "agree.ask": ", ".join(_named(part) for part in act.ask),
            "agree.then": act.then,
            "agree.trust": f"at least {act.trust:g}",
        }
    assert isinstance(act, FanOut)
    return {
        "fan_out.ask": ", ".join(_named(part) for part in act.ask),
        "fan_out.combine": act.combine,
        "fan_out.judge": act.judge or "nobody: the most agreed on",
    }


def _choose_lines(act: Choose) -> Mapping[str, str]:
    lines = {"choose": act.of, "among": ", ".join(act.among)}
    if act.of == "cheapest":
        lines["keep_quality"] = "any" if act.keep_quality is None else f"{act.keep_quality:g} of the baseline's"
    else:
        lines["max_cost"] = "any" if act.max_cost is None else f"{act.max_cost:g} of the baseline's"
    if act.threshold is not None:
        lines["threshold"] = f"a predicted loss of at most {act.threshold:g} against the baseline"
    if act.max_risk is not None:
        lines["max_risk"] = f"the baseline serves until audits prove a mean loss of at most {act.max_risk:g}"
    return lines


def _named(part: Part) -> str:
    """A part, with what stands behind its name."""
    if part.name == part.model and part.retriever is None:
        return part.name
    return f"{part.name} ({part.model}{f' with {part.retriever}' if part.retriever else ''})"
