"""Every metric of `/metrics` in one table: its name, its kind, its labels, what it says. Values come from elsewhere.

Names begin with `signalbox_` and end in their base unit (Prometheus's conventions). Labels are closed sets: names of
the policy, codes of `router.errors`, words listed here. No user, key, tenant or path is ever one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from router import errors

OTHER, NOBODY = "other", "none"
"""A name that no policy knows (or one too many); no name at all: nobody answered, or no route was asked for."""

TOKEN_KINDS = ("input", "cache_read", "cache_write", "output")
"""Disjoint, so that they add up: `input` is what no prompt cache served."""

RESULTS = ("ok", "refused", "caller_left", "broke_off", "failed")
"""How a call to a model ends: answered; answered with a 4xx that was passed on; the caller left; the answer broke off
after it had begun; no answer (a retry or a fallback follows, where there is one)."""

AUDIT_RESULTS = ("labelled", "reviewed", "overflowed", "over_budget", "failed", "unread")
LABEL_SOURCES = ("verifier", "user", "judge", "implicit")
CHECK_RESULTS = ("failed", "passed", "unread", "overflowed")
ENCODER_RESULTS = ("answered", "late", "busy", "failed", "resting", "missing")
"""What came of an ask of the encoder: an answer, or one of the troubles of `router.aside`."""

BREAKER_STATES = ("closed", "half_open", "open")
SIGNALS = ("traces", "metrics")

_MORE_CODES = (
    "duplicate_key",
    "invalid_host",
    "invalid_http",
    "invalid_json",
    "missing_host",
    "unsupported_address",
    "unsupported_encoding",
)
"""Codes that are given where an error is raised, not by its class."""


def _faults(base: type[errors.RequestError]) -> set[tuple[str, str]]:
    return {(base.fault, base.default_code)}.union(*(_faults(child) for child in base.__subclasses__()))


FAULTS = tuple(sorted(_faults(errors.RequestError)))
"""Whose fault an error is, with its code."""

ERROR_CODES = frozenset({*(code for _, code in FAULTS), *_MORE_CODES})


@dataclass(frozen=True, slots=True)
class Metric:
    """One name of `/metrics`; counters end in `_total`, histograms add `_bucket`, `_sum` and `_count` to theirs."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    says: str
    labels: tuple[str, ...] = ()
    across: Literal["sum", "min", "max"] = "sum"
    """What several worker processes together make of it."""


def _counter(name: str, says: str, *labels: str) -> Metric:
    return Metric(name, "counter", says, labels)


def _gauge(name: str, says: str, *labels: str, across: Literal["sum", "min", "max"] = "max") -> Metric:
    return Metric(name, "gauge", says, labels, across)


def _histogram(name: str, says: str, *labels: str) -> Metric:
    return Metric(name, "histogram", says, labels)


