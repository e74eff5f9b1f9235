"""The nouns of the gateway: frozen values that flow one way, from the request to the ledger.

What the judge says (`Assessment`) comes from `classifiers.contract`; how a policy is written is in `router.policy`.
Money is in US dollars per million tokens where a price is meant, and in integer nano-dollars where an amount is.

What is made anew for every request is a `msgspec.Struct`, whose making costs a fifth of a frozen dataclass's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from msgspec import Struct

from classifiers.contract import AskText, Assessment, ModelCard

__all__ = [
    "Ask",
    "AskText",
    "Assessment",
    "CacheVerdict",
    "Caller",
    "Decision",
    "ModelSpec",
    "Outcome",
    "Part",
    "Price",
    "RetrieverSpec",
    "RuleTrace",
    "Terms",
    "Timeouts",
    "Usage",
    "Verdict",
]

CacheVerdict = Literal["hit", "miss", "bypass"]
Provider = Literal["openai", "litellm"]
OutcomeKind = Literal["ok", "client_closed", "caller_error", "refused", "upstream_error", "gateway_error"]
Purpose = Literal["chat", "attempt", "audit", "judge", "select", "retrieve", "draft", "vote", "part", "combine"]
"""What a call was for. All but `chat` are inner calls, under the request that caused them.

attempt: failed, another was asked. select: a model that read the options. retrieve: passages. draft: a cascade's answer
that was not accepted. vote: a model asked for agreement whose answer did not go out. part: one of several answers that
were combined. combine: the model that weighed them, where its own words did not go out.
"""

PlanName = Literal["single", "retrieve", "cascade", "agree", "fan_out"]
Combine = Literal["vote", "best_of", "fuse"]

NOT_KEPT = MappingProxyType({"kept": False})
"""Marks a field of an outcome that is for traces alone; the ledger has no column for it."""


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars per million tokens, and where the figures are from (`policy`, or `litellm 1.2.3`).

    cache_read and cache_write fall back to `input` where None.
    """

    input: float
    output: float
    cache_read: float | None = None
    cache_write: float | None = None
    source: str = "policy"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. first_token: from the request sent to the first content byte of a stream; idle: between two reads.

    The first byte of a plain answer comes after its last token, so there `total` applies, unless first_token was set
    to something else than its default.
    """

    connect: float = 5.0
    first_token: float = 60.0
    idle: float = 60.0
    total: float = 600.0


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model of the policy, every default already filled in.

    name: its key in the policy. model: the upstream's id. context: tokens in and out together, None if unknown.
    supports: what is known of tools, json_schema, images, logprobs; None means not stated (taken as able).
    """

    name: str
    tier: str
    model: str
    provider: Provider = "openai"
    base_url: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    context: int | None = None
    max_output: int | None = None
    supports: frozenset[str] | None = None
    private: bool = False
    region: str | None = None
    price: Price | None = None
    timeouts: Timeouts = Timeouts()
    retries: int = 1
    max_concurrency: int | None = None

    @property
    def card(self) -> ModelCard:
        """What the judge needs to know of this model."""
        return ModelCard(self.name, self.model, self.tier)


@dataclass(frozen=True, slots=True)
class RetrieverSpec:
    """A place that gives passages for a question. top: how many are wanted. price: dollars a call."""

    name: str
    url: str = field(repr=False)
    api_key: str | None = field(default=None, repr=False)
    top: int = 4
    private: bool = False
    timeout: float = 5.0
    price: float = 0.0


