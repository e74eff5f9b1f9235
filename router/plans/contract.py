"""What a plan is given and what it gives back. The pipeline hands a request over and relays whatever comes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from msgspec import Struct

from router.ask import BYTES_PER_TOKEN
from router.body import Body
from router.domain import Decision, ModelSpec, Purpose, RetrieverSpec, RuleTrace, Usage
from router.errors import RequestError, UpstreamError
from router.upstream.contract import Answer

CUT_SHORT = 499
"""The status of an inner call that was broken off since nobody needed its answer any more."""


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """One upstream call that brought nothing: a ledger row of its own under the request.

    usage: an estimate, for an answer that had begun and broke off; None where nothing was billed.
    """

    model: ModelSpec
    error: UpstreamError
    at_unix: float
    seconds: float
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class InnerCall:
    """One call within a request whose answer did not go out as it was: a ledger row of its own under the request.

    called: the model, or the retriever. usage: None where nothing was billed by tokens (a retriever, a failed call); a
    model's answer without counts carries an estimate that is marked as one. status: the upstream's, or
    `CUT_SHORT`.
    """

    purpose: Purpose
    called: ModelSpec | RetrieverSpec
    at_unix: float
    seconds: float
    status: int = 200
    usage: Usage | None = None
    error: RequestError | None = None
    finish_reason: str | None = None


@dataclass(slots=True)
class Work:
    """One decided request. What stands below `retrievers` is filled in by whoever calls upstream, but for input_tokens:
    an estimate of what `body` has.

    inner: calls whose answers did not go out as they were, in the order in which they ended.
    calling: the model a call is open to that has not answered yet; still set when the caller left meanwhile.
    called: when the last call began, by `time.perf_counter()`.
    told: what the plan decided on its way, for the trace of rules.
    held: the answer's head went out before it was known who answers; answered_by says so once it is.
    waiting, waiting_since: calls that are waited for at once; their time counts once, see `router.plans.inner`.
    """

    request_id: str
    body: Body
    stream: bool
    headers: Mapping[str, str]
    decision: Decision
    models: Mapping[str, ModelSpec]
    retrievers: Mapping[str, RetrieverSpec] = field(default_factory=dict)
    inner: list[InnerCall] = field(default_factory=list)
    failed: list[FailedAttempt] = field(default_factory=list)
    upstream_seconds: float = 0.0
    calling: ModelSpec | None = None
    called: float | None = None
    input_tokens: int = 0
    told: list[RuleTrace] = field(default_factory=list)
    held: bool = False
    answered_by: ModelSpec | None = None
    waiting: int = 0
    waiting_since: float = 0.0

    def ask_instead(self, body: Body) -> None:
        """From now on this is what is asked: the caller's body with something put into it, or as it was."""
        grown = int((len(body.text) - len(self.body.text)) / BYTES_PER_TOKEN)
        self.body, self.input_tokens = body, self.input_tokens + grown


class Served(Struct, frozen=True):
    """The model that answers, and its answer, not yet read. release: to be called when the answer is closed."""

    model: ModelSpec
    answer: Answer
    release: Callable[[], None]

    async def aclose(self) -> None:
        """Closes the answer; before its end that breaks the upstream off."""
        try:
            await self.answer.aclose()
        finally:
            self.release()


class Plan(Protocol):
    """Carries a decision out. Raises the last UpstreamError where every model of the decision failed."""

    async def __call__(self, work: Work) -> Served: ...
