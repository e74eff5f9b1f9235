"""What telemetry costs: python bench/telemetry.py [--json]

CPU a finished row on the request path (counting it; counting and handing it to the export), CPU a row off it (drawing
and encoding its spans), and CPU a scrape. Beside the first, the same labels through `prometheus_client`'s own counters.
Figures are of this machine, in microseconds of CPU.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Histogram

from router.domain import Outcome, Usage
from router.telemetry import Telemetry
from router.telemetry.counts import LATENCY_BOUNDS, OVERHEAD_BOUNDS

ROWS = 50_000
ROUNDS = 7


def rows() -> list[Outcome]:
    """Traffic of two routes, three models, four rules; streams, cache hits, cached tokens."""
    kinds = itertools.cycle(itertools.product(("auto", "cheap"), ("a", "b", "c"), ("r1", "r2", "r3", "r4")))
    made = []
    for number, (route, model, rule) in zip(range(ROWS), kinds, strict=False):
        hit = number % 7 == 0
        made.append(
            Outcome(
                f"req_{number + 1:032x}", 1.7e9, "acme", "web", route=route, model=model, rule=rule, status=200,
                cache="hit" if hit else "miss", stream=number % 2 == 0, provider="openai", upstream_model=model,
                policy="bench@1", classifier="fast@1", tier="small", usage=Usage(400, 300 * (number % 3), 0, 200, 20),
                cost_nano=0 if hit else 120_000, baseline_nano=900_000, latency_ms=800.0, overhead_ms=0.6,
                called_ms=0.5, ttft_ms=120.0,
            )
        )  # fmt: skip
    return made


def clients_own() -> Callable[[Outcome], None]:
    """The same figures kept by the client's counters and histograms."""
    registry = CollectorRegistry()
    requests = Counter("requests", "-", ("route", "model", "status"), registry=registry)
    decisions = Counter("decisions", "-", ("route", "rule"), registry=registry)
    cache = Counter("cache", "-", ("verdict",), registry=registry)
    tokens = Counter("tokens", "-", ("model", "kind"), registry=registry)
    spend = Counter("spend", "-", ("model",), registry=registry)
    baseline = Counter("baseline", "-", ("model",), registry=registry)
    attempts = Counter("attempts", "-", ("model", "result"), registry=registry)
    overhead = Histogram("overhead", "-", buckets=OVERHEAD_BOUNDS, registry=registry)
    duration = Histogram("duration", "-", ("model", "cache"), buckets=LATENCY_BOUNDS, registry=registry)
    first_token = Histogram("first_token", "-", ("model",), buckets=LATENCY_BOUNDS, registry=registry)

    def count(row: Outcome) -> None:
        model, route = row.model or "none", row.route or "none"
        requests.labels(route, model, str(row.status)).inc()
        decisions.labels(route, row.rule).inc()
        cache.labels(row.cache).inc()
        overhead.observe(row.overhead_ms / 1000)
        duration.labels(model, row.cache).observe(row.latency_ms / 1000)
        baseline.labels(model).inc((row.baseline_nano or 0) / 1e9)
        if row.cache != "hit":
            tokens.labels(model, "input").inc(row.usage.uncached_input)
            tokens.labels(model, "cache_read").inc(row.usage.cache_read)
            tokens.labels(model, "output").inc(row.usage.output)
            spend.labels(model).inc((row.cost_nano or 0) / 1e9)
            attempts.labels(model, "ok").inc()
            if row.stream:
                first_token.labels(model).observe((row.ttft_ms or 0) / 1000)

    return count


def cpu_a_row(take: Callable[[Outcome], None], given: list[Outcome]) -> float:
    """The best of some rounds: noise only adds."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for row in given:
            take(row)
        best = min(best, (time.process_time() - began) / len(given) * 1e6)
    return best


def main() -> None:
    """Prints the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", action="store_true")
    given = rows()
    telemetry = Telemetry()
    figures = {
        "a row, export off": cpu_a_row(telemetry.count, given),
        "a row, prometheus_client's own counters": cpu_a_row(clients_own(), given),
    }
    began = time.process_time()
    pages = 50
    for _ in range(pages):
        telemetry.page()
    figures["a scrape"] = (time.process_time() - began) / pages * 1e6
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:9"
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

    from router.telemetry.otel import BATCH, OtelExport

    export = OtelExport({"traces", "metrics"}, rows_most=ROWS * ROUNDS * 2, spans_most=ROWS * ROUNDS * 4)
    figures["a row, export on, on the request path"] = cpu_a_row(Telemetry(export).count, given)
    drawn = given[:5_000]
    began = time.process_time()
    for row in drawn:
        export._draw_one(row)
    figures["a row, export on, drawn beside the requests"] = (time.process_time() - began) / len(drawn) * 1e6
    spans = list(export._outbox._waiting) if export._outbox else []
    began = time.process_time()
    for start in range(0, len(spans), BATCH):
        encode_spans(spans[start : start + BATCH]).SerializeToString()
    figures["a row, export on, encoded beside the requests"] = (time.process_time() - began) / len(drawn) * 1e6
    if options.parse_args().json:
        print(json.dumps({name: round(value, 2) for name, value in figures.items()}, indent=2))
        return
    for name, value in figures.items():
        print(f"{name:47s} {value:9.2f} us")


if __name__ == "__main__":
    main()