VERIFIER_TAG = "verifier"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, after access has looked at the key. key: its name, never the secret.

    verifies: whether what it says is right or wrong is taken over what everybody else says: its tags have
    `VERIFIER_TAG`, or nobody is asked for a key at all.
    """

    tenant: str = "default"
    key: str = "none"
    tags: tuple[str, ...] = ()
    verifies: bool = field(default=False, compare=False)


class Ask(Struct, frozen=True):
    """What the caller really wants, and what the request needs of whoever answers.

    text: for the judge alone. input_tokens, chars: everything that would leave (system, all turns, tools,
    arguments). output_tokens: the budget asked for, or the default. private: kinds found (`email`, `card`, ...).
    output_assumed: whether the caller asked for no budget, so that a model may well write less.
    """

    text: AskText
    input_tokens: int
    output_tokens: int
    chars: int
    turns: int
    tools: int = 0
    json_schema: bool = False
    images: int = 0
    housekeeping: bool = False
    private: tuple[str, ...] = ()
    output_assumed: bool = False


class RuleTrace(Struct, frozen=True):
    """What became of one rule: matched or not, and why in words an operator understands."""

    name: str
    matched: bool
    why: str


class Part(Struct, frozen=True):
    """One who is asked: a model, or a model with a retriever's passages put before the ask.

    name: as the policy knows it, of the model or of the option.
    """

    name: str
    model: str
    retriever: str | None = None


class Terms(Struct, frozen=True):
    """How a plan of several calls is carried out.

    parts: who is asked first, in order. then: the model that answers where they are not trusted. checks: what a
    cascade's answer must pass. trust: the score in 0..1 from which an answer is accepted; None for no bar.
    combine, judge: what becomes of several answers, and the model that weighs them. quality: what was predicted of the
    first part's model for this ask.
    """

    parts: tuple[Part, ...]
    then: str | None = None
    checks: tuple[str, ...] = ()
    trust: float | None = None
    combine: Combine | None = None
    judge: str | None = None
    quality: float = 0.5


class Decision(Struct, frozen=True):
    """Who answers. rule: the name of the rule, or `pinned`, `default`, `cache`, `degraded`.

    model: who answers, or, where a plan asks several, whoever is asked first. options: what a selector picked.
    terms: None for `single`. probability: with which chance `model` was chosen, given the ask (1.0 without
    exploration; None for the cache). unproven: the model that the rule would take, were its `max_risk` proven; None
    where it takes whom it wants.
    """

    plan: PlanName
    model: str
    rule: str
    fallback: tuple[str, ...] = ()
    expected_cost_usd: float | None = None
    probability: float | None = 1.0
    cache: CacheVerdict = "bypass"
    terms: Terms | None = None
    options: tuple[str, ...] = ()
    unproven: str | None = None


class Verdict(Struct, frozen=True):
    """A decision with everything that explains it. eligible: True, or the reason why not, for each model."""

    decision: Decision
    eligible: Mapping[str, bool | str]
    rules: tuple[RuleTrace, ...] = ()
    expected_cost_usd: Mapping[str, float | None] = {}


class Usage(Struct, frozen=True):
    """Tokens in disjoint buckets (reasoning is a part of output). estimated: the upstream gave none."""

    uncached_input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0
    estimated: bool = False

    @property
    def input(self) -> int:
        """All input tokens, cached or not."""
        return self.uncached_input + self.cache_read + self.cache_write


NOTHING_USED = Usage()


@dataclass(slots=True)
class Outcome:
    """One row of the ledger, filled in as the request goes and handed over exactly once, at its very end.

    Inner calls (failed attempts before a fallback, audits, judge calls) are rows of their own with `parent_id`
    and a `purpose`; they hold no share of the parent's tokens. Times: `at_unix` in seconds, the rest in ms.
    Amounts in nano-dollars; None where a price is unknown.
    """

    request_id: str
    at_unix: float
    tenant: str
    key: str
    purpose: Purpose = "chat"
    parent_id: str | None = None
    caller_request_id: str | None = None
    traceparent: str | None = field(default=None, metadata=NOT_KEPT)
    """As the caller sent it (W3C Trace Context)."""
    conversation: str | None = None
    route: str | None = None
    policy: str = ""
    plan: str = "single"
    rule: str = ""
    classifier: str = ""
    model: str | None = None
    upstream_model: str | None = None
    provider: str | None = None
    tier: str | None = None
    decided_model: str | None = None
    probability: float | None = None
    stream: bool = False
    status: int = 0
    outcome: OutcomeKind = "ok"
    error_code: str | None = None
    fault: str | None = None
    finish_reason: str | None = None
    cache: CacheVerdict = "bypass"
    attempts: int = 0
    usage: Usage = NOTHING_USED
    price: Price | None = None
    cost_nano: int | None = None
    baseline_model: str | None = None
    baseline_nano: int | None = None
    always_small_nano: int | None = None
    latency_ms: float = 0.0
    called_ms: float | None = field(default=None, metadata=NOT_KEPT)
    """When the upstream was called that answered."""
    ttft_ms: float | None = None
    overhead_ms: float = 0.0
    complexity: float | None = None
    gain: float | None = None
    support: float | None = None
    task: str | None = None
    language: str | None = None
    eligible: Mapping[str, bool | str] = field(default_factory=dict)
    quality: Mapping[str, float] = field(default_factory=dict)
    expected_cost_usd: Mapping[str, float | None] = field(default_factory=dict)
    rules: tuple[RuleTrace, ...] = ()
    fallback: tuple[str, ...] = ()
    ask: Mapping[str, Any] = field(default_factory=dict)
    shadow_policy: str | None = None
    """Of the policy that decided beside this one; the next four are what it came to."""
    shadow_model: str | None = None
    """None where it would have refused; then the rule is the error's code."""
    shadow_rule: str | None = None
    shadow_cost_nano: int | None = None
    """As expected at the tokens that this request took."""
    shadow_gain: float | None = None
    """Predicted quality of the shadow's model, less that of the model that was decided on."""
    features: Any = None
    """NDArray float32 of shape (d,), d <= 512, or None (always None for private asks)."""
    features_digest: str | None = None
    request_text: str | None = None
    response_text: str | None = None
