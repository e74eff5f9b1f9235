"""What crosses `/api`, as schemas for `/openapi.json`; the documents are made in `router.ledger.documents`."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from router.api.ledger_examples import LABELS_EXAMPLE, ROW_EXAMPLE, SHADOW_EXAMPLE, STORY_EXAMPLE, TALLY_EXAMPLE


class Costs(BaseModel):
    """Sums over requests. Dollars are null where they are not known; `unpriced` counts what has no known cost."""

    requests: int
    input_tokens: int = Field(description="Of the requests, cached or not; cache hits included.")
    output_tokens: int = Field(description="Of the requests, reasoning included; cache hits included.")
    spend_usd: float | None = Field(
        description="Known cost of requests and inner calls; a lower bound if unpriced > 0."
    )
    baseline_usd: float | None = Field(description="The same tokens at the baseline's price, cache hits too; errors 0.")
    saved_usd: float | None = Field(description="baseline_usd - spend_usd.")
    always_small_usd: float | None = Field(description="The same tokens at the price of the cheapest small model.")
    inner_usd: float | None = Field(description="The part of spend_usd that audits, judge and other inner calls cost.")
    cache_hits: int
    errors: int
    unpriced: int = Field(description="Requests and inner calls of unknown cost; counted in no amount.")
    inner_unpriced: int = Field(description="The inner calls among them.")
    estimated: int = Field(
        description="Requests and inner calls whose tokens are our estimate: the upstream gave none."
    )
    inner_estimated: int = Field(description="The inner calls among them.")


class CostGroup(Costs):
    """One row of a cost report."""

    key: str | None = Field(description="null: the requests have none (no route: a model was named outright).")


class CostReportBody(BaseModel):
    """Costs by one thing, the dearest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "since": "2026-01-24T08:00:00.000Z",
                "until": "2026-01-31T08:00:00.000Z",
                "by": "model",
                "rows": [{"key": "large", **TALLY_EXAMPLE}],
                "total": TALLY_EXAMPLE,
            }
        }
    )

    since: str
    until: str
    by: str
    rows: list[CostGroup]
    total: Costs


class RequestRow(BaseModel):
    """One request."""

    request_id: str
    at: str
    tenant: str
    key: str
    route: str | None
    policy: str
    rule: str
    model: str | None
    decided_model: str | None
    tier: str | None
    status: int
    outcome: str
    error_code: str | None
    cache: str
    stream: bool
    attempts: int
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    baseline_usd: float | None
    latency_ms: float
    ttft_ms: float | None
    overhead_ms: float
    complexity: float | None
    task: str | None
    language: str | None
    usage_estimated: bool
    purpose: str


class RequestPageBody(BaseModel):
    """Requests, newest first; `next` is the cursor of the page after, null on the last."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"total": 1, "total_capped": False, "rows": [ROW_EXAMPLE], "next": None}}
    )

    total: int | None = Field(description="All that match; null on pages behind the first.")
    total_capped: bool = Field(description="More match than `total` says: nobody counted further.")
    rows: list[RequestRow]
    next: str | None


class TailBody(BaseModel):
    """Requests by the time of their end, the latest first."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"rows": [ROW_EXAMPLE], "next": "2026-01-31T08:00:01.000Z", "left_out": False}}
    )

    rows: list[RequestRow]
    next: str = Field(description="What to ask with next, as `after`.")
    left_out: bool = Field(description="More have ended than are given.")


class InnerRow(RequestRow):
    """A call made for a request beside its answer: a failed attempt, an audit, a judge's call."""


class KeptLabelBody(BaseModel):
    """One opinion of an answer."""

    key: str
    source: str
    score: float
    weight: float
    comment: str | None
    at: str


class ShadowDecision(BaseModel):
    """What another policy would have done with the request. model: null where it would have refused it."""

    policy: str
    model: str | None
    rule: str | None = Field(description="The rule, or the error's code of a refusal.")
    cost_usd: float | None = Field(description="As expected at the tokens that the request took.")
    gain: float | None = Field(description="Change of predicted quality.")


class ShadowMoveBody(BaseModel):
    """The requests that went to one model and would have gone to another (or to the same)."""

    policy: str
    model: str | None
    shadow_model: str | None = Field(description="null: refused.")
    requests: int
    compared: int
    cost_usd: float | None
    shadow_cost_usd: float | None
    gain: float | None


class ShadowReportBody(BaseModel):
    """What the shadow policy would have changed."""

    model_config = ConfigDict(json_schema_extra={"example": SHADOW_EXAMPLE})

    since: str
    until: str
    requests: int = Field(description="Requests that the shadow decided too.")
    moved: float | None = Field(description="Share of them that would have gone elsewhere.")
    compared: int = Field(description="Requests whose costs are known both ways; dollars are over these.")
    cost_usd: float | None
    shadow_cost_usd: float | None = Field(description="As expected at the tokens that the requests took.")
    gain: float | None = Field(description="Mean change of predicted quality.")
    moves: list[ShadowMoveBody]


