"""Decides who answers: first who may serve, then the rules in order, then the default. Pure arithmetic on values.

The law: every policy that loads decides every ask, or refuses it with a reason.

- The first rule that matches *and* can serve decides. A rule whose models may not serve is passed over, with reasons.
- `use` names the model; where it may not serve, the first of the rule's `fallback` that may takes its place.
- `choose: cheapest` takes the cheapest of `among` whose predicted quality is at least `keep_quality` times that of the
  route's baseline (whether or not the baseline may serve); unknown prices sort last; where none keeps it, the baseline
  if it may serve, else the best. Without a `fallback` of its own, the others of `among` stand by: those that keep the
  quality, cheapest first, then the rest, best first. `fallback: []` means nobody stands by.
- `choose` with a `threshold` takes the cheapest whose predicted quality is at most that much below the baseline's, as
  `policy tune` found it on data. `choose: best` takes the best within `max_cost` times the baseline's cost; where there
  is none, the cheapest.
- `choose` with a `max_risk` has the baseline serve until audits prove it (`Facts.proofs`); where the baseline may not,
  the rule is passed over. Whoever the rule would have taken stands by at most.
- `cascade`, `agree` and `fan_out` ask only those of their parts that may serve; `router.policy.acts` says what is left
  of a plan then. `select` asks its selector, who may abstain: then the rule is passed over.
- No rule: the route's default, then the policy's; rule `default`. Neither may serve: the request is refused. A model
  that no rule and no default names is never taken, for the operator did not ask for it.
- A model named outright is called or refused: rule `pinned`, no fallback. Naming a model does not lift privacy.
- Models whose breaker is open are refused, not tried: 503 with `retry-after` costs the caller less than a timeout.
- Models whose budget is spent or whose pace is reached are passed over; where nobody else may serve, that is a 429.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from classifiers.contract import Assessment
from router.domain import Ask, Decision, ModelSpec, RuleTrace, Verdict
from router.errors import BudgetSpent, ContextTooLong, ModelNotFound, NoEligibleModel, NothingHealthy, RateLimited
from router.policy.acts import Standing, act_on
from router.policy.compiled import Facts, Policy, Route, Rule, Select, Selection
from router.policy.conditions import Context, Names
from router.policy.eligibility import BUDGET, CONTEXT, RATE, UNHEALTHY, eligible
from router.policy.suggest import did_you_mean
from router.prices import estimate_usd

RETRY_AFTER_SECONDS = 5.0
"""What a caller is told when everybody is unwell: about when a breaker tries again."""

NOTHING_SELECTED: Mapping[str, Selection] = MappingProxyType({})


def resolve(policy: Policy, requested: str) -> Route | ModelSpec:
    """The route or model that a request's `model` names. Raises ModelNotFound."""
    target = policy.routes.get(requested) or policy.models.get(requested)
    if target is None:
        hint = did_you_mean(requested, [*policy.routes, *policy.models])
        raise ModelNotFound(f"There is no model or route `{requested[:100]}` here{hint}", param="model")
    return target


class SelectionNeeded(Exception):
    """A `select` rule matched and nobody has selected yet: whoever decides does, and decides again."""

    def __init__(self, rule: Rule, select: Select, standing: Standing):
        super().__init__(rule.name)
        self.rule, self.select, self.standing = rule, select, standing


def decide(
    policy: Policy,
    target: Route | ModelSpec,
    ask: Ask,
    assessment: Assessment,
    facts: Facts,
    selections: Mapping[str, Selection] = NOTHING_SELECTED,
) -> Verdict:
    """Who answers this ask, and all that led there. selections: by rule, what its selector picked.

    Raises ContextTooLong, NothingHealthy or NoEligibleModel, each saying what stands against which model; and
    SelectionNeeded at the first `select` rule that is not in `selections`.
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
        return Verdict(Decision("single", target.name, "pinned", (), costs[target.name]), able, (), costs)

    standing = Standing(route, ask, assessment, able, costs, policy.retrievers, facts.proofs)
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
        if isinstance(rule.act, Select) and rule.name not in selections:
            raise SelectionNeeded(rule, rule.act, standing)
        step = act_on(rule, standing, selections.get(rule.name))
        if step.decision is not None:
            traces.append(RuleTrace(rule.name, True, _told(why, step.why, step.wanted, able)))
            return Verdict(step.decision, able, tuple(traces), costs)
        wanted += step.wanted
        against = _against(step.wanted, able)
        nobody = f"but nobody it names may serve ({against})" if against else ""
        traces.append(RuleTrace(rule.name, False, "; ".join(filter(None, (why, step.why, nobody)))))

    for name in (route.default, policy.default):
        if able[name] is True:
            return Verdict(Decision("single", name, "default", (), costs[name]), able, tuple(traces), costs)
        wanted.append(name)
    raise _refusal(able, wanted)


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
        elif root == "budget":
            values[root] = {"used": facts.budget_used}
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


def _told(why: str, reason: str, candidates: Sequence[str], able: Mapping[str, bool | str]) -> str:
    """Why a rule chose as it did, with those of its models that may not serve."""
    passed = [name for name in candidates if able[name] is not True]
    told = f"{why}; {reason}" if reason else why
    return f"{told}; passed over {_against(passed, able)}" if passed else told


def _against(names: Iterable[str], able: Mapping[str, bool | str]) -> str:
    return "; ".join(f"{name}: {able[name]}" for name in dict.fromkeys(names) if able[name] is not True)


def _refusal(
    able: Mapping[str, bool | str], wanted: Sequence[str]
) -> ContextTooLong | NothingHealthy | NoEligibleModel | RateLimited:
    """The error for a request that nobody may serve. Health first: what only time stands against may be asked again."""
    reasons = [str(able[name]) for name in dict.fromkeys(wanted)]
    told = _against(wanted, able)
    if any(reason.startswith(UNHEALTHY) for reason in reasons):
        return NothingHealthy(f"No model that may serve this is healthy: {told}", retry_after=RETRY_AFTER_SECONDS)
    if any(reason.startswith(RATE) for reason in reasons):
        return RateLimited(f"Every model that may serve this has reached its limit: {told}")
    if any(reason.startswith(BUDGET) for reason in reasons):
        return BudgetSpent(f"The budget of every model that may serve this is spent: {told}")
    if all(reason.startswith(CONTEXT) for reason in reasons):
        return ContextTooLong(f"The request is too long for every model that may serve it: {told}", param="messages")
    return NoEligibleModel(f"The policy lets no model serve this: {told}")
