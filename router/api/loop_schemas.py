"""What crosses `/api` of the learning loop, as schemas for `/openapi.json`; made in `router.ledger.loop_documents`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

_SPAN = {"since": "2026-01-24T08:00:00.000Z", "until": "2026-01-31T08:00:00.000Z"}
_AT = "2026-01-30T08:00:00.000Z"
_SHA = "9c41d2e07a55" + 52 * "0"
_MEAN = {"n": 412, "mean": 0.81, "low": 0.77, "high": 0.845}
_NO_MEAN = {"n": 0, "mean": None, "low": None, "high": None}


def _example(**values: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"example": {**_SPAN, **values}})


class Estimate(BaseModel):
    """A mean of n scores or cases in 0..1, with its 95 per cent interval (Wilson's, at the effective number)."""

    n: int
    mean: float | None
    low: float | None
    high: float | None


class Bootstrapped(BaseModel):
    """A value with its 95 per cent bootstrap interval; null where there is nothing to say."""

    value: float | None
    low: float | None
    high: float | None


class Spanned(BaseModel):
    """A report over a span of time."""

    since: str
    until: str


class VersionEventBody(BaseModel):
    """One event of the judge's history."""

    kind: Literal["retrained", "promoted", "canary", "rolled back"]
    at: str
    sha256: str | None = Field(description="What was made, or is current from then on; null: the one that ships.")
    by: str | None = Field(description="Who promoted or rolled back; null for retrainings.")
    parent: str | None = Field(description="What the artefact was meant to better; null: the one that ships.")
    passed: bool | None = Field(description="Whether the gate let the artefact through; null where nobody said.")
    gate: str | None = Field(description="The gate's reason.")
    current: bool = Field(description="Of a retraining: it judges now. Of another event: it is the newest.")
    share: float | None = Field(description="Of the conversations, that a canary judges.")
    reason: str | None = Field(description="Why it was promoted or rolled back, where somebody said.")


_EVENT = {
    "kind": "promoted", "at": _AT, "sha256": _SHA, "by": "ada", "parent": None, "passed": True,
    "gate": "better: log loss -0.021 [-0.034, -0.009]", "current": True, "share": None, "reason": None,
}  # fmt: skip


class VersionsBody(Spanned):
    """Retrainings, promotions and rollbacks, the newest first."""

    model_config = _example(current=_SHA, events=[_EVENT], capped=False)

    current: str | None = Field(description="The sha256 of the artefact that judges; null: the one that ships.")
    events: list[VersionEventBody]
    capped: bool = Field(description="There are more than are given.")


class QualityFigures(BaseModel):
    """Answered requests: what they cost themselves (inner calls aside), and how good they were."""

    requests: int
    unpriced: int = Field(description="Of unknown cost; counted in no amount.")
    cost_usd: float | None
    baseline_usd: float | None = Field(
        description="The same tokens at the baseline's price; null where not known of all."
    )
    share_labelled: float
    labelled: Estimate = Field(description="By all labels joined: requests that somebody cared to label, or was drawn.")
    audited: Estimate = Field(description="By the labels of audits alone: requests drawn by chance.")


_QUALITY = {
    "requests": 8210, "unpriced": 0, "cost_usd": 4.2, "baseline_usd": 31.7, "share_labelled": 0.0502,
    "labelled": _MEAN, "audited": _NO_MEAN,
}  # fmt: skip


class QualityGroup(QualityFigures):
    """One row of a quality report."""

    key: str | None


class QualityBody(Spanned):
    """Quality beside cost. Groups were given different requests, so they do not compare models."""

    model_config = _example(by="model", rows=[{"key": "small", **_QUALITY}], total=_QUALITY)

    by: str
    rows: list[QualityGroup]
    total: QualityFigures


class ReliabilityBinBody(BaseModel):
    """Requests whose predicted quality lay in low <= p < high; the last one takes 1 in."""

    low: float
    high: float
    predicted: float | None = Field(description="Mean of the predictions, by weight of the labels.")
    labelled: Estimate


class ReliabilityOf(BaseModel):
    """One version of the judge, or all together."""

    classifier: str
    n: int = Field(description="Labelled requests that a quality was predicted of.")
    error: float | None = Field(description="Expected calibration error over the ten bins, by weight of the labels.")
    bins: list[ReliabilityBinBody]


_RELIABILITY = {
    "classifier": "fast@9c41d2e07a55",
    "n": 412,
    "error": 0.031,
    "bins": [{"low": 0.8, "high": 0.9, "predicted": 0.84, "labelled": _MEAN}],
}


class ReliabilityBody(Spanned):
    """Predicted quality of the model that answered against what labels say of the answer."""

    model_config = _example(all=_RELIABILITY, versions=[_RELIABILITY], left_out=0)

    all: ReliabilityOf
    versions: list[ReliabilityOf] = Field(description="Those with the most labels first, a dozen at most.")
    left_out: int = Field(description="Versions that are not given.")


class MisrouteBody(BaseModel):
    """One audited request that went wrong."""

    request_id: str
    at: str
    route: str | None
    rule: str
    task: str | None
    small: str
    large: str
    small_score: float
    large_score: float
    lost: float = Field(description="Quality; 0 where the large model served.")
    wasted_usd: float | None = Field(description="null where a price is not known, and where the small model served.")


class MisrouteKind(BaseModel):
    """The audited requests that one side served, and which of them should have gone to the other."""

    served: int
    wrong_requests: int
    wrong: Estimate = Field(description="Share of `served`.")
    lost: Bootstrapped = Field(
        description="Mean quality that each of `served` lost; null where the large model served."
    )
    wasted_usd: float = Field(description="Over the wrong ones of known prices.")
    spent_usd: float = Field(description="What the answers of all `served` cost.")
    unpriced: int = Field(description="Wrong ones whose prices are not known.")
    requests: list[MisrouteBody] = Field(description="The worst first, 50 at most.")


_MISROUTE = {
    "request_id": "req_0193c1f2a7b0c5a1f0e2d3c4b5a69788", "at": _AT, "route": "auto", "rule": "easy", "task": "code",
    "small": "small", "large": "large", "small_score": 0.3, "large_score": 0.9, "lost": 0.6, "wasted_usd": None,
}  # fmt: skip
_KIND = {
    "served": 412, "wrong_requests": 20, "wrong": {"n": 412, "mean": 0.0485, "low": 0.0316, "high": 0.0738},
    "lost": {"value": 0.021, "low": 0.013, "high": 0.031}, "wasted_usd": 0.0, "spent_usd": 0.01, "unpriced": 0,
    "requests": [_MISROUTE],
}  # fmt: skip


class MisroutesBody(Spanned):
    """Where routing went wrong, on requests that both models answered."""

    model_config = _example(
        pairs=498, capped=False, worse=0.2, alike=0.05, cheap_and_bad=_KIND, dear_and_not_needed=_KIND
    )

    pairs: int = Field(description="Audited requests of which both answers were scored.")
    capped: bool = Field(description="There are more; the newest 5,000 were read.")
    worse: float
    alike: float
    cheap_and_bad: MisrouteKind
    dear_and_not_needed: MisrouteKind


class CurvePoint(BaseModel):
    """What sending a share of the requests to the large model comes to."""

    share_large: float
    usd: float = Field(description="Mean cost of a request.")
    quality: float


class CurveThreshold(BaseModel):
    """A rule's threshold of today's policy, on the audited requests of its route."""

    route: str
    rule: str
    kind: Literal["threshold", "keep_quality"]
    value: float
    pairs: int
    point: CurvePoint | None


_POINT = {"share_large": 0.35, "usd": 0.0021, "quality": 0.84}
_AREA = {"value": 0.63, "low": 0.58, "high": 0.68}
_THRESHOLD = {
    "route": "auto", "rule": "keep the promise", "kind": "keep_quality", "value": 0.95, "pairs": 498, "point": _POINT,
}  # fmt: skip


class CurveBody(Spanned):
    """What cost buys in quality, on requests that both models answered."""

    model_config = _example(
        pairs=498, left_out=2, capped=False, by_gain=[_POINT], by_length=[_POINT], by_chance=[_POINT],
        by_gain_area=_AREA, by_length_area=_AREA, today=_POINT, today_quality=_AREA, thresholds=[_THRESHOLD],
    )  # fmt: skip

    pairs: int
    left_out: int = Field(description="Pairs without a price or a prediction.")
    capped: bool = Field(description="There are more; the newest 5,000 were read.")
    by_gain: list[CurvePoint] = Field(description="The highest predicted gain to the large model first.")
    by_length: list[CurvePoint] = Field(description="The longest prompt to the large model first.")
    by_chance: list[CurvePoint] = Field(description="The ends of a straight line.")
    by_gain_area: Bootstrapped = Field(description="APGR; 0.5 is chance. null where the large model was not better.")
    by_length_area: Bootstrapped
    today: CurvePoint | None = Field(description="What really was served.")
    today_quality: Bootstrapped = Field(description="Its quality with the interval.")
    thresholds: list[CurveThreshold]
