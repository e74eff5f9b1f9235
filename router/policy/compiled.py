"""A policy after loading: frozen values, every default filled in, every condition compiled.

How a file becomes these is `router.policy.load`; what is done with them is `eligibility` and `decide`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from classifiers.contract import ModelCard
from router.domain import Combine, ModelSpec, Part, RetrieverSpec
from router.policy.conditions import Condition, Names
from router.privacy import PrivacyScanner

Privacy = Literal["enforce", "observe"]

CONVERSATION_RULE = "conversation"
"""What the decision says where a conversation kept its model."""


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """A route's exact cache. private: whether answers to private asks may be kept in a shared cache too."""

    ttl_seconds: float
    private: bool = False


@dataclass(frozen=True, slots=True)
class Use:
    """`use`: the model that serves."""

    model: str


@dataclass(frozen=True, slots=True)
class Choose:
    """`choose`: the cheapest of `among` that keeps a share of the baseline's quality, or the best for one of its cost.

    threshold: the predicted loss of quality against the baseline that is allowed, as `policy tune` found it on data;
    with it, the cheapest within it serves, whatever was promised. keep_quality, max_cost: None for no bound.
    max_risk: the mean quality that may be lost against the baseline, which serves until audits prove it.
    """

    of: Literal["cheapest", "best"]
    among: tuple[str, ...]
    keep_quality: float | None = None
    max_cost: float | None = None
    threshold: float | None = None
    max_risk: float | None = None


@dataclass(frozen=True, slots=True)
class Option:
    """What a selector may pick, described for it. part: who is asked where it is picked."""

    name: str
    part: Part
    description: str
    examples: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Select:
    """`select`: a selector picks up to `top` of the options, or none. model: who reads them, None for embeddings.

    threshold: the least score, 0..1; None for the calibrated one. combine, judge: see FanOut; for `top` above 1.
    """

    among: tuple[Option, ...]
    model: str | None = None
    top: int = 1
    threshold: float | None = None
    combine: Combine | None = None
    judge: str | None = None


@dataclass(frozen=True, slots=True)
class Cascade:
    """`cascade`: `first` answers; where its answer is not to be trusted, `then` does."""

    first: Part
    then: str
    checks: tuple[str, ...]
    trust: float | None = None


@dataclass(frozen=True, slots=True)
class Agree:
    """`agree`: all of `ask` at once; where they agree on a short answer it goes out, else `then` answers."""

    ask: tuple[Part, ...]
    then: str
    trust: float


@dataclass(frozen=True, slots=True)
class FanOut:
    """`fan_out`: all of `ask` at once; one answer is made of theirs. judge: the model that weighs or writes it."""

    ask: tuple[Part, ...]
    combine: Combine
    judge: str | None = None


Act = Use | Choose | Select | Cascade | Agree | FanOut


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: when it holds, and what is done then.

    condition: None matches always. fallback: models to try next, in order; None where the file is silent (see
    `router.policy.decide`).
    """

    name: str
    act: Act
    condition: Condition | None = None
    fallback: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """What a selector made of one ask: options with their scores (0..1), best first. None picked: it abstained."""

    options: tuple[tuple[str, float], ...] = ()
    why: str = ""

    @property
    def abstained(self) -> bool:
        """Whether the rules after this one are asked."""
        return not self.options


@dataclass(frozen=True, slots=True)
class Staying:
    """How a route's conversations keep their model. margin: the gain in quality that a change must bring."""

    margin: float
    ttl_seconds: float


@dataclass(frozen=True, slots=True)
class Audit:
    """How a route's requests are audited. judge: the model that weighs. budget_usd: of a day, for each process.

    review: share of the other requests whose answer the judge scores alone.
    """

    rate: float
    judge: str
    budget_usd: float
    judges_itself: bool = False
    review: float = 0.0


