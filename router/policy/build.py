"""Builds models, retrievers, options and limits out of a file whose shape is checked: gaps filled, names resolved.

Every refusal is a PolicyError at the place of what is wrong; values out of the environment are not shown. Routes and
their rules are `build_routes`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from router.domain import ModelSpec, Part, Price, RetrieverSpec, Timeouts
from router.policy.compiled import Limit, Option
from router.policy.document import Document, Path
from router.policy.schema import LimitEntry, ModelEntry, OptionEntry, PriceEntry, RetrieverEntry
from router.policy.suggest import did_you_mean
from router.prices import lookup


def known(document: Document, name: str, names: Iterable[str], path: Path, kind: str = "model") -> str:
    """The name, if it is one of `names`. Raises PolicyError."""
    if name not in names:
        shown = "the variable's value" if path in document.filled else f"`{name}`"
        hint = "" if path in document.filled else did_you_mean(name, names)
        raise document.error(f"no {kind} is called {shown}{hint}", path)
    return name


def known_names(
    document: Document, names: list[str] | None, among: Iterable[str], at: Path, kind: str = "model"
) -> tuple[str, ...] | None:
    """The names, each known and there once; None where the file is silent. Raises PolicyError."""
    known_ones = tuple(among)
    for number, name in enumerate(names or ()):
        known(document, name, known_ones, (*at, number), kind)
        if names is not None and name in names[:number]:
            raise document.error(f"`{name}` is there twice", (*at, number))
    return None if names is None else tuple(names)


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


# --- what options and limits name -----------------------------------------------------------------------------------


def retriever_of(name: str, entry: RetrieverEntry) -> RetrieverSpec:
    """One retriever."""
    return RetrieverSpec(name, entry.url, entry.api_key, entry.top, entry.private, entry.timeout, entry.price)


def option_of(
    name: str,
    entry: OptionEntry,
    models: Mapping[str, ModelSpec],
    retrievers: Mapping[str, RetrieverSpec],
    document: Document,
) -> Option:
    """One option. Raises PolicyError for a model or retriever that is not there."""
    at: Path = ("options", name)
    known(document, entry.use, models, (*at, "use"))
    if entry.with_ is not None:
        known(document, entry.with_, retrievers, (*at, "with"), "retriever")
    part = Part(name, entry.use, entry.with_)
    return Option(name, part, entry.description, tuple(entry.examples), tuple(entry.tags))


def limit_of(number: int, entry: LimitEntry, models: Iterable[str], routes: Iterable[str], document: Document) -> Limit:
    """One limit. Raises PolicyError where it bounds nothing, or names a model or route that is not there."""
    at: Path = ("limits", number)
    bounds = (entry.requests_per_minute, entry.tokens_per_minute, entry.dollars_per_day, entry.dollars_per_month)
    if all(bound is None for bound in bounds):
        keys = "`requests_per_minute`, `tokens_per_minute`, `dollars_per_day` or `dollars_per_month`"
        raise document.error(f"limit `{entry.name}` bounds nothing: give {keys}", at)
    if entry.per == "model":
        known_names(document, entry.only, models, (*at, "only"))
    elif entry.per == "route":
        known_names(document, entry.only, routes, (*at, "only"), "route")
    elif entry.per == "all" and entry.only is not None:
        raise document.error("`per: all` counts everybody together; `only` means nothing there", (*at, "only"))
    return Limit(entry.name, entry.per, tuple(entry.only or ()), *bounds)
