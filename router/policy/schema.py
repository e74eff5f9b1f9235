"""How a policy file is written: its keys, their types and what each is for. The published JSON Schema comes of it.

Only shapes are checked here. What needs two places at once (names that must exist, exactly one verb a rule) is
`router.policy.load`'s, which knows the lines. Rules have a file of their own, `rule_schema`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints

from router.policy.fields import (
    Count,
    Country,
    Dollars,
    Duration,
    Entry,
    Name,
    Share,
    Text,
    Url,
    empty_is_none,
    no_bool,
)
from router.policy.rule_schema import RuleEntry


class PriceEntry(Entry):
    """Dollars per million tokens."""

    input: Dollars = Field(description="Of input tokens that are not cached.")
    output: Dollars = Field(description="Of output tokens.")
    cache_read: Dollars | None = Field(
        None, description="Of input tokens read from the provider's cache; else `input`."
    )
    cache_write: Dollars | None = Field(
        None, description="Of input tokens written to the provider's cache; else `input`."
    )


class TimeoutsEntry(Entry):
    """How long each part of a call may take."""

    connect: Duration = Field(5.0, description="To connect.")
    first_token: Duration = Field(60.0, description="From the request sent to the first byte of the answer.")
    idle: Duration = Field(60.0, description="Between two reads of an answer.")
    total: Duration = Field(600.0, description="The whole call.")


class ModelEntry(Entry):
    """A model that may be called, under a name of your own."""

    tier: Name = Field(description="`small`, `large`, or a tier of your own; the judge's generic quality goes by it.")
    model: Text = Field(description="The id that the upstream knows it by.", examples=["qwen2.5:3b"])
    provider: Literal["openai", "litellm"] = Field(
        "openai", description="`openai`: anything that speaks OpenAI's API at `base_url`. `litellm`: everything else."
    )
    base_url: Url = Field(
        None,
        description="Where it is, up to and with `/v1`; needed for `openai`. No user or password in it.",
        examples=["http://localhost:11434/v1"],
    )
    api_key: Annotated[str | None, BeforeValidator(empty_is_none)] = Field(
        None, description="Its key; write `${NAME}` to take it from the environment.", examples=["${OPENAI_API_KEY}"]
    )
    context: Count | None = Field(None, gt=0, description="Tokens in and out together; else looked up.")
    max_output: Count | None = Field(None, gt=0, description="Most tokens it writes in one answer; else looked up.")
    supports: list[Literal["tools", "json_schema", "images", "logprobs"]] | None = Field(
        None,
        description="What it can do; else looked up, and where nothing is known it is taken to be able. "
        "`logprobs` no request needs; a cascade with `trust` asks for them.",
    )
    private: bool = Field(False, description="Private text may go to it (it runs where your data may be).")
    region: Name | None = Field(None, description="Where it runs; shown, for people.", examples=["eu-west-1"])
    price: PriceEntry | None = Field(None, description="Dollars per million tokens; else looked up.")
    timeouts: TimeoutsEntry = Field(default_factory=TimeoutsEntry)
    retries: Count = Field(1, ge=0, le=5, description="Further tries of the same model before the next one.")
    max_concurrency: Count | None = Field(None, gt=0, description="Most calls at a time; the others wait.")


class RetrieverEntry(Entry):
    """A place that gives passages for a question; they are put before the ask."""

    url: Annotated[str, Field(pattern=r"^https?://[^\s@]+$")] = Field(
        description="Is sent `{query, top_k}` by POST; answers passages. No user or password in it.",
        examples=["http://localhost:9000/search"],
    )
    api_key: Annotated[str | None, BeforeValidator(empty_is_none)] = Field(None, description="Sent as Bearer.")
    top: Count = Field(4, ge=1, le=50, description="How many passages are asked for.")
    private: bool = Field(False, description="Private text may go to it.")
    timeout: Duration = Field(5.0, description="For the whole call; after it the ask goes on without passages.")
    price: Annotated[float, BeforeValidator(no_bool), Field(ge=0, le=100, allow_inf_nan=False)] = Field(
        0.0, description="Dollars a call."
    )


class OptionEntry(Entry):
    """What a selector may pick: a model, or a model with a retriever's passages."""

    use: str = Field(description="The model that answers.")
    with_: str | None = Field(None, alias="with", description="The retriever whose passages it is given.")
    description: Annotated[str, StringConstraints(min_length=1, max_length=2000)] = Field(
        description="What it is for, in the words of those who ask."
    )
    examples: list[Annotated[str, StringConstraints(min_length=1, max_length=2000)]] = Field(
        default_factory=list, max_length=200, description="Questions that belong to it."
    )
    tags: list[Name] = Field(default_factory=list, description="Short words that it is known by.")


