"""What operators watch: Prometheus metrics with closed label sets, and logs. No user, key or text in either."""

from __future__ import annotations

import logging
import sys

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from router.domain import Outcome

_OVERHEAD_BUCKETS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_LATENCY_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Telemetry:
    """The gateway's counters. Models and routes are named as in the policy; anything else is `other`."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._requests = Counter(
            "signalbox_requests", "Requests answered.", ("route", "model", "status"), registry=registry
        )
        self._cache = Counter("signalbox_cache", "Cache verdicts.", ("verdict",), registry=registry)
        self._tokens = Counter("signalbox_tokens", "Tokens billed.", ("model", "kind"), registry=registry)
        self._spend = Counter(
            "signalbox_spend_usd", "Dollars spent, where prices are known.", ("model",), registry=registry
        )
        self._overhead = Histogram(
            "signalbox_overhead_seconds", "Time added by the gateway.", buckets=_OVERHEAD_BUCKETS, registry=registry
        )
        self._latency = Histogram(
            "signalbox_request_seconds", "Time from request to last byte.", buckets=_LATENCY_BUCKETS, registry=registry
        )
        self._attempts = Counter(
            "signalbox_upstream_failures", "Upstream calls that failed.", ("model", "code"), registry=registry
        )
        self.dropped = Counter("signalbox_ledger_dropped", "Ledger rows given up.", registry=registry)
        self.judge_failures = Counter("signalbox_judge_failures", "Assessments that failed.", registry=registry)
        self.condition_errors = Gauge(
            "signalbox_condition_errors", "Conditions of the policy in use that erred.", registry=registry
        )
        self.in_flight = Gauge("signalbox_requests_in_flight", "Requests being answered.", registry=registry)

    def count(self, outcome: Outcome) -> None:
        """Counts one outcome, at its end."""
        model = outcome.model or "none"
        if outcome.purpose == "attempt":
            self._attempts.labels(model, outcome.error_code or "none").inc()
            return
        self._requests.labels(outcome.route or "none", model, str(outcome.status)).inc()
        self._cache.labels(outcome.cache).inc()
        self._overhead.observe(outcome.overhead_ms / 1000)
        self._latency.observe(outcome.latency_ms / 1000)
        if outcome.cache != "hit" and outcome.usage.input + outcome.usage.output:
            self._tokens.labels(model, "input").inc(outcome.usage.input)
            self._tokens.labels(model, "output").inc(outcome.usage.output)
            if outcome.cost_nano:
                self._spend.labels(model).inc(outcome.cost_nano / 1e9)

    def page(self) -> bytes:
        """The text that `/metrics` answers."""
        return generate_latest(self.registry)


def set_up_logging(level: str) -> None:
    """Plain lines on stderr, one for each event; called once by the command, never on import."""
    logging.basicConfig(
        stream=sys.stderr, level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    logging.getLogger("uvicorn.access").disabled = True
    logging.getLogger("alembic").setLevel(logging.WARNING)  # lists its plugins whenever a schema is looked at
