"""Sends traces and GenAI metrics to a collector over OTLP/HTTP. The one file that knows OpenTelemetry.

Three threads keep it off the request path: one draws spans from finished rows, one sends them, and the SDK's own
sends metrics. Every queue is bounded; what does not fit, or what the collector does not take, is dropped and counted.
Where the collector is, with which headers and timeouts, the SDK reads from the environment (`OTEL_*`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
import uuid
from collections import deque
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

import router.telemetry.otel_names as names
from router import __version__
from router.domain import Outcome
from router.telemetry.names import SIGNALS
from router.telemetry.spans import Call, Span, call_of, ids_of, read_traceparent, server_span

log = logging.getLogger(__name__)

ROWS_MOST, SPANS_MOST, BATCH = 4_096, 4_096, 128
"""Rows waiting to be drawn, spans waiting to be sent, spans sent at once (encoding them holds the interpreter)."""

LINGER_SECONDS = 0.5
"""How long rows and spans wait for company."""

STOP_SECONDS = 3.0

_OK, _FAILED = Status(StatusCode.UNSET), Status(StatusCode.ERROR)
_SAMPLED, _NOT_SAMPLED = TraceFlags(TraceFlags.SAMPLED), TraceFlags(TraceFlags.DEFAULT)
COMPLAIN_SECONDS = 60.0


class OtelExport:
    """`router.telemetry.export.Export` to a real collector. signals: which of `traces` and `metrics` to send."""

    def __init__(self, signals: Collection[str], *, rows_most: int = ROWS_MOST, spans_most: int = SPANS_MOST):
        self.sent = dict.fromkeys(SIGNALS, 0)
        self.dropped = dict.fromkeys(SIGNALS, 0)
        self._rows: deque[Outcome] = deque()
        self._rows_most = rows_most
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []
        resource = _resource()
        self._outbox = _Outbox(self, spans_most) if "traces" in signals else None
        self._tracer = _Tracer(resource, self._outbox) if self._outbox else None
        self._meter = _Meter(self, resource) if "metrics" in signals else None
        for exporter in ("trace_exporter", "metric_exporter"):
            logging.getLogger(f"opentelemetry.exporter.otlp.proto.http.{exporter}").addFilter(_now_and_then)

    def take(self, outcome: Outcome) -> None:
        """Takes one finished row."""
        if len(self._rows) >= self._rows_most or self._ending.is_set():
            self.dropped["traces"] += self._outbox is not None
        else:
            self._rows.append(outcome)

    def start(self) -> None:
        """Begins to draw and to send."""
        self._threads = [threading.Thread(target=self._draw, name="otel-draw", daemon=True)]
        if self._outbox is not None:
            self._threads.append(threading.Thread(target=self._outbox.run, name="otel-send", daemon=True))
        for thread in self._threads:
            thread.start()

    async def stop(self) -> None:
        """Sends what it can within three seconds; gives the rest up."""
        self._ending.set()
        loop, closed = asyncio.get_running_loop(), asyncio.Event()

        def close() -> None:
            self._close()
            with suppress(RuntimeError):  # the loop did not wait so long
                loop.call_soon_threadsafe(closed.set)

        threading.Thread(target=close, name="otel-close", daemon=True).start()  # no executor's: those are waited for
        try:
            await asyncio.wait_for(closed.wait(), STOP_SECONDS)
        except TimeoutError:
            log.warning("the collector did not take the last traces and metrics in time; they are given up")
        if self._outbox is not None:
            self._outbox.give_up()

    def _close(self) -> None:
        for thread in self._threads[:1]:
            thread.join()
        if self._outbox is not None:
            self._outbox.ending.set()
        if self._meter is not None:
            self._meter.close()
        for thread in self._threads[1:]:
            thread.join()

    def _draw(self) -> None:
        while True:
            ending = self._ending.wait(LINGER_SECONDS)
            while self._rows:
                try:
                    self._draw_one(self._rows.popleft())
                except Exception:
                    self.dropped["traces"] += 1
                    log.exception("a trace could not be drawn")
                time.sleep(0)  # lets the event loop go first: the interpreter would give it a turn every 5 ms only
            if ending:
                return

    def _draw_one(self, row: Outcome) -> None:
        call = call_of(row)
        if self._tracer is not None:
            self._tracer.draw(row, call)
        if self._meter is not None and call is not None:
            self._meter.measure(call)


class _Tracer:
    """Draws the spans of rows; sampling is as the environment says, and the caller's decision goes before it.

    Spans are made whole, since all of them is known: the SDK's own way, made for spans that are still going on, costs
    three times as much.
    """

    def __init__(self, resource: Resource, outbox: _Outbox):
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._ids, self._sampler, self._resource = provider.id_generator, provider.sampler, resource
        self._scope = InstrumentationScope(names.SCOPE, __version__)
        self._outbox = outbox

    def draw(self, row: Outcome, call: Call | None) -> None:
        if self._outbox.is_full():
            self._outbox.drop((row.purpose == "chat") + (call is not None))
            return
        caller, own = read_traceparent(row.traceparent), ids_of(row.parent_id or row.request_id)
        trace_id, span_id = own or (self._ids.generate_trace_id(), self._ids.generate_span_id())
        if caller is None:
            above, sampled = None, self._samples(trace_id, None)
        else:
            trace_id = caller.trace_id
            above = _context(trace_id, caller.span_id, caller.sampled, is_remote=True)
            sampled = self._samples(trace_id, above)
        if not sampled:
            return
        request = _context(trace_id, span_id, sampled)
        if row.purpose == "chat":
            self._make(server_span(row), SpanKind.SERVER, request, above)
        if call is not None:
            self._make(call.span, SpanKind.CLIENT, _context(trace_id, self._ids.generate_span_id(), sampled), request)

    def _samples(self, trace_id: int, above: SpanContext | None) -> bool:
        context = None if above is None else set_span_in_context(NonRecordingSpan(above))
        return self._sampler.should_sample(context, trace_id, names.SCOPE).decision is Decision.RECORD_AND_SAMPLE

    def _make(self, span: Span, kind: SpanKind, context: SpanContext, above: SpanContext | None) -> None:
        started = int(span.started * 1e9)
        self._outbox.add(
            ReadableSpan(
                span.name,
                context,
                above,
                self._resource,
                dict(span.attributes),
                kind=kind,
                instrumentation_scope=self._scope,
                status=_OK if span.error is None else _FAILED,
                start_time=started,
                end_time=started + int(span.seconds * 1e9),
            )
        )


class _Outbox:
    """Spans on their way; `run` is the sender's thread."""

    def __init__(self, tally: OtelExport, most: int):
        self.ending = threading.Event()
        self._tally = tally
        self._most = most
        self._waiting: deque[ReadableSpan] = deque()
        self._exporter: SpanExporter = OTLPSpanExporter()

    def is_full(self) -> bool:
        """Whether a span more would be one too many; then none need be drawn."""
        return len(self._waiting) >= self._most

    def add(self, span: ReadableSpan) -> None:
        """Takes one span to be sent."""
        self._waiting.append(span)

    def drop(self, spans: int) -> None:
        """Counts spans that were given up."""
        self._tally.dropped["traces"] += spans

    def run(self) -> None:
        while True:
            ending = self.ending.wait(LINGER_SECONDS)
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
                tally = self._tally.sent if self._sends(batch) else self._tally.dropped
                tally["traces"] += len(batch)
            if ending:
                return

    def give_up(self) -> None:
        """Sends no more; what waits is counted as dropped."""
        self._exporter.shutdown()
        left = len(self._waiting)
        self._waiting.clear()
        self.drop(left)

    def _sends(self, batch: Sequence[ReadableSpan]) -> bool:
        try:
            return self._exporter.export(batch) is SpanExportResult.SUCCESS
        except Exception:
            log.exception("traces could not be sent")
            return False


