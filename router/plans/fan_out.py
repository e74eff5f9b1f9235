"""The plan `fan_out`: several parts at once, models and data sources alike, and one answer made of theirs.

`vote` sends what most agree on, `best_of` what the judge picks: one part's answer, byte for byte. `fuse` sends what
the judge writes from all of them, as it comes. Parts that fail, refuse or say nothing are left out; with one left its
answer goes out, with none the decision's fallback is asked.
"""

from __future__ import annotations

import time

from router.domain import ModelSpec, RuleTrace, Terms
from router.errors import UpstreamError
from router.plans.checks import worth_giving
from router.plans.contract import InnerCall, Served, Work
from router.plans.forms import calls_of, form_of
from router.plans.heard import said
from router.plans.inner import AskOf, as_inner, draft
from router.plans.prompts import Candidate, picked, picking, shuffled, writing
from router.plans.reach import Reach
from router.plans.short_questions import read_question
from router.plans.single import asked_in_turn
from router.plans.tally import Tally
from router.plans.together import ALONE, Together, combinable


class FanOut:
    """Asks all parts at once, then combines as the terms say. Where all fail, the decision's fallback is asked."""

    def __init__(self, reach: Reach, ask_of: AskOf):
        self._reach, self._ask_of = reach, ask_of

    async def __call__(self, work: Work) -> Served:
        terms = work.decision.terms
        assert terms is not None
        if not combinable(work.body.values):
            _tell(work, f"only {terms.parts[0].name}: {ALONE}")
            return await self._alone(work, terms)
        async with Together(self._reach, self._ask_of, work, terms.parts, "part") as asking:
            tally = await _all_in(asking, work, terms)
            good = [place for place in asking.good if worth_giving(asking.drafts[place], work.body.values)]
            if good or (asking.good and not work.decision.fallback):
                return await self._combined(asking, good or asking.good, tally, work, terms)
            if not work.decision.fallback:
                return asking.failed()
        _tell(work, "all parts failed, refused, or said nothing" if asking.good else "all parts failed")
        return await asked_in_turn(self._reach, work, work.decision.fallback)

    async def _alone(self, work: Work, terms: Terms) -> Served:
        """The first part by itself, as `single` and `retrieve` do it."""
        first = terms.parts[0]
        work.ask_instead(await self._ask_of(first, work))
        return await asked_in_turn(self._reach, work, (first.model, *work.decision.fallback))

    async def _combined(self, asking: Together, good: list[int], tally: Tally, work: Work, terms: Terms) -> Served:
        """One answer of those that are worth giving; an empty one or a refusal is nobody's to weigh."""
        voted = next((place for place in tally.leading if place in good), good[0])
        if len(good) == 1:
            _tell(work, f"only {terms.parts[voted].name} answered")
            return asking.serve(voted)
        agreeing = [terms.parts[place].name for place in tally.leading]
        if any(asking.drafts[place].tool_calls for place in good):
            _tell(work, f"the answer of {terms.parts[voted].name}: answers with tool calls are put to the vote")
            return asking.serve(voted)
        if terms.combine == "vote" or set(tally.leading) >= set(good):
            why = f"{', '.join(agreeing)} agree" if len(agreeing) > 1 else "no two agree"
            _tell(work, f"the answer of {terms.parts[voted].name}: {why}")
            return asking.serve(voted)
        assert terms.judge is not None
        judge = work.models[terms.judge]
        candidates = [Candidate(place, asking.drafts[place].text) for place in good]
        candidates = shuffled(candidates, work.request_id)
        if terms.combine == "best_of":
            place, why = await self._best(candidates, judge, work)
            chosen = voted if place is None else place
            _tell(work, f"the answer of {terms.parts[chosen].name}: {why}")
            return asking.serve(chosen)
        written, why = await self._written(candidates, judge, work)
        if written is not None:
            _tell(work, f"written by {judge.name} from {len(good)} answers")
            return written
        _tell(work, f"the answer of {terms.parts[voted].name}: {why}")
        return asking.serve(voted)

    async def _best(self, candidates: list[Candidate], judge: ModelSpec, work: Work) -> tuple[int | None, str]:
        """The place that the judge picks, or None; and why."""
        body = picking(work.body, candidates, judge, work.input_tokens)
        if body is None:
            return None, f"{judge.name} has no room for the answers"
        try:
            reply = await draft(self._reach, judge, work, body=body, stream=False, purpose="combine")
        except UpstreamError as error:
            return None, f"{judge.name} failed: {error.code}"
        work.inner.append(as_inner(reply, "combine"))
        text, _calls = said(reply.completion)
        place = picked(text, candidates) if reply.status == 200 else None
        return place, f"{judge.name} {'picked it' if place is not None else 'picked none'}"

    async def _written(self, candidates: list[Candidate], judge: ModelSpec, work: Work) -> tuple[Served | None, str]:
        """The judge's own answer, not yet read, or None; and why."""
        body = writing(work.body, candidates, judge, work.input_tokens)
        if body is None:
            return None, f"{judge.name} has no room for the answers"
        asked = work.body
        work.ask_instead(body)
        at_unix, began = time.time(), time.perf_counter()
        try:
            served = await self._reach.open(judge, work)
        except UpstreamError as error:
            work.ask_instead(asked)
            return None, f"{judge.name} failed: {error.code}"
        if served.answer.status == 200:
            return served, ""
        work.ask_instead(asked)
        await served.aclose()
        status = served.answer.status
        seconds = time.perf_counter() - began
        work.inner.append(InnerCall("combine", judge, at_unix, seconds, status))
        return None, f"{judge.name} refused with {status}"


async def _all_in(asking: Together, work: Work, terms: Terms) -> Tally:
    """Waits for the parts: for all of them, or for a vote until the rest cannot change it."""
    question, tally = read_question(work.body.values), Tally(len(terms.parts))
    while over := await asking.next():
        for place in over:
            drafted = asking.drafts.get(place)
            form = None
            if drafted is not None:
                form = calls_of(drafted) or form_of(drafted, question, work.body.values)
            tally.add(place, form)
        if terms.combine == "vote" and tally.settled and tally.readable:
            break
    return tally


def _tell(work: Work, why: str) -> None:
    work.told.append(RuleTrace(work.decision.rule, True, why))
