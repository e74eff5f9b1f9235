"""What the trace of a request looks like, drawn from its finished rows: plain values, no OpenTelemetry.

A request is a server span; each call to a model is a client span under it. A row makes its own spans, so it needs no
other: a failed call finds its parent by the ids of the request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import router.telemetry.otel_names as names
from router.domain import Outcome

Value = str | int | float | bool | tuple[str, ...]

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?", re.ASCII | re.DOTALL)
_UNNAMED = "_OTHER"
"""The convention's class of an error that has no other."""

_REQUEST_ID = re.compile(r"req_([0-9a-f]{32})", re.ASCII)


class Parent(NamedTuple):
    """The caller's span."""

    trace_id: int
    span_id: int
    sampled: bool


@dataclass(frozen=True, slots=True)
class Span:
    """One span to be made. Times in unix seconds. error: its class, where it failed; `None` attributes are left out."""

    name: str
    started: float
    seconds: float
    attributes: Mapping[str, Value]
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One call to a model. first_chunk: seconds to the first chunk of a stream; None where there was none."""

    span: Span
    first_chunk: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0


def read_traceparent(text: str | None) -> Parent | None:
    """The caller's span (W3C Trace Context, level 1); None for whatever is malformed, which is to be ignored."""
    match = _TRACEPARENT.fullmatch(text) if text else None
    if match is None or match[1] == "ff" or (match[1] == "00" and len(match[0]) != 55):
        return None
    trace_id, span_id = int(match[2], 16), int(match[3], 16)
    return Parent(trace_id, span_id, bool(int(match[4], 16) & 1)) if trace_id and span_id else None


def ids_of(request_id: str) -> tuple[int, int] | None:
    """Trace and span id of a request that came without a trace: its own digits, so that either finds the other."""
    match = _REQUEST_ID.fullmatch(request_id)
    if match is None:
        return None
    trace_id, span_id = int(match[1], 16), int(match[1][16:], 16)
    return (trace_id, span_id) if trace_id and span_id else None


def server_span(row: Outcome) -> Span:
    """The request itself."""
    broke = row.outcome in ("upstream_error", "gateway_error") or row.status >= 500
    error = (row.error_code or str(row.status)) if broke else None
    attributes: dict[str, Value | None] = {
        names.METHOD: "POST",
        names.ROUTE_PATH: names.PATH,
        names.URL_PATH: names.PATH,
        names.STATUS: row.status,
        names.ERROR: error,
        names.REQUEST_ID: row.request_id,
        names.TENANT: row.tenant,
        names.ROUTE: row.route,
        names.RULE: row.rule or None,
        names.PLAN: row.plan,
        names.POLICY: row.policy or None,
        names.CLASSIFIER: row.classifier or None,
        names.COMPLEXITY: row.complexity,
        names.MODEL: row.model,
        names.TIER: row.tier,
        names.DECIDED_MODEL: row.decided_model,
        names.CACHE: row.cache,
        names.OUTCOME: row.outcome,
        names.FAULT: row.fault,
        names.ATTEMPTS: row.attempts,
        names.OVERHEAD: row.overhead_ms / 1000,
        names.COST: _dollars(row.cost_nano),
        names.BASELINE_COST: _dollars(row.baseline_nano),
    }
    return Span(f"POST {names.PATH}", row.at_unix, row.latency_ms / 1000, _present(attributes), error)


def call_of(row: Outcome) -> Call | None:
    """The call that a row tells of: a failed one, or the one that answered. None where no model was called."""
    if row.model is None or row.cache == "hit":
        return None
    attributes: dict[str, Value | None] = {
        names.OPERATION: names.CHAT,
        names.PROVIDER: names.provider_of(row.provider, row.upstream_model),
        names.REQUEST_MODEL: row.upstream_model,
        names.REQUEST_STREAM: row.stream,
        names.MODEL: row.model,
        names.TIER: row.tier,
    }
    name = f"{names.CHAT} {row.upstream_model}"
    if row.purpose == "attempt":
        attributes[names.ERROR] = row.error_code or _UNNAMED
        return Call(Span(name, row.at_unix, row.latency_ms / 1000, _present(attributes), row.error_code or _UNNAMED))
    called, usage = (row.called_ms or 0.0) / 1000, row.usage
    seconds = max(0.0, row.latency_ms / 1000 - called)
    first_chunk = None if row.ttft_ms is None or not row.stream else max(0.0, row.ttft_ms / 1000 - called)
    error: str | None = None
    if row.outcome == "upstream_error":
        error = row.error_code or _UNNAMED
    elif row.outcome == "caller_error":
        error = str(row.status)
    attributes |= {
        names.ERROR: error,
        names.FIRST_CHUNK: first_chunk,
        names.FINISH_REASONS: (row.finish_reason,) if row.finish_reason in names.FINISHED else None,
        names.INPUT_TOKENS: usage.input or None,
        names.OUTPUT_TOKENS: usage.output or None,
        names.CACHE_READ_TOKENS: usage.cache_read or None,
        names.CACHE_WRITE_TOKENS: usage.cache_write or None,
        names.REASONING_TOKENS: usage.reasoning or None,
        names.ESTIMATED: usage.estimated or None,
        names.COST: _dollars(row.cost_nano),
    }
    span = Span(name, row.at_unix + called, seconds, _present(attributes), error)
    return Call(span, first_chunk, usage.input, usage.output)


def _present(attributes: Mapping[str, Value | None]) -> dict[str, Value]:
    return {name: value for name, value in attributes.items() if value is not None}


def _dollars(nano: int | None) -> float | None:
    return None if nano is None else nano / 1e9
