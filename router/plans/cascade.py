"""The plan `cascade`: a small model answers; where its answer is not to be trusted, the next one does.

The draft is read whole before a byte goes out, and goes out as it came. What the next one says streams straight on.
"""

from __future__ import annotations

import asyncio

from msgspec import structs

from classifiers.trust import SUREST, sureness
from classifiers.trust import drafted as trust_in
from router.domain import RuleTrace, Terms
from router.errors import UpstreamError
from router.plans.checks import first_failed, worth_giving
from router.plans.contract import Served, Work
from router.plans.heard import logprobs_of
from router.plans.inner import AskOf, Drafted, as_inner, as_served, changed, draft
from router.plans.logprobs import asks_for_them, without_them
from router.plans.reach import Reach
from router.plans.single import asked_in_turn

_CHECKED_ASIDE_BYTES = 64 * 1024
"""Longer answers are checked beside the event loop."""


class Cascade:
    """Asks the first part; then, where it must be, `then` and the decision's fallback in order."""

    def __init__(self, reach: Reach, ask_of: AskOf):
        self._reach, self._ask_of = reach, ask_of

    async def __call__(self, work: Work) -> Served:
        terms = work.decision.terms
        assert terms is not None and terms.then is not None
        first = work.models[terms.parts[0].model]
        with_tokens = terms.trust is not None and first.supports is not None and "logprobs" in first.supports
        if (most := _most(terms, with_tokens)) is not None:
            _tell(work, f"{terms.then} at once: {most}")
            return await self._escalated(work, terms)
        try:
            drafted = await self._drafted(work, terms, with_tokens)
        except UpstreamError as error:
            _tell(work, f"escalated to {terms.then}: {error.code}")
            return await self._escalated(work, terms)
        call = as_inner(drafted, "draft")
        work.inner.append(call)  # whatever happens from here on, it is paid for
        if (why := await _against(drafted, work, terms)) is None:
            work.inner.remove(call)
            _tell(work, f"accepted: the checks hold{_told_trust(drafted, terms)}")
            return as_served(drafted, work)
        _tell(work, f"escalated to {terms.then}: {why}")
        try:
            return await self._escalated(work, terms)
        except UpstreamError:
            if not worth_giving(drafted, work.body.values):
                raise
            work.inner.remove(call)
            _tell(work, "the first answer went out after all: nobody else answered")
            return as_served(drafted, work)

    async def _drafted(self, work: Work, terms: Terms, with_tokens: bool) -> Drafted:
        """The first part's answer, with the sureness of its tokens where that is known, and without what only we asked
        for."""
        [part] = terms.parts
        model = work.models[part.model]
        body = await self._ask_of(part, work)
        ours = with_tokens and not asks_for_them(body)
        if ours:
            body = changed(body, {"logprobs": "true"})
        drafted = await draft(self._reach, model, work, body=body, part=part)
        if not with_tokens or drafted.status != 200:
            return drafted
        sure = sureness(logprobs_of(drafted.completion))
        return structs.replace(
            drafted, confidence=sure, body=without_them(drafted.body, stream=drafted.stream) if ours else drafted.body
        )

    async def _escalated(self, work: Work, terms: Terms) -> Served:
        """The first of `then` and the fallback that answers. Raises the last UpstreamError.

        `then` may be the first part's own model, where that is asked with a retriever's passages first.
        """
        assert terms.then is not None
        others = [name for name in work.decision.fallback if name != terms.parts[0].model]
        return await asked_in_turn(self._reach, work, (terms.then, *others))


async def _against(drafted: Drafted, work: Work, terms: Terms) -> str | None:
    """Why an answer is not accepted; None where it is."""
    if drafted.status != 200:
        return f"the upstream refused with {drafted.status}"
    values = work.body.values
    if len(drafted.body) > _CHECKED_ASIDE_BYTES:
        failed = await asyncio.to_thread(first_failed, drafted, values, terms.checks)
    else:
        failed = first_failed(drafted, values, terms.checks)
    if failed is not None or terms.trust is None:
        return failed
    trust = trust_in(terms.quality, drafted.confidence)
    return None if trust >= terms.trust else f"trust {trust:.2f}, {terms.trust:g} wanted"


def _most(terms: Terms, with_tokens: bool) -> str | None:
    """Why no answer of the first model could be trusted enough, whatever it says; None where one could."""
    if terms.trust is None:
        return None
    most = trust_in(terms.quality, SUREST if with_tokens else None)
    return None if most >= terms.trust else f"trust {most:.2f} at most, {terms.trust:g} wanted"


def _told_trust(drafted: Drafted, terms: Terms) -> str:
    return "" if terms.trust is None else f", trust {trust_in(terms.quality, drafted.confidence):.2f}"


def _tell(work: Work, why: str) -> None:
    work.told.append(RuleTrace(work.decision.rule, True, why))
