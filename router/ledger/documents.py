"""Reports as the JSON documents that `/api` answers and commands print. Amounts in dollars, times in RFC 3339."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from msgspec import structs

from router.domain import Outcome
from router.ledger.label_report import LabelReport, LastLabel
from router.ledger.reports import CostReport, KeptLabel, RequestPage, RequestStory, Summary, Tail
from router.ledger.shadows import ShadowReport
from router.ledger.tally import Tally, dollars
from router.ledger.window import Window, timestamp

Document = dict[str, Any]


def tally_document(tally: Tally) -> Document:
    """The columns of a cost report."""
    return {
        "requests": tally.requests,
        "input_tokens": tally.input_tokens,
        "output_tokens": tally.output_tokens,
        "spend_usd": tally.spend_usd,
        "baseline_usd": tally.baseline_usd,
        "saved_usd": tally.saved_usd,
        "always_small_usd": tally.always_small_usd,
        "inner_usd": tally.inner_usd,
        "cache_hits": tally.cache_hits,
        "errors": tally.errors,
        "unpriced": tally.unpriced,
        "inner_unpriced": tally.inner_unpriced,
        "estimated": tally.estimated,
        "inner_estimated": tally.inner_estimated,
    }


def costs_document(report: CostReport) -> Document:
    """`/api/costs`."""
    return {
        **_window(report.window),
        "by": report.by,
        "rows": [{"key": row.key, **tally_document(row.tally)} for row in report.rows],
        "total": tally_document(report.total),
    }


def summary_document(summary: Summary) -> Document:
    """`/api/summary`."""
    return {
        **_window(summary.window),
        **tally_document(summary.tally),
        "asked_usd": summary.tally.asked_usd,
        "cache_share": summary.tally.cache_share,
        "latency_ms": asdict(summary.latency_ms),
        "overhead_ms": asdict(summary.overhead_ms),
        "cache": [{"verdict": kind.verdict, **tally_document(kind.tally)} for kind in summary.cache],
        "inner": [
            {
                "purpose": kind.purpose,
                "calls": kind.calls,
                "failed": kind.failed,
                "spend_usd": kind.tally.inner_usd,
                "unpriced": kind.tally.inner_unpriced,
                "estimated": kind.tally.inner_estimated,
            }
            for kind in summary.inner
        ],
        "prices": [
            {"source": place.source, "calls": place.calls, "spend_usd": dollars(place.spend_nano)}
            for place in summary.prices
        ],
        "spend": [{"at": point.at, "model": point.model, **tally_document(point.tally)} for point in summary.points],
    }


def page_document(page: RequestPage) -> Document:
    """`/api/requests`."""
    rows = [row_document(row) for row in page.rows]
    return {"total": page.total, "total_capped": page.capped, "rows": rows, "next": page.next}


def tail_document(tail: Tail) -> Document:
    """`/api/tail`."""
    return {
        "rows": [row_document(row) for row in tail.rows],
        "next": timestamp(tail.next_unix),
        "left_out": tail.left_out,
    }


def row_document(outcome: Outcome) -> Document:
    """One request in a list."""
    return {
        "request_id": outcome.request_id,
        "at": timestamp(outcome.at_unix),
        "tenant": outcome.tenant,
        "key": outcome.key,
        "route": outcome.route,
        "policy": outcome.policy,
        "rule": outcome.rule,
        "model": outcome.model,
        "decided_model": outcome.decided_model,
        "tier": outcome.tier,
        "status": outcome.status,
        "outcome": outcome.outcome,
        "error_code": outcome.error_code,
        "cache": outcome.cache,
        "stream": outcome.stream,
        "attempts": outcome.attempts,
        "input_tokens": outcome.usage.input,
        "output_tokens": outcome.usage.output,
        "cost_usd": _usd(outcome.cost_nano),
        "baseline_usd": _usd(outcome.baseline_nano),
        "latency_ms": outcome.latency_ms,
        "ttft_ms": outcome.ttft_ms,
        "overhead_ms": outcome.overhead_ms,
        "complexity": outcome.complexity,
        "task": outcome.task,
        "language": outcome.language,
        "usage_estimated": outcome.usage.estimated,
        "purpose": outcome.purpose,
    }


def story_document(story: RequestStory) -> Document:
    """`/api/requests/{id}`: the row of the list, with everything else the ledger has."""
    outcome = story.outcome
    features = outcome.features
    return {
        **row_document(outcome),
        "parent_id": outcome.parent_id,
        "caller_request_id": outcome.caller_request_id,
        "conversation": outcome.conversation,
        "plan": outcome.plan,
        "classifier": outcome.classifier,
        "upstream_model": outcome.upstream_model,
        "provider": outcome.provider,
        "probability": outcome.probability,
        "fault": outcome.fault,
        "finish_reason": outcome.finish_reason,
        "usage": structs.asdict(outcome.usage),
        "price": None if outcome.price is None else asdict(outcome.price),
        "baseline_model": outcome.baseline_model,
        "always_small_usd": _usd(outcome.always_small_nano),
        "gain": outcome.gain,
        "support": outcome.support,
        "ask": dict(outcome.ask),
        "eligible": dict(outcome.eligible),
        "quality": dict(outcome.quality),
        "expected_cost_usd": dict(outcome.expected_cost_usd),
        "rules": [structs.asdict(rule) for rule in outcome.rules],
        "fallback": list(outcome.fallback),
        "features": None if features is None else {"digest": outcome.features_digest, "dimensions": len(features)},
        "request_text": outcome.request_text,
        "response_text": outcome.response_text,
        "shadow": _shadow(outcome),
        "inner": [row_document(inner) for inner in story.inner],
        "labels": [_label(label) for label in story.labels],
    }


def shadow_document(report: ShadowReport) -> Document:
    """`/api/shadow`."""
    return {
        **_window(report.window),
        "requests": report.requests,
        "moved": report.moved,
        "compared": report.compared,
        "cost_usd": report.cost_usd,
        "shadow_cost_usd": report.shadow_cost_usd,
        "gain": report.gain,
        "moves": [asdict(move) for move in report.moves],
    }


def labels_document(report: LabelReport) -> Document:
    """`/api/labels`."""
    return {
        **_window(report.window),
        "by_source": [asdict(kind) for kind in report.by_source],
        "by_day": [asdict(day) for day in report.by_day],
        "agreement": [asdict(pair) for pair in report.agreement],
        "last": [_last_label(label) for label in report.last],
    }


def _last_label(label: LastLabel) -> Document:
    document = asdict(label)
    document["at"] = timestamp(document.pop("at_unix"))
    return document


def _shadow(outcome: Outcome) -> Document | None:
    """What the shadow policy would have done with a request; None where there was none."""
    if outcome.shadow_policy is None:
        return None
    return {
        "policy": outcome.shadow_policy,
        "model": outcome.shadow_model,
        "rule": outcome.shadow_rule,
        "cost_usd": _usd(outcome.shadow_cost_nano),
        "gain": outcome.shadow_gain,
    }


def _label(label: KeptLabel) -> Document:
    return {
        "key": label.key,
        "source": label.source,
        "score": label.score,
        "weight": label.weight,
        "comment": label.comment,
        "at": timestamp(label.at_unix),
    }


def _window(window: Window) -> Document:
    return {"since": timestamp(window.since_unix), "until": timestamp(window.until_unix)}


def _usd(nano: int | None) -> float | None:
    return None if nano is None else dollars(nano)
