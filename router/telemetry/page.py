"""The text of `/metrics`, made when asked for: counts and vitals, given their names. Alone in knowing the client."""

from __future__ import annotations

import platform
from collections import Counter as Sums
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

import router.telemetry.names as names
from router import __version__
from router.telemetry.counts import Cell, Counts, Histogram
from router.telemetry.names import NOBODY, Metric
from router.telemetry.siblings import Labels, Siblings, Values
from router.telemetry.vitals import Vitals

Figures = Mapping[Any, Any]
"""Numbers or histograms by the values of a metric's labels."""

_FAMILIES: dict[str, Any] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
}

_RESULTS = {"ok": "ok", "client_closed": "caller_left", "caller_error": "refused"}


class Page(Collector):
    """Everything that one gateway process tells Prometheus. vitals: called at each scrape; None until it can be."""

    def __init__(
        self,
        counts: Counts,
        in_flight: Callable[[], int],
        vitals: Callable[[], Vitals | None],
        exported: Callable[[], tuple[Mapping[str, int], Mapping[str, int]]],
        siblings: Siblings | None = None,
    ):
        self._siblings = siblings
        self._counts, self._in_flight, self._vitals, self._exported = counts, in_flight, vitals, exported
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """Prometheus's text format, version 0.0.4."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Family]:
        """The families, for the client's registry."""
        values = self.values()
        if self._siblings is not None:
            self._siblings.share(values)
            values = self._siblings.with_others(values)
        for name, of in values.items():
            yield _family(names.METRICS[name], of)

    def share(self) -> None:
        """Leaves this process's figures for the other workers, where there are others."""
        if self._siblings is not None:
            self._siblings.share(self.values())

    def values(self) -> Values:
        """What this process alone has to tell."""
        return {metric.name: dict(of) for metric, of in self._values()}

    def _values(self) -> Iterator[tuple[Metric, Figures]]:
        vitals = self._vitals()
        yield from _requests(self._counts, vitals.breakers if vitals else ())
        yield names.IN_FLIGHT, {(): self._in_flight()}
        yield names.BUILD, {(__version__, platform.python_version()): 1}
        sent, dropped = self._exported()
        yield names.OTLP_SENT, {(signal,): count for signal, count in sent.items()}
        yield names.OTLP_DROPPED, {(signal,): count for signal, count in dropped.items()}
        if vitals is not None:
            yield from _parts(vitals)


def _requests(counts: Counts, models: Iterable[str]) -> Iterator[tuple[Metric, Figures]]:
    """models: of the policy. What alerts watch for is there at 0 from the start, else its first time went unseen."""
    cells = counts.cells
    chats = [cell for cell in cells if cell.kind.purpose == "chat"]
    billed = [cell for cell in cells if cell.kind.purpose != "attempt" and cell.kind.cache != "hit"]
    yield names.REQUESTS, _summed(chats, lambda of: (of.kind.route, of.kind.model, str(of.kind.status)))
    failed = [of for of in chats if of.kind.fault]
    errors = _summed(failed, lambda of: (of.kind.fault or NOBODY, of.kind.code or NOBODY))
    yield names.ERRORS, {**dict.fromkeys(names.FAULTS, 0.0), **errors}
    left = [of for of in chats if of.kind.outcome == "client_closed"]
    yield names.CALLERS_LEFT, _summed(left, lambda of: (of.kind.route,))
    yield names.TURNED_AWAY, {(code,): count for code, count in counts.turned_away.items()}
    yield names.DECISIONS, _summed(chats, lambda of: (of.kind.route, of.kind.rule))
    yield names.CACHE, _summed(chats, lambda of: (of.kind.cache,))
    tokens: Sums[Labels] = Sums()
    for of in billed:
        spent = (of.uncached_input, of.cache_read, of.cache_write, of.output)
        if any(spent):
            tokens.update({(of.kind.model, kind): count for kind, count in zip(names.TOKEN_KINDS, spent, strict=True)})
    yield names.TOKENS, tokens
    served = [of for of in billed if of.kind.model != NOBODY]
    yield names.REASONING, _summed(served, lambda of: (of.kind.model,), lambda of: of.reasoning)
    yield names.SPEND, _dollars(_summed(served, lambda of: (of.kind.model,), lambda of: of.nano))
    answered = [of for of in chats if of.kind.model != NOBODY]
    yield names.BASELINE, _dollars(_summed(answered, lambda of: (of.kind.model,), lambda of: of.baseline_nano))
    unpriced = _summed(served, lambda of: (of.kind.model,), lambda of: of.unpriced)
    yield names.UNPRICED, {**{(model,): 0.0 for model in models}, **unpriced}
    attempts = [of for of in cells if of.kind.purpose == "attempt"]
    yield names.ATTEMPTS, _summed([*served, *attempts], lambda of: (of.kind.model, _result(of)))
    yield names.FAILURES, _summed(attempts, lambda of: (of.kind.model, of.kind.code or NOBODY))
    yield names.OVERHEAD, {(): counts.overhead}
    yield names.DURATION, counts.duration
    yield names.FIRST_TOKEN, {(model,): observed for model, observed in counts.first_token.items()}
    yield names.JUDGE_FALLBACKS, {(): sum(of.count for of in chats if of.kind.unjudged)}