class _Meter:
    """The convention's client metrics. Names of models are the policy's upstream ids, so a closed set."""

    def __init__(self, tally: OtelExport, resource: Resource):
        self._provider = MeterProvider(
            [PeriodicExportingMetricReader(_CountedMetricExporter(tally))], resource, shutdown_on_exit=False
        )
        meter = self._provider.get_meter(names.SCOPE, __version__)

        def histogram(name: str, unit: str, bounds: Sequence[float], says: str) -> Any:
            return meter.create_histogram(name, unit, says, explicit_bucket_boundaries_advisory=bounds)

        self._duration: Histogram = histogram(
            names.DURATION_METRIC, "s", names.DURATION_BOUNDS, "GenAI operation duration."
        )
        self._tokens: Histogram = histogram(
            names.TOKENS_METRIC, "{token}", names.TOKENS_BOUNDS, "Number of input and output tokens used."
        )
        self._first_chunk: Histogram = histogram(
            names.FIRST_CHUNK_METRIC, "s", names.FIRST_CHUNK_BOUNDS, "Time to receive the first chunk."
        )

    def measure(self, call: Call) -> None:
        labels = {
            name: call.span.attributes[name]
            for name in (names.OPERATION, names.PROVIDER, names.REQUEST_MODEL)
            if name in call.span.attributes
        }
        if call.input_tokens:
            self._tokens.record(call.input_tokens, {**labels, names.TOKEN_TYPE: "input"})
        if call.output_tokens:
            self._tokens.record(call.output_tokens, {**labels, names.TOKEN_TYPE: "output"})
        if call.first_chunk is not None:
            self._first_chunk.record(call.first_chunk, labels)
        if call.span.error is not None:
            labels[names.ERROR] = call.span.error
        self._duration.record(call.span.seconds, labels)

    def close(self) -> None:
        """Sends the last figures."""
        self._provider.shutdown(timeout_millis=STOP_SECONDS * 1000)


class _CountedMetricExporter(OTLPMetricExporter):
    """The SDK's exporter, with what it sent and did not send counted."""

    def __init__(self, tally: OtelExport):
        super().__init__()
        self._tally = tally

    def export(
        self, metrics_data: MetricsData, timeout_millis: float | None = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        result = super().export(metrics_data, timeout_millis, **kwargs)
        tally = self._tally.sent if result is MetricExportResult.SUCCESS else self._tally.dropped
        tally["metrics"] += 1
        return result


class _NowAndThen(logging.Filter):
    """Lets one line a minute by: a collector that is away would fill the log."""

    def __init__(self) -> None:
        super().__init__()
        self._silent_until = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        if record.created < self._silent_until:
            return False
        self._silent_until = record.created + COMPLAIN_SECONDS
        return True


_now_and_then = _NowAndThen()


def _resource() -> Resource:
    """Who speaks. What `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` say goes before what we would say."""
    given = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    ours = {SERVICE_NAME: "signalbox", SERVICE_VERSION: __version__, SERVICE_INSTANCE_ID: str(uuid.uuid4())}
    said = {part.partition("=")[0].strip() for part in given.split(",")}
    if os.environ.get("OTEL_SERVICE_NAME"):
        said.add(SERVICE_NAME)
    return Resource.create({name: value for name, value in ours.items() if name not in said})


def _context(trace_id: int, span_id: int, sampled: bool, *, is_remote: bool = False) -> SpanContext:
    return SpanContext(trace_id, span_id, is_remote=is_remote, trace_flags=_SAMPLED if sampled else _NOT_SAMPLED)
