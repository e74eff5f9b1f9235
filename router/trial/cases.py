"""Cases of a policy, in YAML beside it: an ask, who asks, and what is expected of the decision.

Reading only; what is decided, and whether it is what was expected, is `router.trial.testing`'s.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from router.errors import PolicyError
from router.policy.build import known
from router.policy.compiled import Policy
from router.policy.document import Document, read_list
from router.policy.document import Path as At
from router.policy.faults import checked
from router.policy.fields import Entry, Share, Text, no_bool
from router.policy.load import decode
from router.privacy import KINDS


def _moment(value: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError("should be an RFC 3339 time such as 2026-01-31T08:00:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class JudgedEntry(Entry):
    """What the judge is taken to say; see `router.trial.testing.pinned` for what is left out."""

    complexity: Share | None = None
    gain: Annotated[float, BeforeValidator(no_bool), Field(ge=-1, le=1)] | None = None
    support: Share | None = None
    quality: dict[str, Share] = Field(default_factory=dict)
    task: str | None = None
    language: str | None = None


class ExpectEntry(Entry):
    """What must hold of the decision. `not_model`: in no way asked, neither first nor in a plan nor as a fallback."""

    model: str | None = None
    rule: str | None = None
    plan: str | None = None
    route: str | None = None
    options: list[str] | None = None
    refused: str | None = None
    not_model: list[str] | None = None
    max_cost_usd: Annotated[float, BeforeValidator(no_bool), Field(ge=0)] | None = None


class CaseEntry(Entry):
    """One case: exactly one of `ask`, `messages` and `body`, and what is expected."""

    name: Text
    ask: str | None = None
    messages: list[dict[str, Any]] | None = None
    body: dict[str, Any] | None = None
    model: str | None = None
    private: list[str] = Field(default_factory=list)
    tenant: str = "default"
    tags: list[str] = Field(default_factory=list)
    headers: dict[str, str] = Field(default_factory=dict)
    metadata: dict[str, Any] = Field(default_factory=dict)
    at: Annotated[datetime, BeforeValidator(_moment)] | None = None
    unhealthy: list[str] = Field(default_factory=list)
    judged: JudgedEntry | None = None
    select: list[str] | None = None
    expect: ExpectEntry

    def chat_body(self) -> dict[str, Any]:
        """The chat request that the case stands for."""
        if self.body is not None:
            body = dict(self.body)
        else:
            body = {"messages": self.messages or [{"role": "user", "content": self.ask}]}
        if self.metadata:
            body["metadata"] = self.metadata
        body["model"] = self.model or body.get("model") or "auto"
        return body


def default_cases(policy_file: Path) -> Path:
    """Where the cases of a policy are looked for: `default.cases.yaml` beside `default.yaml`."""
    return policy_file.with_name(f"{policy_file.stem}.cases.yaml")


def read_cases(path: Path, policy: Policy, env: Mapping[str, str] = os.environ) -> list[CaseEntry]:
    """All cases of a file, each name in them known to the policy. Raises PolicyError with the place."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise PolicyError(f"cannot be read: {error.strerror}", file=str(path)) from None
    document = read_list(decode(raw, str(path)), str(path), env, "cases")
    entries: Sequence[Any] = document.values["cases"]
    if not entries:
        raise document.error("there is no case in it")
    cases = [checked(document, entry, CaseEntry, ("cases", number)) for number, entry in enumerate(entries)]
    for number, case in enumerate(cases):
        _check(case, policy, document, ("cases", number))
        if any(case.name == other.name for other in cases[:number]):
            raise document.error(f"two cases are called `{case.name}`", ("cases", number, "name"))
    return cases


def _check(case: CaseEntry, policy: Policy, document: Document, at: At) -> None:
    """Names that must exist, and what goes together."""
    given = [key for key in ("ask", "messages", "body") if getattr(case, key) is not None]
    if len(given) != 1:
        has = f"it has {' and '.join(f'`{key}`' for key in given)}" if given else "it has none"
        raise document.error(f"case `{case.name}`: give exactly one of `ask`, `messages` and `body`; {has}", at)
    for number, name in enumerate(case.unhealthy):
        known(document, name, policy.models, (*at, "unhealthy", number))
    for number, kind in enumerate(case.private):
        known(document, kind, KINDS, (*at, "private", number), "kind of private text")
    for number, name in enumerate(case.select or ()):
        known(document, name, policy.options, (*at, "select", number), "option")
    if case.model is not None:
        known(document, case.model, (*policy.routes, *policy.models), (*at, "model"), "route or model")
    for name in case.judged.quality if case.judged is not None else ():
        known(document, name, policy.models, (*at, "judged", "quality", name))
    expect, place = case.expect, (*at, "expect")
    if not expect.model_fields_set:
        raise document.error(f"case `{case.name}` expects nothing", place)
    if expect.refused is not None and len(expect.model_fields_set) > 1:
        raise document.error("nobody answers what is refused: expect nothing else beside `refused`", place)
    if expect.model is not None:
        known(document, expect.model, policy.models, (*place, "model"))
    if expect.route is not None:
        known(document, expect.route, policy.routes, (*place, "route"), "route")
    rules = [rule.name for route in policy.routes.values() for rule in route.rules]
    if expect.rule is not None:
        known(document, expect.rule, (*rules, "default", "pinned", "degraded"), (*place, "rule"), "rule")
    for key, names, kind in (("not_model", policy.models, "model"), ("options", policy.options, "option")):
        for number, name in enumerate(getattr(expect, key) or ()):
            known(document, name, names, (*place, key, number), kind)
