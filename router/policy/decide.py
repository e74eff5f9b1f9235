"""Decides who answers: first who may serve, then the rules in order, then the default. Pure arithmetic on values.

The law: every policy that loads decides every ask, or refuses it with a reason.

- The first rule that matches *and* can serve decides. A rule whose models may not serve is passed over, with reasons.
- `use` names the model; where it may not serve, the first of the rule's `fallback` that may takes its place.
- `choose: cheapest` takes the cheapest of `among` whose predicted quality is at least `keep_quality` times that of the
  route's baseline (whether or not the baseline may serve); unknown prices sort last; where none keeps it, the baseline
  if it may serve, else the best. Without a `fallback` of its own, the others of `among` stand by: those that keep the
  quality, cheapest first, then the rest, best first. `fallback: []` means nobody stands by.
- No rule: the route's default, then the policy's; rule `default`. Neither may serve: the request is refused. A model
  that no rule and no default names is never taken, for the operator did not ask for it.
- A model named outright is called or refused: rule `pinned`, no fallback. Naming a model does not lift privacy.
- Models whose breaker is open are refused, not tried: 503 with `retry-after` costs the caller less than a timeout.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from classifiers.contract import Assessment
from router.domain import Ask, Decision, ModelSpec, RuleTrace, Verdict
from router.errors import ContextTooLong, ModelNotFound, NoEligibleModel, NothingHealthy
from router.policy.compiled import Facts, Policy, Route, Rule
from router.policy.conditions import Context, Names
from router.policy.eligibility import CONTEXT, UNHEALTHY, eligible
from router.policy.suggest import did_you_mean
from router.prices import estimate_usd

RETRY_AFTER_SECONDS = 5.0
"""What a caller is told when everybody is unwell: about when a breaker tries again."""

_PLAN = "single"


def resolve(policy: Policy, requested: str) -> Route | ModelSpec:
    """The route or model that a request's `model` names. Raises ModelNotFound."""
    target = policy.routes.get(requested) or policy.models.get(requested)
    if target is None:
        hint = did_you_mean(requested, [*policy.routes, *policy.models])
        raise ModelNotFound(f"There is no model or route `{requested[:100]}` here{hint}", param="model")
    return target


def decide(policy: Policy, target: Route | ModelSpec, ask: Ask, assessment: Assessment, facts: Facts) -> Verdict:
    """Who answers this ask, and all that led there.

    Raises ContextTooLong, NothingHealthy or NoEligibleModel, each saying what stands against which model.
    """
    route = target if isinstance(target, Route) else None
    able = eligible(policy, route, ask, facts)
    costs = {
        name: estimate_usd(ask.input_tokens, ask.output_tokens, model.price) for name, model in policy.models.items()
    }
    if route is None:
        assert isinstance(target, ModelSpec)
        if able[target.name] is not True:
            raise _refusal(able, [target.name])
        return _verdict(target.name, "pinned", (), able, (), costs)

    context: Context | None = None
    traces: list[RuleTrace] = []
    wanted: list[str] = []
    for rule in route.rules:
        condition = rule.condition
        if condition is None:
            matched, why = True, "always"
        elif condition.plain is not None:
            matched = condition.plain(ask, assessment)
            why = condition.source if matched else f"false: {condition.source}"
        else:
            context = context or _context(policy.names, ask, assessment, facts, costs)
            matched, why = condition.holds(context)
        if not matched:
            traces.append(RuleTrace(rule.name, False, why))
            continue
        candidates, reason = _candidates(rule, route, assessment, able, costs)
        serving = [name for name in candidates if able[name] is True]
        if serving:
            traces.append(RuleTrace(rule.name, True, _told(why, reason, candidates, able)))
            return _verdict(serving[0], rule.name, serving[1:], able, traces, costs)
        wanted += candidates or rule.among
        traces.append(RuleTrace(rule.name, False, f"{why}; but nobody it names may serve ({_against(wanted, able)})"))

    for name in (route.default, policy.default):
        if able[name] is True:
            return _verdict(name, "default", (), able, traces, costs)
        wanted.append(name)
    raise _refusal(able, wanted)