class RequestStoryBody(InnerRow):
    """Everything the ledger has of one request."""

    model_config = ConfigDict(json_schema_extra={"example": STORY_EXAMPLE})

    parent_id: str | None
    caller_request_id: str | None
    conversation: str | None
    plan: str
    classifier: str
    upstream_model: str | None
    provider: str | None
    probability: float | None
    fault: str | None
    finish_reason: str | None
    usage: dict[str, int | bool]
    price: dict[str, float | str | None] | None
    baseline_model: str | None
    always_small_usd: float | None
    gain: float | None
    support: float | None
    ask: dict[str, Any]
    eligible: dict[str, bool | str]
    quality: dict[str, float | None]
    expected_cost_usd: dict[str, float | None]
    rules: list[dict[str, bool | str]]
    fallback: list[str]
    features: dict[str, int | str | None] | None
    request_text: str | None
    response_text: str | None
    shadow: ShadowDecision | None = Field(description="What the shadow policy would have done; null without one.")
    inner: list[InnerRow]
    labels: list[KeptLabelBody]


class Percentiles(BaseModel):
    """Milliseconds, nearest rank, over answered requests; null where there were none."""

    p50: float | None
    p95: float | None
    p99: float | None


class CacheKindBody(Costs):
    """The requests of one cache verdict."""

    verdict: str = Field(description="`miss` and `bypass` asked a model; every other one answered from the cache.")


class InnerKindBody(BaseModel):
    """The inner calls of one purpose."""

    purpose: str
    calls: int
    failed: int
    spend_usd: float | None
    unpriced: int
    estimated: int


class PriceSourceBody(BaseModel):
    """Calls whose price is from one place."""

    source: str = Field(description="`policy`: the operator said so. Else a price list and its date: an estimate.")
    calls: int
    spend_usd: float


class SpendPointBody(Costs):
    """One model in one hour or day, named by its beginning."""

    at: str
    model: str | None


class SummaryBody(Costs):
    """What a dashboard shows first."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "since": "2026-01-24T08:00:00.000Z",
                "until": "2026-01-31T08:00:00.000Z",
                **TALLY_EXAMPLE,
                "asked_usd": 1.8,
                "cache_share": 0.08,
                "latency_ms": {"p50": 640.2, "p95": 4210.0, "p99": 6120.0},
                "overhead_ms": {"p50": 0.6, "p95": 1.4, "p99": 2.2},
                "cache": [{"verdict": "hit", **TALLY_EXAMPLE}],
                "inner": [
                    {"purpose": "audit", "calls": 7, "failed": 0, "spend_usd": 0.04, "unpriced": 0, "estimated": 0}
                ],
                "prices": [{"source": "policy", "calls": 1104, "spend_usd": 1.84}],
                "spend": [{"at": "2026-01-30", "model": "large", **TALLY_EXAMPLE}],
            }
        }
    )

    since: str
    until: str
    asked_usd: float | None = Field(description="The part of spend_usd that the requests themselves cost.")
    cache_share: float
    latency_ms: Percentiles
    overhead_ms: Percentiles
    cache: list[CacheKindBody]
    inner: list[InnerKindBody]
    prices: list[PriceSourceBody]
    spend: list[SpendPointBody]


class SourceLabelsBody(BaseModel):
    """The labels of one source."""

    source: str = Field(description="verifier, user, judge or implicit.")
    n: int
    mean: float = Field(description="Of their scores, 0..1.")
    weight: float = Field(description="Of all together, before what a source counts.")


class DayLabelsBody(BaseModel):
    """The labels of one source on one day."""

    day: str = Field(description="UTC, by when they were given.")
    source: str
    n: int
    mean: float


class AgreementBody(BaseModel):
    """Requests that two sources labelled."""

    a: str
    b: str
    n: int
    agree: float = Field(description="Share of them on which both score at least 0.5, or both lower.")


class LastLabelBody(BaseModel):
    """One label, without the caller's words."""

    request_id: str
    tenant: str
    key: str
    source: str
    score: float
    weight: float
    note: str | None = Field(description="What the gateway noted of a label of its own; null for those of callers.")
    at: str


class LabelReportBody(BaseModel):
    """The labels given in a span of time."""

    model_config = ConfigDict(json_schema_extra={"example": LABELS_EXAMPLE})

    since: str
    until: str
    by_source: list[SourceLabelsBody]
    by_day: list[DayLabelsBody]
    agreement: list[AgreementBody]
    last: list[LastLabelBody] = Field(description="The latest first.")
