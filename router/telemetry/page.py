"""The text of `/metrics`, made when asked for: counts and vitals, given their names. Alone in knowing the client."""

from __future__ import annotations

import platform
from collections import Counter as Sums
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

import router.telemetry.names as names
from router import __version__
from router.telemetry.counts import Cell, Counts, Histogram
from router.telemetry.names import NOBODY, Metric
from router.telemetry.vitals import Vitals

Labels = tuple[str, ...]

_RESULTS = {"ok": "ok", "client_closed": "caller_left", "caller_error": "refused"}


class Page(Collector):
    """Everything that one gateway process tells Prometheus. vitals: called at each scrape; None until it can be."""

    def __init__(
        self,
        counts: Counts,
        in_flight: Callable[[], int],
        vitals: Callable[[], Vitals | None],
        exported: Callable[[], tuple[Mapping[str, int], Mapping[str, int]]],
    ):
        self._counts, self._in_flight, self._vitals, self._exported = counts, in_flight, vitals, exported
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """Prometheus's text format, version 0.0.4."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Family]:
        """The families, for the client's registry."""
        vitals = self._vitals()
        yield from _requests(self._counts, vitals.breakers if vitals else ())
        yield _gauge(names.IN_FLIGHT, {(): self._in_flight()})
        yield _gauge(names.BUILD, {(__version__, platform.python_version()): 1})
        sent, dropped = self._exported()
        yield _counter(names.OTLP_SENT, {(signal,): count for signal, count in sent.items()})
        yield _counter(names.OTLP_DROPPED, {(signal,): count for signal, count in dropped.items()})
        if vitals is not None:
            yield from _parts(vitals)


def _requests(counts: Counts, models: Iterable[str]) -> Iterator[Family]:
    """models: of the policy. What alerts watch for is there at 0 from the start, else its first time went unseen."""
    cells = counts.cells
    chats = [cell for cell in cells if cell.kind.purpose == "chat"]
    billed = [cell for cell in cells if cell.kind.purpose != "attempt" and cell.kind.cache != "hit"]
    yield _counter(names.REQUESTS, _summed(chats, lambda of: (of.kind.route, of.kind.model, str(of.kind.status))))
    failed = [of for of in chats if of.kind.fault]
    errors = _summed(failed, lambda of: (of.kind.fault or NOBODY, of.kind.code or NOBODY))
    yield _counter(names.ERRORS, {**dict.fromkeys(names.FAULTS, 0.0), **errors})
    left = [of for of in chats if of.kind.outcome == "client_closed"]
    yield _counter(names.CALLERS_LEFT, _summed(left, lambda of: (of.kind.route,)))
    yield _counter(names.TURNED_AWAY, {(code,): count for code, count in counts.turned_away.items()})
    yield _counter(names.DECISIONS, _summed(chats, lambda of: (of.kind.route, of.kind.rule)))
    yield _counter(names.CACHE, _summed(chats, lambda of: (of.kind.cache,)))
    tokens: Sums[Labels] = Sums()
    for of in billed:
        spent = (of.uncached_input, of.cache_read, of.cache_write, of.output)
        if any(spent):
            tokens.update({(of.kind.model, kind): count for kind, count in zip(names.TOKEN_KINDS, spent, strict=True)})
    yield _counter(names.TOKENS, tokens)
    served = [of for of in billed if of.kind.model != NOBODY]
    yield _counter(names.REASONING, _summed(served, lambda of: (of.kind.model,), lambda of: of.reasoning))
    yield _counter(names.SPEND, _dollars(_summed(served, lambda of: (of.kind.model,), lambda of: of.nano)))
    answered = [of for of in chats if of.kind.model != NOBODY]
    yield _counter(
        names.BASELINE, _dollars(_summed(answered, lambda of: (of.kind.model,), lambda of: of.baseline_nano))
    )
    unpriced = _summed(served, lambda of: (of.kind.model,), lambda of: of.unpriced)
    yield _counter(names.UNPRICED, {**{(model,): 0.0 for model in models}, **unpriced})
    attempts = [of for of in cells if of.kind.purpose == "attempt"]
    yield _counter(names.ATTEMPTS, _summed([*served, *attempts], lambda of: (of.kind.model, _result(of))))
    yield _counter(names.FAILURES, _summed(attempts, lambda of: (of.kind.model, of.kind.code or NOBODY)))
    yield _histogram(names.OVERHEAD, {(): counts.overhead})
    yield _histogram(names.DURATION, dict(counts.duration.items()))
    yield _histogram(names.FIRST_TOKEN, {(model,): observed for model, observed in counts.first_token.items()})
    yield _counter(names.JUDGE_FALLBACKS, {(): sum(of.count for of in chats if of.kind.unjudged)})


def _result(of: Cell) -> str:
    """One of `names.RESULTS`."""
    if of.kind.purpose == "attempt":
        return "failed"
    return _RESULTS.get(of.kind.outcome, "broke_off")


def _parts(vitals: Vitals) -> Iterator[Family]:
    yield _gauge(names.POLICY, {(vitals.policy_name, vitals.policy_digest): 1})
    yield _gauge(names.CLASSIFIER, {(vitals.classifier,): 1})
    yield _gauge(names.PART_WELL, {(part,): int(well) for part, well in vitals.parts.items()})
    yield _gauge(
        names.BREAKER,
        {(model, state): int(state == now) for model, now in vitals.breakers.items() for state in names.BREAKER_STATES},
    )
    yield _counter(names.CONDITION_ERRORS, dict(vitals.condition_errors.items()))
    yield _counter(names.POLICY_RELOADS, {("ok",): vitals.policy_reloads, ("failed",): vitals.policy_refusals})
    yield _counter(names.JUDGE_FAILURES, {(): vitals.judge_failures})
    yield _counter(names.LEDGER_WRITTEN, {(): vitals.ledger_written})
    yield _counter(names.LEDGER_DROPPED, {(): vitals.ledger_dropped})
    yield _gauge(names.LEDGER_WAITING, {(): vitals.ledger_waiting})


def _summed(
    cells: Iterable[Cell], labels: Callable[[Cell], Labels], of: Callable[[Cell], int] = lambda cell: cell.count
) -> dict[Labels, float]:
    sums: dict[Labels, float] = {}
    for cell in cells:
        key = labels(cell)
        sums[key] = sums.get(key, 0) + of(cell)
    return sums


def _dollars(nano: Mapping[Labels, float]) -> dict[Labels, float]:
    return {labels: amount / 1e9 for labels, amount in nano.items()}


def _counter(metric: Metric, values: Mapping[Labels, float]) -> Family:
    family = CounterMetricFamily(metric.name, metric.says, labels=metric.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def _gauge(metric: Metric, values: Mapping[Labels, float]) -> Family:
    family = GaugeMetricFamily(metric.name, metric.says, labels=metric.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def _histogram(metric: Metric, values: Mapping[Labels, Histogram]) -> Family:
    family = HistogramMetricFamily(metric.name, metric.says, labels=metric.labels)
    for labels, observed in values.items():
        ends = [*(repr(float(bound)) for bound in observed.bounds), "+Inf"]
        family.add_metric(labels, list(zip(ends, accumulate(observed.counts), strict=True)), observed.total)
    return family
