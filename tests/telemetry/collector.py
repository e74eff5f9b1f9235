"""A little OpenTelemetry collector on loopback: takes OTLP/HTTP, decodes it, and can be told to be unwell."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status


@dataclass(frozen=True)
class Seen:
    """One span as it came over the wire."""

    span: Span
    resource: dict[str, Any]

    @property
    def attributes(self) -> dict[str, Any]:
        return _values(self.span.attributes)

    @property
    def trace_id(self) -> str:
        return self.span.trace_id.hex()

    @property
    def failed(self) -> bool:
        return self.span.status.code == Status.STATUS_CODE_ERROR


@dataclass
class Collector:
    """status: what it answers. hangs: takes requests and never answers them."""

    url: str = ""
    status: int = 200
    hangs: threading.Event = field(default_factory=threading.Event)
    posts: int = 0
    raw: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    spans: list[Seen] = field(default_factory=list)
    points: dict[str, list[Any]] = field(default_factory=dict)
    """The newest data points of each metric."""
    over: threading.Event = field(default_factory=threading.Event)

    def take(self, path: str, body: bytes, headers: dict[str, str]) -> None:
        """Decodes what came."""
        self.raw.append(body)
        self.headers.append(headers)
        if path == "/v1/traces":
            traces = ExportTraceServiceRequest.FromString(body)
            for resource in traces.resource_spans:
                said = _values(resource.resource.attributes)
                self.spans += [Seen(span, said) for scope in resource.scope_spans for span in scope.spans]
        elif path == "/v1/metrics":
            metrics = ExportMetricsServiceRequest.FromString(body)
            for resource_metrics in metrics.resource_metrics:
                for scope_metrics in resource_metrics.scope_metrics:
                    for metric in scope_metrics.metrics:
                        self.points[metric.name] = list(metric.histogram.data_points)

    def trace(self, trace_id: str) -> list[Seen]:
        """The spans of one trace, parents first."""
        mine = [seen for seen in self.spans if seen.trace_id == trace_id]
        return sorted(mine, key=lambda seen: (seen.span.kind != Span.SPAN_KIND_SERVER, seen.span.start_time_unix_nano))

    def until(self, is_so: Callable[[], bool], what: str, seconds: float = 15) -> None:
        """Waits; fails where it is never so."""
        deadline = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < deadline, f"never {what}: {len(self.spans)} spans, {self.posts} posts"
            time.sleep(0.02)


def labels_of(point: Any) -> dict[str, Any]:
    """The attributes of a metric's data point."""
    return _values(point.attributes)


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that listens until the block ends."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.posts += 1
            if collector.hangs.is_set():
                collector.over.wait(60)
                return
            if collector.status == 200:
                collector.take(self.path, body, {name.lower(): value for name, value in self.headers.items()})
            self.send_response(collector.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    collector.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        collector.over.set()
        server.shutdown()
        server.server_close()
        thread.join(5)


def _values(attributes: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for attribute in attributes:
        kind = attribute.value.WhichOneof("value")
        value = getattr(attribute.value, kind)
        found[attribute.key] = [item.string_value for item in value.values] if kind == "array_value" else value
    return found