def _candidates(
    rule: Rule,
    route: Route,
    assessment: Assessment,
    able: Mapping[str, bool | str],
    costs: Mapping[str, float | None],
) -> tuple[list[str], str]:
    """The models of a rule, the wanted one first, those not able to serve included where the rule names them."""
    if rule.use is not None:
        return list(dict.fromkeys((rule.use, *(rule.fallback or ())))), ""
    quality = assessment.quality
    serving = [name for name in rule.among if able[name] is True]
    baseline = route.baseline
    bar = (rule.keep_quality or 0.0) * quality.get(baseline, 0.0) if baseline is not None else 0.0
    keepers = sorted(
        (name for name in serving if quality.get(name, 0.0) >= bar), key=lambda name: _price_key(costs[name])
    )
    others = sorted((name for name in serving if name not in keepers), key=lambda name: -quality.get(name, 0.0))
    if keepers:
        first, reason = keepers[0], f"cheapest with quality {quality.get(keepers[0], 0.0):.2f} >= {bar:.2f}"
    elif baseline is not None and able[baseline] is True:
        first, reason = baseline, f"nobody keeps quality {bar:.2f}, so the baseline"
    elif others:
        first, reason = others[0], f"nobody keeps quality {bar:.2f}, so the best"
    else:
        return list(rule.fallback or ()), "nobody of `among` may serve"
    standing_by = (*keepers, *others) if rule.fallback is None else rule.fallback
    return list(dict.fromkeys((first, *standing_by))), reason


def _price_key(cost: float | None) -> float:
    return math.inf if cost is None else cost


def _context(
    names: Names,
    ask: Ask,
    assessment: Assessment,
    facts: Facts,
    costs: Mapping[str, float | None],
) -> Context:
    """Only what the policy's conditions use: putting a value before CEL costs more than asking one."""
    values: dict[str, Any] = {}
    for root in names.roots:
        if root == "ask":
            values[root] = {member: _ask_member(ask, assessment, member) for member in names.ask}
        elif root in ("complexity", "gain", "support", "quality"):
            values[root] = getattr(assessment, root)
        elif root == "cost":
            values[root] = costs
        elif root == "tenant":
            values[root] = facts.tenant
        elif root == "key":
            values[root] = {"tags": list(facts.key_tags)}
        elif root == "headers":
            values[root] = dict(facts.headers)
        elif root == "metadata":
            values[root] = dict(facts.metadata)
        elif root == "hour":
            values[root] = facts.at.hour
        elif root == "weekday":
            values[root] = facts.at.isoweekday()
    return Context(values)


def _ask_member(ask: Ask, assessment: Assessment, member: str) -> Any:
    if member in ("task", "language"):
        return getattr(assessment, member)
    value = getattr(ask, member)
    return list(value) if member == "private" else value


def _verdict(
    model: str,
    rule: str,
    fallback: Iterable[str],
    able: Mapping[str, bool | str],
    traces: Sequence[RuleTrace],
    costs: Mapping[str, float | None],
) -> Verdict:
    decision = Decision(_PLAN, model, rule, tuple(fallback), costs[model])
    return Verdict(decision, able, tuple(traces), costs)


def _told(why: str, reason: str, candidates: Sequence[str], able: Mapping[str, bool | str]) -> str:
    """Why a rule chose as it did, with those of its models that may not serve."""
    passed = [name for name in candidates if able[name] is not True]
    told = f"{why}; {reason}" if reason else why
    return f"{told}; passed over {_against(passed, able)}" if passed else told


def _against(names: Iterable[str], able: Mapping[str, bool | str]) -> str:
    return "; ".join(f"{name}: {able[name]}" for name in dict.fromkeys(names) if able[name] is not True)


def _refusal(
    able: Mapping[str, bool | str], wanted: Sequence[str]
) -> ContextTooLong | NothingHealthy | NoEligibleModel:
    """The error for a request that nobody may serve. Health first: what only time stands against may be asked again."""
    reasons = [str(able[name]) for name in dict.fromkeys(wanted)]
    told = _against(wanted, able)
    if any(reason.startswith(UNHEALTHY) for reason in reasons):
        return NothingHealthy(f"No model that may serve this is healthy: {told}", retry_after=RETRY_AFTER_SECONDS)
    if all(reason.startswith(CONTEXT) for reason in reasons):
        return ContextTooLong(f"The request is too long for every model that may serve it: {told}", param="messages")
    return NoEligibleModel(f"The policy lets no model serve this: {told}")
