"""How a policy file is written: its keys, their types and what each is for. The published JSON Schema comes of it.

Only shapes are checked here. What needs two places at once (names that must exist, `use` or `choose`) is
`router.policy.load`'s, which knows the lines.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

DURATION = r"^(\d+(\.\d+)?(ms|s|m|h|d))+$"
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$"


def seconds_of(value: Any) -> float:
    """Seconds of `90`, `1.5`, `1h`, `1h30m` or `500ms`. Raises ValueError for anything else, and for zero."""
    if isinstance(value, str) and re.fullmatch(DURATION, value):
        value = sum(float(number) * _SECONDS[unit] for number, unit in re.findall(r"([\d.]+)(ms|s|m|h|d)", value))
    elif isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            value = None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        raise ValueError("should be a duration like `30s`, `1h30m` or a number of seconds above 0")
    return float(value)


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("should be a number")
    return value


def _empty_is_none(value: Any) -> Any:
    return None if value == "" else value


Duration = Annotated[
    float,
    BeforeValidator(seconds_of),
    WithJsonSchema({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "pattern": DURATION}]}),
]
Count = Annotated[int, BeforeValidator(_no_bool)]
Dollars = Annotated[float, BeforeValidator(_no_bool), Field(ge=0, le=1_000_000, allow_inf_nan=False)]
"""Per million tokens; a dollar a token is surely a slip, and far more would not fit the ledger's sums."""
Name = Annotated[str, StringConstraints(pattern=_NAME, max_length=100)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=300)]
Url = Annotated[Annotated[str, Field(pattern=r"^https?://[^\s@]+$")] | None, BeforeValidator(_empty_is_none)]
Country = Annotated[str, StringConstraints(pattern="^[A-Za-z]{2}$", to_upper=True)]


class Entry(BaseModel):
    """Any part of the file: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


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
    api_key: Annotated[str | None, BeforeValidator(_empty_is_none)] = Field(
        None, description="Its key; write `${NAME}` to take it from the environment.", examples=["${OPENAI_API_KEY}"]
    )
    context: Count | None = Field(None, gt=0, description="Tokens in and out together; else looked up.")
    max_output: Count | None = Field(None, gt=0, description="Most tokens it writes in one answer; else looked up.")
    supports: list[Literal["tools", "json_schema", "images"]] | None = Field(
        None, description="What it can do; else looked up, and where nothing is known it is taken to be able."
    )
    private: bool = Field(False, description="Private text may go to it (it runs where your data may be).")
    region: Name | None = Field(None, description="Where it runs; shown, for people.", examples=["eu-west-1"])
    price: PriceEntry | None = Field(None, description="Dollars per million tokens; else looked up.")
    timeouts: TimeoutsEntry = Field(default_factory=TimeoutsEntry)
    retries: Count = Field(1, ge=0, le=5, description="Further tries of the same model before the next one.")
    max_concurrency: Count | None = Field(None, gt=0, description="Most calls at a time; the others wait.")


class RuleEntry(Entry):
    """Who serves when the condition holds. Give `use`, or `choose`."""

    name: Text = Field(description="Shown in headers, logs and reports.")
    when: str | None = Field(
        None,
        min_length=1,
        max_length=4000,
        description="A CEL condition; without one the rule always matches.",
        examples=["complexity < 0.35"],
    )
    use: str | None = Field(None, description="The model that serves.")
    choose: Literal["cheapest"] | None = Field(
        None, description="`cheapest`: the cheapest of `among` that keeps `keep_quality`."
    )
    among: list[str] | None = Field(None, min_length=1, description="Models to choose from; else all of the policy.")
    keep_quality: Annotated[float, BeforeValidator(_no_bool)] | None = Field(
        None, ge=0, le=1, description="Share of the baseline's predicted quality that must be kept."
    )
    fallback: list[str] | None = Field(None, description="Models to try, in order, when the first one fails.")


class ExactEntry(Entry):
    """The exact cache: the same question again gets the same answer."""

    ttl: Duration = Field(description="How long an answer may be served again.", examples=["1h"])


class CacheEntry(Entry):
    """What of a route's answers is kept."""

    exact: ExactEntry | None = None
    private: bool = Field(False, description="Keep answers to private asks in the cache too.")


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
    privacy: PrivacyEntry = Field(default_factory=PrivacyEntry)
    log_text: Literal["none", "full"] = Field(
        "none", description="`full` keeps the text of asks and answers in the ledger (never that of private asks)."
    )


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a policy file, as published beside the policies."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **PolicyFile.model_json_schema()}
