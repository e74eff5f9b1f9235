"""From a policy file to a `Policy`: read, checked, filled in, compiled and tried. It loads whole or raises PolicyError.

Every message says what is wrong, where (file, line, column) and, for a misspelt name, what was probably meant. Values
that came out of the environment are never shown, and no secret goes into the digest.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args, get_origin

import orjson
from pydantic import BaseModel, ValidationError

from router.errors import PolicyError
from router.policy.build import cheapest_small, known, limit_of, model_of, option_of, retriever_of
from router.policy.build_routes import Named, route_of
from router.policy.compiled import Canary, Policy
from router.policy.conditions import together
from router.policy.document import Document, read_document
from router.policy.schema import PolicyFile
from router.policy.suggest import did_you_mean
from router.privacy import PrivacyScanner

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
    models = {name: model_of(name, entry, document) for name, entry in written.models.items()}
    _check_names(document, written)
    scanner = _scanner(document, written)
    retrievers = {name: retriever_of(name, entry) for name, entry in written.retrievers.items()}
    options = {name: option_of(name, entry, models, retrievers, document) for name, entry in written.options.items()}
    named = Named(document, models, options)
    routes = {name: route_of(name, entry, written.default, named) for name, entry in written.routes.items()}
    limits = tuple(limit_of(number, entry, models, routes, document) for number, entry in enumerate(written.limits))
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
        cheapest_small=cheapest_small(models),
        retrievers=retrievers,
        options=options,
        limits=limits,
        shadow=written.shadow,
        canary=None if written.canary is None else Canary(written.canary.policy, written.canary.share),
    )


def digest_of(written: PolicyFile) -> str:
    """12 hex digits of what the file means: variables filled in, defaults filled in, order kept, no keys.

    Of an `api_key` only its presence counts: a new key changes no decision, and a digest that is shown to callers must
    give nobody a means to test guesses. Prices that are looked up are not in it; they belong to the installation.
    """
    values = written.model_dump(mode="json")
    for called in (*values["models"].values(), *values["retrievers"].values()):
        called["api_key"] = called["api_key"] is not None
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
    faults.sort(key=lambda fault: (" is missing" in fault.message, fault.line or 0, fault.column or 0))
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
    entry: type[BaseModel] = PolicyFile
    is_name = False
    for step in path:
        if is_name or step not in entry.model_fields:
            is_name = False
            continue
        annotation = entry.model_fields[step].annotation
        is_name = get_origin(annotation) is dict
        entry = next(_entries_in(annotation), entry)
    return [field.alias or name for name, field in entry.model_fields.items()]


def _entries_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _entries_in(part)


def _dotted(path: Iterable[str | int]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def _check_names(document: Document, written: PolicyFile) -> None:
    for name in written.routes:
        if name in written.models:
            raise document.error(
                f"`{name}` is a model already; callers could not tell them apart", ("routes", name), at_key=True
            )
    for name in written.options:
        if name in written.models or name in written.routes:
            kind = "model" if name in written.models else "route"
            raise document.error(
                f"`{name}` is a {kind} already; rules could not tell them apart", ("options", name), at_key=True
            )
    names = [limit.name for limit in written.limits]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise document.error(f"two limits are called `{name}`", ("limits", number, "name"))
    known(document, written.default, written.models, ("default",))


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
