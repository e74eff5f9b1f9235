"""The ledger row of one request while it is being filled in: who asked, what was decided, what it cost.

The pipeline tells it what happens; at the end `close` turns it into outcomes (the request's own row, and one for
each upstream call that failed) with prices of the moment applied.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Mapping
from typing import Any

from classifiers.contract import Assessment
from router.ask import describe_ask
from router.asked import Asked
from router.audits.auditor import Sample
from router.body import Body
from router.conversations.conversations import FINGERPRINT
from router.domain import (
    NOTHING_USED,
    Ask,
    CacheVerdict,
    Caller,
    ModelSpec,
    Outcome,
    RuleTrace,
    Usage,
    Verdict,
)
from router.errors import Draining, RequestError
from router.inner_rows import KIND_BY_FAULT, attempt_nano, attempt_row, inner_nano, inner_row
from router.limits.account import Account
from router.plans.contract import FailedAttempt, InnerCall, Work
from router.policy.compiled import Policy, Route
from router.prices import cost_nano
from router.shadowing import Shadow

_REQUEST_ID = re.compile("req_([0-9a-f]{12})[0-9a-f]{20}", re.ASCII)
_RECENT_SECONDS = 900.0
"""Longer than any answer takes by default (`Timeouts.total`)."""


def new_request_id() -> str:
    """`req_`, 48 bits of time in milliseconds, 80 random bits: sorts by time, cannot be guessed (as UUIDv7 does)."""
    return f"req_{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}"


def is_request_id(text: str) -> bool:
    """Whether this is an id as we make them; no other can be in the ledger."""
    return _REQUEST_ID.fullmatch(text) is not None


def is_recent(request_id: str) -> bool:
    """Whether an id of ours was made so lately that its row may still be on its way."""
    match = _REQUEST_ID.fullmatch(request_id)
    return match is not None and abs(time.time() - int(match[1], 16) / 1000) < _RECENT_SECONDS


def made_unix(request_id: str) -> float | None:
    """When an id of ours was made, in unix seconds; None for any other."""
    match = _REQUEST_ID.fullmatch(request_id)
    return None if match is None else int(match[1], 16) / 1000


class Entry:
    """One open row. Times are taken from `time.perf_counter()`, in seconds; `received` is when the body was whole."""

    def __init__(self, request_id: str, caller: Caller, received: float, *, stream: bool = False):
        self.row = Outcome(request_id, time.time(), caller.tenant, caller.key, stream=stream)
        self.verifies = caller.verifies
        self.upstream_seconds = 0.0
        self._received = received
        self._policy: Policy | None = None
        self.ask: Ask | None = None
        self._served: ModelSpec | None = None
        self._baseline: ModelSpec | None = None
        self._failed: list[FailedAttempt] = []
        self._told: list[RuleTrace] = []
        self._held: Work | None = None
        self._work: Work | None = None
        self.inner: list[InnerCall] = []
        """Calls within this request that are billed apart; whoever makes them adds to it until the journey ends."""
        self.account: Account | None = None
        """With the limits of its policy, where it has any."""
        self.unproven: str | None = None
        """The model that the rule would have taken, were its `max_risk` proven."""
        self.sample: Sample | None = None
        """Set where the request was drawn for an audit."""
        self.shadow: Shadow | None = None
        """Set where another policy decides beside the one that ruled; it does so when the entry closes."""
        self.completion: dict[str, Any] | None = None
        """Of a plain answer, parsed already."""
        self.keeps_text = False
        self.checked = False
        """Whether the answer is to be looked at once it is out."""
        self._closed = False

    def asked(self, asked: Asked) -> None:
        """The request was understood: which policy and route it falls under, and what it asks."""
        row, policy, target, ask = self.row, asked.policy, asked.target, asked.ask
        self._policy, self.ask, self.account = policy, ask, asked.account
        row.policy = policy.label
        self.keeps_text = policy.log_text == "full" and not ask.private
        if isinstance(target, Route):
            row.route = target.name
            self._baseline = policy.models.get(target.baseline) if target.baseline else None

    def decided(self, ask: Ask, assessment: Assessment, verdict: Verdict) -> None:
        """Who should answer, and all that led there. Features of private asks are not kept.

        Time in which selectors were asked counts as waiting for an upstream.
        """
        row, decision = self.row, verdict.decision
        self.upstream_seconds += sum(call.seconds for call in self.inner)
        row.plan, row.rule, row.decided_model = decision.plan, decision.rule, decision.model
        self.unproven = decision.unproven
        row.probability, row.fallback = decision.probability, decision.fallback
        row.complexity, row.gain, row.support = assessment.complexity, assessment.gain, assessment.support
        row.task, row.language, row.quality = assessment.task, assessment.language, assessment.quality
        row.classifier = assessment.classifier
        row.eligible, row.rules = verdict.eligible, verdict.rules
        row.expected_cost_usd = verdict.expected_cost_usd
        if not ask.private and assessment.features is not None:
            row.features, row.features_digest = assessment.features, assessment.features_digest

    def called(self, work: Work) -> None:
        """How reaching upstream went, whether or not somebody answered.

        A call that the caller's leaving cut short counts as served: its prompt is taken as billed. Of a request that is
        held, who answers is known later.
        """
        self._failed, self._told = work.failed, work.told
        self._held, self._work = work if work.held else None, work
        self.upstream_seconds += work.upstream_seconds
        self.row.attempts = len(work.failed)
        if work.called is not None:
            self.row.called_ms = (work.called - self._received) * 1000
        if work.calling is not None:
            self.served_by(work.calling)
            self.billed(None, 0)

    def served_by(self, model: ModelSpec, *, from_cache: bool = False) -> None:
        """Who answers."""
        self._served, row = model, self.row
        row.model, row.upstream_model, row.provider, row.tier = model.name, model.model, model.provider, model.tier
        row.price = model.price
        if not from_cache:
            row.attempts += 1

    def cached(self, verdict: CacheVerdict) -> None:
        """What the cache said."""
        self.row.cache = verdict

    def began(self, status: int) -> None:
        """The answer's status is decided and its head is about to go out."""
        self.row.status = status
        self.row.overhead_ms = self.overhead_ms()

    def first_byte(self) -> None:
        """The first content byte went out."""
        if self.row.ttft_ms is None:
            self.row.ttft_ms = (time.perf_counter() - self._received) * 1000

    def overhead_ms(self) -> float:
        """Milliseconds since the request came in, less those spent waiting for an upstream."""
        return max(0.0, (time.perf_counter() - self._received - self.upstream_seconds) * 1000)

    def billed(self, usage: Usage | None, output_tokens_seen: int) -> None:
        """What the upstream counted; where it counted nothing, an estimate that is marked as one."""
        if usage is None:
            asked = self._work or self.ask
            input_tokens = asked.input_tokens if asked else 0
            usage = Usage(uncached_input=input_tokens, output=output_tokens_seen, estimated=True)
        if self._held is not None:
            self._served_late(self._held)
            usage = usage if self._served is not None else NOTHING_USED
        self.row.usage = usage
        self.row.cost_nano = None if self._served is None else cost_nano(usage, self._served.price)

    def _served_late(self, work: Work) -> None:
        """Who answers a request that was held, and what became of the calls since; nobody where none did."""
        row = self.row
        row.attempts, self._served = len(work.failed), None
        row.model = row.upstream_model = row.provider = row.tier = row.price = None
        if work.called is not None:
            row.called_ms = (work.called - self._received) * 1000
        if (model := work.answered_by or work.calling) is not None:
            self.served_by(model)

    def failed(self, error: RequestError) -> None:
        """The journey ended in an error."""
        if not self.row.status:
            self.began(error.status)
        self.row.outcome = KIND_BY_FAULT[error.fault]
        self.row.error_code, self.row.fault = error.code, error.fault

    def broke_off(self, *, caller_left: bool) -> None:
        """The journey was cancelled: the caller went away, or the gateway's grace was over. Who leaves because the
        answer failed did not break it off, and an answer that was whole can no more be broken."""
        if self._closed or self.row.outcome != "ok":
            return
        if caller_left:
            self.row.outcome, self.row.status = "client_closed", self.row.status or 499
        else:
            self.failed(Draining("The gateway stopped before the answer was whole."))

    def keep_text(self, request_text: str, response_text: str | None) -> None:
        """Keeps the texts; only called where the policy says so."""
        self.row.request_text, self.row.response_text = request_text, response_text

    def close(self) -> list[Outcome]:
        """The finished rows, once: the request's own first, then its failed upstream calls."""
        if self._closed:
            return []
        self._closed, row = True, self.row
        if self._held is not None and self._served is None:  # the caller left while it was held
            self.billed(None, 0)
        row.rules += tuple(self._told)
        row.latency_ms = (time.perf_counter() - self._received) * 1000
        if not row.status:
            row.status = 500
        if self.ask is not None:
            row.ask = describe_ask(self.ask, row.task or "unknown", row.language or "und")
        if row.cache == "hit" or self._served is None or not row.usage.input + row.usage.output:
            row.cost_nano = 0
        self._compare()
        if self.shadow is not None:
            self.shadow.cast(row)
        attempts = [attempt_row(row, number, attempt) for number, attempt in enumerate(self._failed, start=1)]
        inner = [inner_row(row, number, call) for number, call in enumerate(self.inner, start=1 + len(attempts))]
        return [row, *attempts, *inner]

    def spent_nano(self) -> int:
        """What the request cost so far with all its inner calls; unknown prices count nothing."""
        row = self.row
        own = 0 if row.cache == "hit" else row.cost_nano or 0
        broken = sum(attempt_nano(attempt) or 0 for attempt in self._failed)
        return own + broken + sum(inner_nano(call) or 0 for call in self.inner)

    def _compare(self) -> None:
        """What the same tokens would have cost at the baseline, and at the cheapest small model; errors cost 0."""
        row, policy = self.row, self._policy
        served_well = row.outcome in ("ok", "client_closed") and row.usage.input + row.usage.output
        if policy is None or self._served is None or not served_well:
            row.baseline_nano = row.always_small_nano = 0
            return
        baseline = self._baseline or self._served
        row.baseline_model = baseline.name
        row.baseline_nano = cost_nano(row.usage, baseline.price)
        row.always_small_nano = cost_nano(row.usage, (policy.cheapest_small or self._served).price)


def conversation_of(body: Body, headers: Mapping[str, str], tenant: str) -> str:
    """The conversation a request belongs to: as named by the caller, else a fingerprint of how it began."""
    named = headers.get("x-signalbox-conversation")
    metadata = body.values.get("metadata")
    if named is None and isinstance(metadata, dict):
        named = metadata.get("conversation_id")
    if isinstance(named, str) and named:
        return named[:128]
    beginning: list[Any] = []
    for message in body.values["messages"]:
        beginning.append(message.get("content"))
        if message.get("role") == "user":
            break
    text = repr((tenant, beginning)).encode("utf-8", "replace")
    return FINGERPRINT + hashlib.blake2b(text, digest_size=12).hexdigest()