@dataclass(frozen=True, slots=True)
class Explore:
    """How a route tries other models. rate: share of requests. band: how far apart predicted qualities may be."""

    rate: float
    band: float


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound on what each key (tenant, route, model; or all together) may use. only: of which ones; empty for each.

    Minutes slide; days and months are UTC's. Dollars; None for no bound.
    """

    name: str
    per: Literal["key", "tenant", "route", "model", "all"]
    only: tuple[str, ...] = ()
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    dollars_per_day: float | None = None
    dollars_per_month: float | None = None


@dataclass(frozen=True, slots=True)
class Canary:
    """A policy that rules over a share of the conversations. file: beside the policy's own."""

    file: str
    share: float


@dataclass(frozen=True, slots=True)
class Route:
    """A name that callers ask for as `model`. default: serves when no rule can (the policy's own where not given)."""

    name: str
    default: str
    baseline: str | None = None
    rules: tuple[Rule, ...] = ()
    cache: CacheSettings | None = None
    privacy: Privacy = "observe"
    conversation: Staying | None = None
    audit: Audit | None = None
    explore: Explore | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """All that one policy file means. shadow: the file of a policy that decides beside this one.

    digest: 12 hex digits over the meaning: the same for another spelling or comment, another for another decision.
    names: what the conditions use, so that nothing else is put before them.
    pinned_privacy: what holds for models named outright: `enforce` where any route enforces.
    cheapest_small: of the models of tier `small`, the one with the lowest price; None where there is none.
    """

    name: str
    digest: str
    models: Mapping[str, ModelSpec]
    default: str
    routes: Mapping[str, Route]
    pinned_privacy: Privacy = "observe"
    countries: tuple[str, ...] = ()
    phone_region: str | None = None
    log_text: Literal["none", "full"] = "none"
    names: Names = field(default_factory=Names)
    scanner: PrivacyScanner = field(default_factory=PrivacyScanner, repr=False, compare=False)
    cards: tuple[ModelCard, ...] = ()
    cheapest_small: ModelSpec | None = None
    retrievers: Mapping[str, RetrieverSpec] = field(default_factory=dict)
    options: Mapping[str, Option] = field(default_factory=dict)
    limits: tuple[Limit, ...] = ()
    shadow: str | None = None
    canary: Canary | None = None

    @property
    def label(self) -> str:
        """`name@digest`, as in the header `x-signalbox-policy`."""
        return f"{self.name}@{self.digest}"

    @property
    def condition_errors(self) -> int:
        """How often a condition of this policy erred since it was loaded (and counted as not matched)."""
        return sum(
            rule.condition.errors
            for route in self.routes.values()
            for rule in route.rules
            if rule.condition is not None
        )


class Proof(msgspec.Struct, frozen=True):
    """What audits show of the quality that a rule loses against its route's baseline.

    bound: of the mean loss, from above. pairs: audited requests that say so. lost: the mean that they saw. more: about
    how many further pairs would prove the rule's `max_risk`; None where pairs like these never would. since_unix: from
    when on pairs count. left_out: audited requests that say nothing of this rule.
    """

    bound: float
    pairs: int = 0
    lost: float = 0.0
    more: int | None = None
    since_unix: float = 0.0
    left_out: int = 0

    def proves(self, max_risk: float) -> bool:
        return self.bound <= max_risk


Proven = Mapping[tuple[str, str], Proof]
"""By route and rule."""


class Facts(msgspec.Struct, frozen=True):
    """What is known of a request beside its ask.

    key_tags: of the caller's key. headers: lower-case names. metadata: of the body. at: an aware moment; conditions
    see its UTC hour and weekday. unhealthy: why, for each model that should not be called now. spent: why, for each
    whose budget or pace is used up. budget_used: how full the fullest budget is that pays for this request, 0..1.
    proofs: of this policy's rules with the judge that judged this ask.
    """

    tenant: str = "default"
    key_tags: tuple[str, ...] = ()
    headers: Mapping[str, str] = {}
    metadata: Mapping[str, Any] = {}
    at: datetime = msgspec.field(default_factory=lambda: datetime.now(UTC))
    unhealthy: Mapping[str, str] = {}
    spent: Mapping[str, str] = {}
    budget_used: float = 0.0
    proofs: Proven = {}
