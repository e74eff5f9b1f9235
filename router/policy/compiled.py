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
from router.domain import ModelSpec
from router.policy.conditions import Condition, Names
from router.privacy import PrivacyScanner

Privacy = Literal["enforce", "observe"]


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """A route's exact cache. private: whether answers to private asks may be kept in a shared cache too."""

    ttl_seconds: float
    private: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. Either `use` names a model, or the cheapest of `among` that keeps the quality is chosen.

    condition: None matches always. keep_quality: share of the baseline's quality, None for the cheapest at any.
    fallback: models to try next, in order; None where the file is silent (see `router.policy.decide`).
    """

    name: str
    condition: Condition | None = None
    use: str | None = None
    among: tuple[str, ...] = ()
    keep_quality: float | None = None
    fallback: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """A name that callers ask for as `model`. default: serves when no rule can (the policy's own where not given)."""

    name: str
    default: str
    baseline: str | None = None
    rules: tuple[Rule, ...] = ()
    cache: CacheSettings | None = None
    privacy: Privacy = "observe"


@dataclass(frozen=True, slots=True)
class Policy:
    """All that one policy file means.

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


class Facts(msgspec.Struct, frozen=True):
    """What is known of a request beside its ask.

    key_tags: of the caller's key. headers: lower-case names. metadata: of the body. at: an aware moment; conditions
    see its UTC hour and weekday. unhealthy: why, for each model that should not be called now.
    """

    tenant: str = "default"
    key_tags: tuple[str, ...] = ()
    headers: Mapping[str, str] = {}
    metadata: Mapping[str, Any] = {}
    at: datetime = msgspec.field(default_factory=lambda: datetime.now(UTC))
    unhealthy: Mapping[str, str] = {}
