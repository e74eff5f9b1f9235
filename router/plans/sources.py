"""What a part of a plan is asked: the caller's body, with a retriever's passages before the ask where it has one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Protocol

from router.body import Body
from router.domain import ModelSpec, Part, RetrieverSpec, RuleTrace
from router.plans.contract import CUT_SHORT, InnerCall, Work
from router.plans.inner import waiting
from router.plans.passages import room_for_passages, with_passages
from router.plans.short_questions import last_user_text
from router.upstream.passages_told import Passage
from router.upstream.retriever import Retrieved


class Finds(Protocol):
    """`router.upstream.retriever.Retrievers`."""

    async def ask(self, retriever: RetrieverSpec, query: str, request_id: str) -> Retrieved: ...


class Sources:
    """A lost retriever never fails a request: the ask goes on without passages, and the ledger says why."""

    def __init__(self, retrievers: Finds):
        self._retrievers = retrievers

    async def ask_of(self, part: Part, work: Work) -> Body:
        """The body that this part's model is sent, but for what is spliced for every model."""
        if part.retriever is None:
            return work.body
        passages = await self.passages(part.retriever, work)
        return quoting(work.body, passages, work.models[part.model], work)

    async def passages(self, name: str, work: Work) -> Sequence[Passage]:
        """What a retriever finds for the last user turn. The call is a row under the request, also where it is cut."""
        retriever = work.retrievers[name]
        query = last_user_text(work.body.values)
        if not query:
            return ()
        at_unix, started = time.time(), time.perf_counter()
        with waiting(work):
            try:
                found = await self._retrievers.ask(retriever, query, work.request_id)
            except asyncio.CancelledError:
                seconds = time.perf_counter() - started
                work.inner.append(InnerCall("retrieve", retriever, at_unix, seconds, CUT_SHORT))
                raise
        call = InnerCall("retrieve", retriever, found.at_unix, found.seconds, found.status, error=found.error)
        work.inner.append(call)
        if not found.passages:
            why = "it found nothing" if found.error is None else found.error.code
            work.told.append(RuleTrace(work.decision.rule, True, f"no passages from {name}: {why}"))
        return found.passages


def quoting(body: Body, passages: Sequence[Passage], model: ModelSpec, work: Work) -> Body:
    """The body with as much of the passages as this model has room for."""
    if not passages:
        return body
    return with_passages(body, passages, room_for_passages(body, model, work.input_tokens))
