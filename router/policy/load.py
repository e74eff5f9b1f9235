"""From a policy file to a `Policy`: read, checked, filled in, compiled and tried. It loads whole or raises PolicyError.

Every message says what is wrong, where (file, line, column) and, for a misspelt name, what was probably meant. Values
that came out of the environment are never shown, and no secret goes into the digest.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import ValidationError

from router.domain import ModelSpec, Price, Timeouts
from router.errors import PolicyError
from router.policy.compiled import CacheSettings, Policy, Privacy, Route, Rule
from router.policy.conditions import ConditionError, compile_condition, together, try_condition
from router.policy.document import Document, read_document
from router.policy.schema import ModelEntry, PolicyFile, PriceEntry, RouteEntry, RuleEntry
from router.policy.suggest import did_you_mean
from router.prices import lookup
from router.privacy import PrivacyScanner

RESERVED_RULES = frozenset({"pinned", "default", "cache", "degraded"})
"""What the decision itself says where no rule of the file chose."""

_MOST_BYTES = 1024 * 1024


def load_policy(path: str | os.PathLike[str], env: Mapping[str, str] = os.environ) -> Policy:
    """Reads a policy file; its stem is the policy's name. Raises PolicyError."""
    file = Path(path)
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise PolicyError(f"cannot be read: {error.strerror}", file=str(path)) from None
    return parse_policy(decode(raw, str(path)), file=str(path), env=env)


def decode(raw: bytes, file: str) -> str:
    """The text of a policy file. Raises PolicyError for what is too large or not UTF-8."""
    if len(raw) > _MOST_BYTES:
        raise PolicyError("larger than 1 MB: this is no policy", file=file)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise PolicyError("not UTF-8", file=file, line=line, column=1) from None


def parse_policy(text: str, file: str = "policy", env: Mapping[str, str] = os.environ) -> Policy:
    """A policy from its text. Raises PolicyError."""
    document = read_document(text, file, env)
    written = _checked(document)
    models = {name: _model(name, entry, document) for name, entry in written.models.items()}
    _check_names(document, written)
    scanner = _scanner(document, written)
    enforceable = any(model.private for model in models.values())
    routes = {
        name: _route(name, entry, written, models, enforceable, document) for name, entry in written.routes.items()
    }
    conditions = [rule.condition for route in routes.values() for rule in route.rules if rule.condition is not None]
    enforced = any(route.privacy == "enforce" for route in routes.values())
    return Policy(
        name=re.sub(r"[^A-Za-z0-9._-]", "-", Path(file).stem)[:64] or "policy",
        digest=digest_of(written),
        models=models,
        default=written.default,
        routes=routes,
        pinned_privacy="enforce" if enforced else "observe",
        countries=scanner.countries,
        phone_region=scanner.phone_region,
        log_text=written.log_text,
        names=together(conditions),
        scanner=scanner,
        cards=tuple(model.card for model in models.values()),
        cheapest_small=_cheapest_small(models),
    )


def digest_of(written: PolicyFile) -> str:
    """12 hex digits of what the file means: variables filled in, defaults filled in, order kept, no keys.

    Of an `api_key` only its presence counts: a new key changes no decision, and a digest that is shown to callers must
    give nobody a means to test guesses. Prices that are looked up are not in it; they belong to the installation.
    """
    values = written.model_dump(mode="json")
    for model in values["models"].values():
        model["api_key"] = model["api_key"] is not None
    return sha256(orjson.dumps(values)).hexdigest()[:12]


def _checked(document: Document) -> PolicyFile:
    """The file against its schema. Of several faults the first in the file is told."""
    version = document.values.get("version")
    if version is not None and (isinstance(version, bool) or version != 1):
        raise document.error("this program reads `version: 1`", ("version",))
    try:
        return PolicyFile.model_validate(document.values)
    except ValidationError as error:
        faults = [_fault(document, fault) for fault in error.errors(include_input=False, include_url=False)]
    faults.sort(key=lambda fault: (fault.line or 0, fault.column or 0))
    raise faults[0]