REQUESTS = _counter("signalbox_requests_total", "Requests answered.", "route", "model", "status")
ERRORS = _counter("signalbox_request_errors_total", "Requests that ended in an error.", "fault", "code")
TURNED_AWAY = _counter(
    "signalbox_turned_away_total", "Chat requests that were not accepted, so have no ledger row.", "code"
)
CALLERS_LEFT = _counter("signalbox_callers_left_total", "Requests whose callers left before the end.", "route")
DECISIONS = _counter("signalbox_decisions_total", "Requests by the rule that decided.", "route", "rule")
CACHE = _counter("signalbox_cache_total", "What the exact cache said.", "verdict")
TOKENS = _counter("signalbox_tokens_total", "Tokens billed; the kinds are disjoint.", "model", "kind")
REASONING = _counter("signalbox_reasoning_tokens_total", "Of the output tokens, those spent on reasoning.", "model")
SPEND = _counter("signalbox_spend_usd_total", "Dollars spent, where prices are known.", "model")
BASELINE = _counter(
    "signalbox_baseline_usd_total", "Dollars that the same tokens cost at the route's baseline.", "model"
)
UNPRICED = _counter("signalbox_unpriced_total", "Calls whose price is not known.", "model")
ATTEMPTS = _counter("signalbox_upstream_attempts_total", "Upstream calls by how they ended.", "model", "result")
FAILURES = _counter("signalbox_upstream_failures_total", "Upstream calls that brought no answer.", "model", "code")
OVERHEAD = _histogram("signalbox_overhead_seconds", "Time added by the gateway.")
DURATION = _histogram("signalbox_request_seconds", "Time from request to last byte.", "model", "cache")
FIRST_TOKEN = _histogram(
    "signalbox_time_to_first_token_seconds", "Time from request to first byte of streams that a model answers.", "model"
)
IN_FLIGHT = _gauge("signalbox_requests_in_flight", "Requests being answered.", across="sum")
JUDGE_FAILURES = _counter("signalbox_judge_failures_total", "Assessments that failed or were slow.")
JUDGE_FALLBACKS = _counter("signalbox_judge_fallbacks_total", "Requests decided without an assessment.")
ENCODER_ASKS = _counter(
    "signalbox_encoder_asks_total",
    "Asks of the encoder by what came of them; fast answered all but `answered`.",
    "result",
)
CONDITION_ERRORS = _counter(
    "signalbox_condition_errors_total", "Conditions of the policy in use that erred.", "route", "rule"
)
POLICY_RELOADS = _counter("signalbox_policy_reloads_total", "Looks at a changed policy file.", "result")
POLICY = _gauge("signalbox_policy_info", "The policy in use; always 1.", "name", "digest")
CLASSIFIER = _gauge("signalbox_classifier_info", "The classifier in use; always 1.", "classifier")
BUILD = _gauge("signalbox_build_info", "What runs; always 1.", "version", "python")
PART_WELL = _gauge(
    "signalbox_part_well", "1 while a part is well, 0 while the gateway does without it.", "part", across="min"
)
BREAKER = _gauge("signalbox_breaker_state", "1 for the state that a model's breaker is in.", "model", "state")
LIMITS_REFUSED = _counter(
    "signalbox_limits_refused_total", "Times a limit left no room: for a request, or for one model.", "limit", "bound"
)
LIMITS_ALONE = _counter(
    "signalbox_limits_alone_total", "Requests that this process counted by itself, Redis being away."
)
LIMITS_WAITING = _gauge(
    "signalbox_limits_waiting", "Accounts of requests that Redis has not been told of yet.", across="sum"
)
LIMITS_DROPPED = _counter("signalbox_limits_dropped_total", "Accounts of requests that Redis will never be told of.")
AUDITS = _counter("signalbox_audits_total", "Requests drawn for an audit, by what became of them.", "result")
LABELS = _counter("signalbox_labels_total", "Labels kept, by who they are of.", "source")
ANSWER_CHECKS = _counter(
    "signalbox_answer_checks_total", "Answers held against form or expectation, by what became of them.", "result"
)
RISK_BOUND = _gauge(
    "signalbox_risk_bound", "Upper bound of the quality that a rule with a `max_risk` loses.", "route", "rule"
)
RISK_PAIRS = _gauge("signalbox_risk_pairs", "Audited requests that the bound is of.", "route", "rule", across="min")
RISK_PROVEN = _gauge(
    "signalbox_risk_proven", "1 while `max_risk` is proven, 0 while the baseline serves.", "route", "rule", across="min"
)
DRIFT_ALARM = _gauge("signalbox_drift_alarm", "1 for a part of the traffic that drifted, by the last look.", "part")
DRIFT_INDEX = _gauge(
    "signalbox_drift_index",
    "How far a part moved: stability index of features, tasks and score, difference of means of labels and gain.",
    "part",
)
DRIFT_LOOKED = _gauge("signalbox_drift_looked_timestamp_seconds", "When signalbox watch last looked at drift.")
CANARY_SHARE = _gauge(
    "signalbox_judge_canary_share", "Share of the conversations that a canary of the judge judges.", "classifier"
)
LEDGER_WRITTEN = _counter("signalbox_ledger_written_total", "Ledger rows written.")
LEDGER_DROPPED = _counter("signalbox_ledger_dropped_total", "Ledger rows given up.")
LEDGER_WAITING = _gauge("signalbox_ledger_waiting", "Ledger rows that wait to be written.", across="sum")
OTLP_SENT = _counter("signalbox_otlp_sent_total", "Spans and metric batches that the collector took.", "signal")
OTLP_DROPPED = _counter("signalbox_otlp_dropped_total", "Spans and metric batches given up.", "signal")

METRICS: dict[str, Metric] = {metric.name: metric for metric in list(globals().values()) if isinstance(metric, Metric)}
"""All of ours. `process_*` (memory, CPU, descriptors) come from the Prometheus client itself."""