class LimitEntry(Entry):
    """A bound on what each key, tenant, route or model may use."""

    name: Text = Field(description="Shown to whoever reaches it.")
    per: Literal["key", "tenant", "route", "model", "all"] = Field(description="Who is counted by themselves.")
    only: list[str] | None = Field(None, min_length=1, description="The ones it holds for; else each of them.")
    requests_per_minute: Count | None = Field(None, gt=0, description="Requests in any minute.")
    tokens_per_minute: Count | None = Field(None, gt=0, description="Tokens, in and out, in any minute.")
    dollars_per_day: Dollars | None = Field(None, description="Dollars in a day, UTC.")
    dollars_per_month: Dollars | None = Field(None, description="Dollars in a month, UTC.")


class CanaryEntry(Entry):
    """Another policy that rules over a share of the conversations."""

    policy: Text = Field(description="Its file, beside this one.")
    share: Annotated[float, BeforeValidator(no_bool)] = Field(gt=0, lt=1, description="Of conversations; they stay.")


class ConversationEntry(Entry):
    """A conversation keeps its model unless a change is worth it."""

    margin: Share = Field(
        0.05, description="Predicted quality that a change must bring, above what the lost cache costs."
    )
    ttl: Duration = Field(3600.0, description="How long after its last turn a conversation is remembered.")


class ExactEntry(Entry):
    """The exact cache: the same question again gets the same answer."""

    ttl: Duration = Field(description="How long an answer may be served again.", examples=["1h"])


class CacheEntry(Entry):
    """What of a route's answers is kept."""

    exact: ExactEntry | None = None
    private: bool = Field(False, description="Keep answers to private asks in the cache too.")


class AuditEntry(Entry):
    """A random share of requests that another model answers too, off the caller's way; a judge weighs both answers."""

    rate: Share = Field(description="Share of requests.", examples=[0.05])
    judge: str = Field(description="The model that weighs; by default none of the two that answered.")
    budget_per_day: Dollars = Field(
        1.0, description="Most dollars a day for answers and judging, each process for itself."
    )
    judges_itself: bool = Field(False, description="Let the judge weigh its own answers too.")
    review: Share = Field(0.0, description="Share of the other requests whose answer the judge scores alone.")


class ExploreEntry(Entry):
    """A small share of requests that goes to another model of about the same predicted quality, to learn from."""

    rate: Share = Field(description="Share of requests.", examples=[0.02])
    band: Share = Field(0.05, description="How far apart predicted qualities may be.")


class RouteEntry(Entry):
    """A name that callers send as `model`."""

    baseline: str | None = Field(None, description="What savings are measured against, and whose quality is kept.")
    rules: list[RuleEntry] = Field(default_factory=list, description="Tried in order; the first that can serve does.")
    cache: CacheEntry | None = None
    privacy: Literal["enforce", "observe"] | None = Field(
        None,
        description="`enforce`: private asks only reach models marked `private`. `observe`: only noted. "
        "Default: enforce where the policy marks any model private.",
    )
    default: str | None = Field(None, description="Serves when no rule can; else the policy's default.")
    conversation: ConversationEntry | None = Field(None, description="Keep a conversation's model.")
    audit: AuditEntry | None = Field(None, description="Compare models on a random share of requests.")
    explore: ExploreEntry | None = Field(None, description="Try another model now and then where it hardly matters.")


class PrivacyEntry(Entry):
    """What counts as private beside e-mail addresses, `+` phone numbers, cards, IBANs and keys."""

    countries: list[Country] = Field(
        default_factory=list,
        description="Countries whose national ids are looked for, with a telling word near.",
        examples=[["US", "DE"]],
    )
    phone_region: Country | None = Field(
        None, description="Country whose phone numbers count without a `+` too.", examples=["DE"]
    )


class PolicyFile(Entry):
    """A Signalbox policy: which models there are, and which of them answers what."""

    model_config = ConfigDict(title="Signalbox policy")

    version: Literal[1] = Field(description="Of this format.")
    models: dict[Name, ModelEntry] = Field(min_length=1, description="The models, by a name of your own.")
    default: str = Field(description="The model that serves when no rule matches or a part is lost.")
    routes: dict[Name, RouteEntry] = Field(
        min_length=1,
        description="What callers ask for as `model`; `auto` is what they get when they name nothing else.",
    )
    retrievers: dict[Name, RetrieverEntry] = Field(default_factory=dict, description="Places that give passages.")
    options: dict[Name, OptionEntry] = Field(default_factory=dict, description="What selectors may pick.")
    limits: list[LimitEntry] = Field(default_factory=list, description="Budgets and paces.")
    shadow: Text | None = Field(None, description="The file of a policy that decides beside this one and never rules.")
    canary: CanaryEntry | None = None
    privacy: PrivacyEntry = Field(default_factory=PrivacyEntry)
    log_text: Literal["none", "full"] = Field(
        "none", description="`full` keeps the text of asks and answers in the ledger (never that of private asks)."
    )


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a policy file, as published beside the policies."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **PolicyFile.model_json_schema(by_alias=True)}