def _fault(document: Document, fault: Mapping[str, Any]) -> PolicyError:
    """One of pydantic's errors as ours: `loc` becomes a place, an unknown key gets a suggestion."""
    kind = fault["type"]
    path = tuple(part for part in fault["loc"] if part != "[key]")
    if kind == "extra_forbidden":
        key = str(path[-1])
        return document.error(f"unknown key `{key}`{did_you_mean(key, _keys_at(path[:-1]))}", path, at_key=True)
    if kind == "missing":
        where = f" in `{_dotted(path[:-1])}`" if path[:-1] else ""
        return document.error(f"`{path[-1]}` is missing{where}", path[:-1])
    if "[key]" in fault["loc"]:
        return document.error("a name is made of letters, digits and `. _ : / @ + -`", path, at_key=True)
    message = str(fault["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    if path and path[-1] == "base_url" and kind == "string_pattern_mismatch":
        message = "should be an http:// or https:// URL without user and password"
    return document.error(f"`{_dotted(path)}` {message}", path)


def _keys_at(path: tuple[Any, ...]) -> Iterable[str]:
    """The keys that may stand at a path of the file."""
    shape: Any = PolicyFile.model_json_schema()
    parts = shape["$defs"]
    for step in path:
        while "$ref" in shape or "anyOf" in shape:
            option = shape if "$ref" in shape else next((o for o in shape["anyOf"] if o.get("type") != "null"), {})
            if "$ref" not in option:
                shape = option
                break
            shape = parts[option["$ref"].rsplit("/", 1)[-1]]
        if isinstance(step, int):
            shape = shape.get("items", {})
        else:
            shape = shape.get("properties", {}).get(step) or shape.get("additionalProperties") or {}
        if shape is False or shape is True:
            return ()
    while "$ref" in shape or "anyOf" in shape:
        option = shape if "$ref" in shape else next((o for o in shape["anyOf"] if o.get("type") != "null"), {})
        if "$ref" not in option:
            return ()
        shape = parts[option["$ref"].rsplit("/", 1)[-1]]
    return tuple(shape.get("properties", ()))


def _dotted(path: Iterable[str | int]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def _check_names(document: Document, written: PolicyFile) -> None:
    for name in written.routes:
        if name in written.models:
            raise document.error(
                f"`{name}` is a model already; callers could not tell them apart", ("routes", name), at_key=True
            )
    _known_model(document, written.default, written.models, ("default",))


def _known_model(document: Document, name: str, models: Iterable[str], path: tuple[str | int, ...]) -> str:
    if name not in models:
        shown = "the variable's value" if path in document.filled else f"`{name}`"
        hint = "" if path in document.filled else did_you_mean(name, models)
        raise document.error(f"no model is called {shown}{hint}", path)
    return name


def _scanner(document: Document, written: PolicyFile) -> PrivacyScanner:
    try:
        scanner = PrivacyScanner((), written.privacy.phone_region)
    except ValueError as error:
        raise document.error(str(error), ("privacy", "phone_region")) from None
    for number, country in enumerate(written.privacy.countries):
        try:
            PrivacyScanner((country,))
        except ValueError as error:
            raise document.error(str(error), ("privacy", "countries", number)) from None
    return PrivacyScanner(tuple(written.privacy.countries), scanner.phone_region)


# --- models ---------------------------------------------------------------------------------------------------------


def _model(name: str, entry: ModelEntry, document: Document) -> ModelSpec:
    """One model with what the file leaves out looked up."""
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


def _cheapest_small(models: Mapping[str, ModelSpec]) -> ModelSpec | None:
    small = [model for model in models.values() if model.tier == "small"]
    priced = [model for model in small if model.price is not None]
    return min(priced or small, key=lambda m: m.price.input + m.price.output if m.price else 0.0, default=None)


# --- routes and rules -----------------------------------------------------------------------------------------------


def _route(
    name: str,
    entry: RouteEntry,
    written: PolicyFile,
    models: Mapping[str, ModelSpec],
    enforceable: bool,
    document: Document,
) -> Route:
    at: tuple[str | int, ...] = ("routes", name)
    if entry.baseline is not None:
        _known_model(document, entry.baseline, models, (*at, "baseline"))
    if entry.default is not None:
        _known_model(document, entry.default, models, (*at, "default"))
    if entry.privacy == "enforce" and not enforceable:
        raise document.error(
            "no model is marked `private: true`, so no private ask could ever be answered", (*at, "privacy")
        )
    privacy: Privacy = entry.privacy or ("enforce" if enforceable else "observe")
    rules: list[Rule] = []
    for number, rule in enumerate(entry.rules):
        if rule.name in RESERVED_RULES:
            raise document.error(
                f"`{rule.name}` is a name of ours; call the rule something else", (*at, "rules", number, "name")
            )
        if any(rule.name == other.name for other in rules):
            raise document.error(f"two rules are called `{rule.name}`", (*at, "rules", number, "name"))
        rules.append(_rule(rule, (*at, "rules", number), entry.baseline, models, document))
    cache = None
    if entry.cache is not None and entry.cache.exact is not None:
        cache = CacheSettings(entry.cache.exact.ttl, entry.cache.private)
    return Route(name, entry.default or written.default, entry.baseline, tuple(rules), cache, privacy)


def _rule(
    entry: RuleEntry,
    at: tuple[str | int, ...],
    baseline: str | None,
    models: Mapping[str, ModelSpec],
    document: Document,
) -> Rule:
    if (entry.use is None) == (entry.choose is None):
        raise document.error(f"rule `{entry.name}` needs either `use` or `choose`", at)
    for key in ("among", "keep_quality"):
        if entry.choose is None and getattr(entry, key) is not None:
            raise document.error(f"`{key}` goes with `choose`, not with `use`", (*at, key), at_key=True)
    if entry.keep_quality is not None and baseline is None:
        raise document.error("`keep_quality` needs the route to name its `baseline`", (*at, "keep_quality"))
    if entry.use is not None:
        _known_model(document, entry.use, models, (*at, "use"))
    lists: tuple[tuple[Literal["among", "fallback"], list[str] | None], ...] = (
        ("among", entry.among),
        ("fallback", entry.fallback),
    )
    for key, names in lists:
        for number, name in enumerate(names or ()):
            _known_model(document, name, models, (*at, key, number))
            if name in (names or ())[:number]:
                raise document.error(f"`{name}` is there twice", (*at, key, number))
    among = () if entry.choose is None else tuple(entry.among or models)
    fallback = None if entry.fallback is None else tuple(entry.fallback)
    condition = None
    if entry.when is not None:
        unpriced = [name for name, model in models.items() if model.price is None]
        path = (*at, "when")
        try:
            condition = compile_condition(entry.when, models, unpriced)
            try_condition(condition, {name: model.price is not None for name, model in models.items()})
        except ConditionError as error:
            message = "the condition that its variable makes cannot be used" if path in document.filled else str(error)
            raise document.error(f"rule `{entry.name}`: {message}", path, offset=error.offset) from None
    return Rule(entry.name, condition, entry.use, among, entry.keep_quality, fallback)
