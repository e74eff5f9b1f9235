"""From a policy file to a `Policy`: read, checked, filled in, compiled and tried. It loads whole or raises PolicyError.

Every message says what is wrong, where (file, line, column) and, for a misspelt name, what was probably meant. Values
that came out of the environment are never shown, and no secret goes into the digest.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import orjson

from router.errors import PolicyError
from router.policy.build import cheapest_small, known, limit_of, model_of, option_of, retriever_of
from router.policy.build_routes import Named, route_of
from router.policy.compiled import Canary, Policy
from router.policy.conditions import together
from router.policy.document import Document, read_document
from router.policy.faults import checked
from router.policy.schema import PolicyFile
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
    return checked(document, document.values, PolicyFile)


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
