"""Builds models, routes and rules out of a file whose shape is checked: gaps filled, names resolved, conditions tried.

Every refusal is a PolicyError at the place of what is wrong; values out of the environment are not shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from router.domain import ModelSpec, Price, Timeouts
from router.policy.compiled import CacheSettings, Privacy, Route, Rule
from router.policy.conditions import Condition, ConditionError, compile_condition, try_condition
from router.policy.document import Document, Path
from router.policy.schema import ModelEntry, PriceEntry, RouteEntry, RuleEntry
from router.policy.suggest import did_you_mean
from router.prices import lookup

RESERVED_RULES = frozenset({"pinned", "default", "cache", "degraded"})
"""What the decision itself says where no rule of the file chose."""


def known_model(document: Document, name: str, models: Iterable[str], path: Path) -> str:
    """The name, if it is a model's. Raises PolicyError."""
    if name not in models:
        shown = "the variable's value" if path in document.filled else f"`{name}`"
        hint = "" if path in document.filled else did_you_mean(name, models)
        raise document.error(f"no model is called {shown}{hint}", path)
    return name


# --- models ---------------------------------------------------------------------------------------------------------


def model_of(name: str, entry: ModelEntry, document: Document) -> ModelSpec:
    """One model, with what the file leaves out looked up."""
    if entry.provider == "openai" and entry.base_url is None:
        raise document.error(f"model `{name}` needs a `base_url` (or `provider: litellm`)", ("models", name))
    spec = ModelSpec(
        name=name,
        tier=entry.tier,
        model=entry.model,
        provider=entry.provider,
        base_url=entry.base_url.rstrip("/") if entry.base_url else None,
        api_key=entry.api_key,
        context=entry.context,
        max_output=entry.max_output,
        supports=None if entry.supports is None else frozenset(entry.supports),
        private=entry.private,
        region=entry.region,
        price=None if entry.price is None else _price(entry.price),
        timeouts=Timeouts(**entry.timeouts.model_dump()),
        retries=entry.retries,
        max_concurrency=entry.max_concurrency,
    )
    return _looked_up(spec)


def _price(entry: PriceEntry) -> Price:
    return Price(entry.input, entry.output, entry.cache_read, entry.cache_write, "policy")


def _looked_up(spec: ModelSpec) -> ModelSpec:
    """What litellm's map knows fills the gaps. A model on this machine is not the one a provider sells by that name."""
    stated = (spec.price, spec.context, spec.max_output, spec.supports)
    if None not in stated or (spec.base_url is not None and _is_loopback(spec.base_url) and spec.provider == "openai"):
        return spec
    facts = lookup(spec.model)
    if facts is None:
        return spec
    return replace(
        spec,
        price=spec.price or facts.price,
        context=spec.context or facts.context,
        max_output=spec.max_output or facts.max_output,
        supports=facts.supports if spec.supports is None else spec.supports,
    )


def _is_loopback(url: str) -> bool:
    return re.match(r"https?://(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?(/|$)", url) is not None


def cheapest_small(models: Mapping[str, ModelSpec]) -> ModelSpec | None:
    """Of the models of tier `small`, the one with the lowest price; unpriced ones only where no other is."""
    small = [model for model in models.values() if model.tier == "small"]
    priced = [model for model in small if model.price is not None]
    return min(priced or small, key=lambda m: m.price.input + m.price.output if m.price else 0.0, default=None)


# --- routes and rules -----------------------------------------------------------------------------------------------


def route_of(name: str, entry: RouteEntry, default: str, models: Mapping[str, ModelSpec], document: Document) -> Route:
    """One route. default: the policy's. Privacy not stated: enforced where there is a private model to serve."""
    at: Path = ("routes", name)
    for key, model in (("baseline", entry.baseline), ("default", entry.default)):
        if model is not None:
            known_model(document, model, models, (*at, key))
    able: Privacy = "enforce" if any(model.private for model in models.values()) else "observe"
    rules: list[Rule] = []
    for number, rule in enumerate(entry.rules):
        place = (*at, "rules", number)
        if rule.name in RESERVED_RULES:
            raise document.error(f"`{rule.name}` is a name of ours; call the rule something else", (*place, "name"))
        if any(rule.name == other.name for other in rules):
            raise document.error(f"two rules are called `{rule.name}`", (*place, "name"))
        rules.append(_rule(rule, place, entry.baseline, models, document))
    cache = None
    if entry.cache is not None and entry.cache.exact is not None:
        cache = CacheSettings(entry.cache.exact.ttl, entry.cache.private)
    return Route(name, entry.default or default, entry.baseline, tuple(rules), cache, entry.privacy or able)


def _rule(
    entry: RuleEntry, at: Path, baseline: str | None, models: Mapping[str, ModelSpec], document: Document
) -> Rule:
    if (entry.use is None) == (entry.choose is None):
        raise document.error(f"rule `{entry.name}` needs either `use` or `choose`", at)
    for key in ("among", "keep_quality"):
        if entry.choose is None and getattr(entry, key) is not None:
            raise document.error(f"`{key}` goes with `choose`, not with `use`", (*at, key), at_key=True)
    if entry.keep_quality is not None and baseline is None:
        raise document.error("`keep_quality` needs the route to name its `baseline`", (*at, "keep_quality"))
    if entry.use is not None:
        known_model(document, entry.use, models, (*at, "use"))
    among = _names(entry.among, models, (*at, "among"), document)
    fallback = _names(entry.fallback, models, (*at, "fallback"), document)
    if entry.choose is not None and among is None:
        among = tuple(models)
    condition = None if entry.when is None else _condition(entry, entry.when, (*at, "when"), models, document)
    return Rule(entry.name, condition, entry.use, among or (), entry.keep_quality, fallback)


def _names(
    names: list[str] | None, models: Mapping[str, ModelSpec], at: Path, document: Document
) -> tuple[str, ...] | None:
    for number, name in enumerate(names or ()):
        known_model(document, name, models, (*at, number))
        if names is not None and name in names[:number]:
            raise document.error(f"`{name}` is there twice", (*at, number))
    return None if names is None else tuple(names)


def _condition(entry: RuleEntry, when: str, at: Path, models: Mapping[str, ModelSpec], document: Document) -> Condition:
    priced = {name: model.price is not None for name, model in models.items()}
    try:
        condition = compile_condition(when, models, [name for name, known in priced.items() if not known])
        try_condition(condition, priced)
    except ConditionError as error:
        message = "the condition that its variable makes cannot be used" if at in document.filled else str(error)
        raise document.error(f"rule `{entry.name}`: {message}", at, offset=error.offset) from None
    return condition
