"""One kept request as `/v1/decisions/{id}` tells it: why it went where it went, and what came of it."""

from __future__ import annotations

from typing import Any

from router.domain import Outcome
from router.ledger.reports import RequestStory
from router.ledger.tally import dollars
from router.ledger.window import timestamp


def told(story: RequestStory) -> dict[str, Any]:
    """The explanation that `/v1/route` would have given then, with `outcome` added."""
    row = story.outcome
    return {
        "request_id": row.request_id,
        "route": row.route,
        "policy": row.policy,
        "ask": dict(row.ask),
        "assessment": {
            "complexity": row.complexity,
            "quality": dict(row.quality),
            "gain": row.gain,
            "support": row.support,
            "task": row.task or "unknown",
            "language": row.language or "und",
            "classifier": row.classifier,
        },
        "eligible": dict(row.eligible),
        "rules": [{"name": rule.name, "matched": rule.matched, "why": rule.why} for rule in row.rules],
        "decision": {
            "plan": row.plan,
            "model": row.decided_model or row.model,
            "rule": row.rule,
            "fallback": list(row.fallback),
            "expected_cost_usd": row.expected_cost_usd.get(row.decided_model or ""),
            "probability": row.probability,
            "cache": row.cache,
        },
        "outcome": {
            **_happened(row),
            "attempts": [_happened(attempt) for attempt in story.inner],
            "labels": [
                {"source": label.source, "score": label.score, "weight": label.weight, "at": timestamp(label.at_unix)}
                for label in story.labels
            ],
        },
    }


def _happened(row: Outcome) -> dict[str, Any]:
    usage = row.usage
    return {
        "at": timestamp(row.at_unix),
        "purpose": row.purpose,
        "model": row.model,
        "upstream_model": row.upstream_model,
        "status": row.status,
        "outcome": row.outcome,
        "error_code": row.error_code,
        "fault": row.fault,
        "finish_reason": row.finish_reason,
        "stream": row.stream,
        "cache": row.cache,
        "upstream_calls": row.attempts,
        "tokens": {
            "uncached_input": usage.uncached_input,
            "cache_read": usage.cache_read,
            "cache_write": usage.cache_write,
            "output": usage.output,
            "reasoning": usage.reasoning,
            "estimated": usage.estimated,
        },
        "cost_usd": _dollars(row.cost_nano),
        "baseline_usd": _dollars(row.baseline_nano),
        "latency_ms": row.latency_ms,
        "ttft_ms": row.ttft_ms,
        "overhead_ms": row.overhead_ms,
        "conversation": row.conversation,
    }


def _dollars(nano: int | None) -> float | None:
    return None if nano is None else dollars(nano)
