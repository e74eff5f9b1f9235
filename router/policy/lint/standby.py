"""Models that a rule names and that break what the rule itself asks for: mostly in its `fallback`."""

from __future__ import annotations

from collections.abc import Iterator

from router.domain import ModelSpec, Part
from router.policy.compiled import Agree, Cascade, Choose, FanOut, Policy, Route, Rule, Use
from router.policy.lint.finding import Finding, Path
from router.policy.lint.shapes import asks_for, least

_NEEDS = (("ask.images", "images"), ("ask.tools", "tools"), ("ask.json_schema", "json_schema"))


def standby_findings(policy: Policy) -> Iterator[Finding]:
    """Findings about who is named in rules, in the order of the file."""
    for route in policy.routes.values():
        for number, rule in enumerate(route.rules):
            at: Path = ("routes", route.name, "rules", number)
            yield from _own_name(route, rule, at)
            yield from _private(policy, route, rule, at)
            yield from _unable(policy, route, rule, at)
            yield from _promised(policy, route, rule, at)
            yield from _same_twice(policy, route, rule, at)


def first_models(rule: Rule) -> tuple[str, ...]:
    """The models that a rule asks before any fallback; none for `select`, whose options have their own."""
    act = rule.act
    if isinstance(act, Use):
        return (act.model,)
    if isinstance(act, Choose):
        return act.among
    if isinstance(act, Cascade):
        return (act.first.model, act.then)
    if isinstance(act, Agree):
        return (*(part.model for part in act.ask), act.then)
    if isinstance(act, FanOut):
        return (*(part.model for part in act.ask), *([act.judge] if act.judge is not None else []))
    return ()


def _who(route: Route, rule: Rule) -> str:
    return f"route {route.name}: `{rule.name}`"


def _own_name(route: Route, rule: Rule, at: Path) -> Iterator[Finding]:
    own = first_models(rule)
    if isinstance(rule.act, Use) and rule.act.model in (rule.fallback or ()):
        says = f"{_who(route, rule)} falls back to `{own[0]}`, which it uses already"
        yield Finding((*at, "fallback"), says, "take it out of `fallback`, or name another")


def _private(policy: Policy, route: Route, rule: Rule, at: Path) -> Iterator[Finding]:
    """A rule for private asks whose own model is private and whose fallback is not."""
    source = None if rule.condition is None else rule.condition.source
    if not asks_for(source, "ask.private"):
        return
    own = first_models(rule)
    if not own or not all(policy.models[name].private for name in own):
        return
    for name in rule.fallback or ():
        if policy.models[name].private:
            continue
        if route.privacy == "observe":
            says = f"{_who(route, rule)} keeps private asks with private models, but falls back to `{name}`"
            yield Finding(
                (*at, "fallback"),
                f"{says}, which is not private",
                "take it out, or write `privacy: enforce` in the route",
            )
        else:
            says = f"{_who(route, rule)} is for private asks, so its fallback `{name}` can never serve"
            yield Finding((*at, "fallback"), says, "take it out, or mark the model `private`")


def _unable(policy: Policy, route: Route, rule: Rule, at: Path) -> Iterator[Finding]:
    """Models that lack what every ask of the rule needs."""
    source = None if rule.condition is None else rule.condition.source
    if source is None:
        return
    key = "fallback" if rule.fallback else "name"
    long = least(source, "ask.input_tokens")
    for name in dict.fromkeys((*first_models(rule), *(rule.fallback or ()))):
        model = policy.models[name]
        where = (*at, key) if name in (rule.fallback or ()) else at
        lacks = [
            word
            for member, word in _NEEDS
            if model.supports is not None and word not in model.supports and asks_for(source, member)
        ]
        if lacks:
            says = f"{_who(route, rule)} is for asks with {lacks[0]}, which `{name}` does not support"
            yield Finding(where, says, "name a model that does, or add it to the model's `supports`")
        elif model.context is not None and long >= model.context:
            says = f"{_who(route, rule)} is for {long:.0f} tokens and more, and `{name}` holds {model.context}"
            yield Finding(where, says, "name a model with more `context`")


def _promised(policy: Policy, route: Route, rule: Rule, at: Path) -> Iterator[Finding]:
    """Fallbacks that break the promise of a `choose`."""
    act = rule.act
    if not isinstance(act, Choose):
        return
    if act.keep_quality is not None:
        among = {*act.among, *([route.baseline] if route.baseline else [])}
        for name in (name for name in rule.fallback or () if name not in among):
            says = f"{_who(route, rule)} keeps a quality, but its fallback `{name}` is not among its models"
            yield Finding((*at, "fallback"), says, "add it to `among`, or leave `fallback` out")
    baseline = None if route.baseline is None else policy.models[route.baseline]
    if act.max_cost is not None and baseline is not None:
        for name in rule.fallback or ():
            if _dearer(policy.models[name], baseline, act.max_cost):
                says = f"{_who(route, rule)} has a bound on its cost, and its fallback `{name}` is dearer than that"
                yield Finding((*at, "fallback"), says, "name a cheaper model, or raise `max_cost`")


def _dearer(model: ModelSpec, baseline: ModelSpec, share: float) -> bool:
    """Whether a model costs more than a share of the baseline, however long the ask and its answer."""
    one, whole = model.price, baseline.price
    if one is None or whole is None:
        return False
    return one.input > share * whole.input and one.output > share * whole.output


def _same_twice(policy: Policy, route: Route, rule: Rule, at: Path) -> Iterator[Finding]:
    """One upstream model under two names: its agreement with itself says nothing."""
    act = rule.act
    parts: tuple[Part, ...] = ()
    if isinstance(act, Agree) or (isinstance(act, FanOut) and act.combine == "vote"):
        parts = act.ask
    elif isinstance(act, Cascade) and act.first.retriever is None:
        parts = (act.first, Part(act.then, act.then))
    seen: dict[tuple[str | None, str, str | None], Part] = {}
    for part in parts:
        model = policy.models[part.model]
        before = seen.setdefault((model.base_url, model.model, part.retriever), part)
        if before is part:
            continue
        verb = "cascade" if isinstance(act, Cascade) else "agree" if isinstance(act, Agree) else "fan_out"
        says = f"{_who(route, rule)} asks `{model.model}` twice, as `{before.name}` and `{part.name}`"
        yield Finding((*at, verb), says, "name models that are not the same upstream")
