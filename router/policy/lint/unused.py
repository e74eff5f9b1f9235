"""What a policy defines and nothing uses: models, options, retrievers; limits that hold for nobody."""

from __future__ import annotations

from collections.abc import Iterator

from router.policy.compiled import Agree, Cascade, Choose, FanOut, Limit, Policy, Route, Select
from router.policy.lint.finding import Finding
from router.policy.lint.standby import first_models


def unused_findings(policy: Policy) -> Iterator[Finding]:
    """Findings about the parts beside the rules, in the order of the file."""
    options = _options_reached(policy)
    models = _models_reached(policy, options)
    for name in policy.models:
        if name not in models:
            says = f"model {name}: no rule and no default names it, so only callers who name it outright reach it"
            yield Finding(("models", name), says, "name it in a rule, or take it out")
    with_retriever = {policy.options[name].part.retriever for name in options}
    for name in policy.retrievers:
        if name not in with_retriever:
            says = f"retriever {name}: no option that can be picked uses it"
            yield Finding(("retrievers", name), says, "write `with` in an option that a rule asks for, or take it out")
    for name in policy.options:
        if name not in options:
            says = f"option {name}: no rule selects or asks it"
            yield Finding(("options", name), says, "add it to the `among` of a `select`, or take it out")
    for number, limit in enumerate(policy.limits):
        yield from _limit(policy, limit, number, models)
    yield from _budgets(policy)


def models_of(policy: Policy, route: Route) -> set[str]:
    """The models that a route can ask for an answer, in any way."""
    named = {route.default, policy.default}
    for rule in route.rules:
        named.update(first_models(rule), rule.fallback or ())
        if isinstance(rule.act, Select):
            named.update(option.part.model for option in rule.act.among)
            named.update(name for name in (rule.act.model, rule.act.judge) if name is not None)
        elif isinstance(rule.act, Choose) and route.baseline is not None and _turns_to_baseline(rule.act):
            named.add(route.baseline)
    return named


def _turns_to_baseline(act: Choose) -> bool:
    return act.of == "cheapest" or act.max_risk is not None


def _options_reached(policy: Policy) -> set[str]:
    names: set[str] = set()
    for route in policy.routes.values():
        for rule in route.rules:
            act = rule.act
            if isinstance(act, Select):
                names.update(option.name for option in act.among)
            elif isinstance(act, Agree | FanOut):
                names.update(part.name for part in act.ask)
            elif isinstance(act, Cascade):
                names.add(act.first.name)
    return names & set(policy.options)


def _models_reached(policy: Policy, options: set[str]) -> set[str]:
    reached = {policy.options[name].part.model for name in options}
    for route in policy.routes.values():
        reached |= models_of(policy, route)
        if route.baseline is not None:
            reached.add(route.baseline)
    return reached


def _limit(policy: Policy, limit: Limit, number: int, models: set[str]) -> Iterator[Finding]:
    if limit.per != "model":
        return
    bound = limit.only or tuple(policy.models)
    if not models.intersection(bound):
        says = f"limit {limit.name}: nothing asks {', '.join(bound)}, so it holds for nobody"
        yield Finding(("limits", number), says, "name models that rules ask, or take it out")
        return
    counts = limit.requests_per_minute is not None or limit.tokens_per_minute is not None
    prices = [policy.models[name].price for name in bound]
    if not counts and all(price is not None and not price.input and not price.output for price in prices):
        says = f"limit {limit.name}: no dollars are ever spent at {', '.join(bound)}, so it is never reached"
        yield Finding(("limits", number), says, "bound requests or tokens instead, or take it out")


def _budgets(policy: Policy) -> Iterator[Finding]:
    """Conditions on budgets where none is set."""
    if any(limit.dollars_per_day is not None or limit.dollars_per_month is not None for limit in policy.limits):
        return
    for route in policy.routes.values():
        for number, rule in enumerate(route.rules):
            if rule.condition is not None and "budget" in rule.condition.names.roots:
                says = f"route {route.name}: `{rule.name}` looks at a budget, and no limit sets one"
                yield Finding(
                    ("routes", route.name, "rules", number, "when"), says, "give a limit dollars a day or a month"
                )
