"""The ledger rows of calls within a request: failed attempts, and what a plan or an audit asked beside the answer."""

from __future__ import annotations

from collections.abc import Mapping

from router.domain import ModelSpec, Outcome, OutcomeKind, Purpose, RetrieverSpec
from router.errors import UpstreamTimeout
from router.plans.contract import CUT_SHORT, FailedAttempt, InnerCall
from router.prices import cost_nano

KIND_BY_FAULT: Mapping[str, OutcomeKind] = {
    "caller": "caller_error",
    "policy": "refused",
    "upstream": "upstream_error",
    "gateway": "gateway_error",
}


def attempt_row(parent: Outcome, name: int | str, attempt: FailedAttempt) -> Outcome:
    """The row of a call that brought nothing. name: what its id ends with."""
    error = attempt.error
    row = _under(parent, str(name), attempt.model, "attempt", attempt.at_unix, attempt.seconds, error.status)
    row.outcome, row.error_code, row.fault = "upstream_error", error.code, error.fault
    row.cost_nano = attempt_nano(attempt)
    if attempt.usage is not None:
        row.usage, row.price = attempt.usage, attempt.model.price
    return row


def inner_row(parent: Outcome, name: int | str, call: InnerCall) -> Outcome:
    """The row of a call whose answer did not go out as it was. name: what its id ends with."""
    row = _under(parent, str(name), call.called, call.purpose, call.at_unix, call.seconds, call.status)
    row.finish_reason = call.finish_reason
    if call.error is not None:
        row.outcome = KIND_BY_FAULT[call.error.fault]
        row.error_code, row.fault = call.error.code, call.error.fault
    elif call.status == CUT_SHORT:
        row.outcome = "client_closed"
    if call.usage is not None:
        row.usage = call.usage
    row.cost_nano = inner_nano(call)
    if isinstance(call.called, ModelSpec):
        row.price = call.called.price
    return row


def attempt_nano(attempt: FailedAttempt) -> int | None:
    """What a call that brought nothing cost, in nano-dollars: nothing, unless its answer had begun."""
    return 0 if attempt.usage is None else cost_nano(attempt.usage, attempt.model.price)


def inner_nano(call: InnerCall) -> int | None:
    """What an inner call cost, in nano-dollars; None where its model's price is unknown.

    A retriever is paid for what it answered, and taken to be for what it was not given the time to answer.
    """
    if isinstance(call.called, RetrieverSpec):
        is_paid = call.error is None or call.status == 200 or isinstance(call.error, UpstreamTimeout)
        return round(call.called.price * 1e9) if is_paid else 0
    return 0 if call.usage is None else cost_nano(call.usage, call.called.price)


def _under(
    parent: Outcome,
    name: str,
    called: ModelSpec | RetrieverSpec,
    purpose: Purpose,
    at_unix: float,
    seconds: float,
    status: int,
) -> Outcome:
    """A row of its own under a request, for one call."""
    model = called if isinstance(called, ModelSpec) else None
    return Outcome(
        f"{parent.request_id}.{name}",
        at_unix,
        parent.tenant,
        parent.key,
        purpose=purpose,
        parent_id=parent.request_id,
        traceparent=parent.traceparent,
        route=parent.route,
        policy=parent.policy,
        plan=parent.plan,
        rule=parent.rule,
        model=called.name,
        upstream_model=model.model if model else None,
        provider=model.provider if model else "retriever",
        tier=model.tier if model else None,
        stream=parent.stream,
        status=status,
        attempts=1,
        baseline_nano=0,
        always_small_nano=0,
        latency_ms=seconds * 1000,
        overhead_ms=0.0,
    )