def _result(of: Cell) -> str:
    """One of `names.RESULTS`."""
    if of.kind.purpose == "attempt":
        return "failed"
    return _RESULTS.get(of.kind.outcome, "broke_off")


def _parts(vitals: Vitals) -> Iterator[tuple[Metric, Figures]]:
    yield names.POLICY, {(vitals.policy_name, vitals.policy_digest): 1}
    yield names.CLASSIFIER, {(vitals.classifier,): 1}
    yield names.PART_WELL, {(part,): int(well) for part, well in vitals.parts.items()}
    yield (
        names.BREAKER,
        {(model, state): int(state == now) for model, now in vitals.breakers.items() for state in names.BREAKER_STATES},
    )
    yield names.CONDITION_ERRORS, vitals.condition_errors
    yield names.POLICY_RELOADS, {("ok",): vitals.policy_reloads, ("failed",): vitals.policy_refusals}
    yield names.JUDGE_FAILURES, {(): vitals.judge_failures}
    yield names.ENCODER_ASKS, {(result,): vitals.encoder_asks.get(result, 0) for result in names.ENCODER_RESULTS}
    yield names.LIMITS_REFUSED, vitals.limits_refused
    yield names.LIMITS_ALONE, {(): vitals.limits_alone}
    yield names.LIMITS_WAITING, {(): vitals.limits_waiting}
    yield names.LIMITS_DROPPED, {(): vitals.limits_dropped}
    yield names.AUDITS, {(result,): vitals.audits.get(result, 0) for result in names.AUDIT_RESULTS}
    yield names.LABELS, {(source,): vitals.labels.get(source, 0) for source in names.LABEL_SOURCES}
    yield names.ANSWER_CHECKS, {(result,): vitals.checks.get(result, 0) for result in names.CHECK_RESULTS}
    yield names.RISK_BOUND, {of: bound for of, (bound, _, _) in vitals.risks.items()}
    yield names.RISK_PAIRS, {of: pairs for of, (_, pairs, _) in vitals.risks.items()}
    yield names.RISK_PROVEN, {of: int(proven) for of, (_, _, proven) in vitals.risks.items()}
    yield names.DRIFT_ALARM, {(part,): int(alarm) for part, (alarm, _moved) in vitals.drift.items()}
    moves = {(part,): moved for part, (_alarm, moved) in vitals.drift.items() if moved is not None}
    yield names.DRIFT_INDEX, moves
    yield names.DRIFT_LOOKED, {} if vitals.drift_looked_unix is None else {(): vitals.drift_looked_unix}
    yield names.CANARY_SHARE, {} if vitals.canary is None else {(vitals.canary[0],): vitals.canary[1]}
    yield names.LEDGER_WRITTEN, {(): vitals.ledger_written}
    yield names.LEDGER_DROPPED, {(): vitals.ledger_dropped}
    yield names.LEDGER_WAITING, {(): vitals.ledger_waiting}


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


def _family(metric: Metric, values: Mapping[Labels, float | Histogram]) -> Family:
    family = _FAMILIES[metric.kind](metric.name, metric.says, labels=metric.labels)
    made: Family = family
    for labels, value in values.items():
        if isinstance(value, Histogram):
            ends = [*(repr(float(bound)) for bound in value.bounds), "+Inf"]
            family.add_metric(labels, list(zip(ends, accumulate(value.counts), strict=True)), value.total)
        else:
            family.add_metric(labels, value)
    return made
