"""The plan `agree`: several models at once; where they agree on a short answer it goes out, else the next one answers.

Meant for short answers that can be compared (`short_answers`). Where answers turn out to be long, or to call tools,
there is no vote: they go by the predicted quality alone. What goes out is one model's answer, byte for byte.
"""

from __future__ import annotations

from functools import partial

from classifiers.trust import agreed
from router.domain import RuleTrace, Terms
from router.errors import UpstreamError
from router.plans.checks import worth_giving
from router.plans.contract import Served, Work
from router.plans.forms import form_of, is_long
from router.plans.inner import AskOf
from router.plans.reach import Reach
from router.plans.short_questions import read_question
from router.plans.single import asked_in_turn
from router.plans.tally import Tally
from router.plans.together import ALONE, Together, combinable


class Agree:
    """Asks all parts at once; then, where it must be, `then` and the decision's fallback in order."""

    def __init__(self, reach: Reach, ask_of: AskOf):
        self._reach, self._ask_of = reach, ask_of

    async def __call__(self, work: Work) -> Served:
        terms = work.decision.terms
        assert terms is not None and terms.then is not None and terms.trust is not None
        asked = len(terms.parts)
        if not combinable(work.body.values):
            return await self._then(work, terms, ALONE)
        if (most := agreed(asked, asked, terms.quality, 0)) < terms.trust:
            return await self._then(work, terms, f"trust {most:.2f} at most, {terms.trust:g} wanted")
        asking = Together(self._reach, self._ask_of, work, terms.parts, "vote")
        async with asking:
            served, why = await _agreed_on(asking, work, terms)
            if served is not None:
                _tell(work, f"accepted: {why}")
                return served
        return await self._then(work, terms, why, asking)

    async def _then(self, work: Work, terms: Terms, why: str, asking: Together | None = None) -> Served:
        """`then`, or whoever stands by. Where nobody answers, the first sound one of the others' answers after all."""
        assert terms.then is not None
        _tell(work, f"escalated to {terms.then}: {why}")
        try:
            return await asked_in_turn(self._reach, work, (terms.then, *work.decision.fallback))
        except UpstreamError:
            place = None if asking is None else _worth_giving(asking, work)
            if asking is None or place is None:
                raise
            name = terms.parts[place].name
            _tell(work, f"the answer of {name} went out after all: nobody else answered")
            return asking.serve_after_all(place)


async def _agreed_on(asking: Together, work: Work, terms: Terms) -> tuple[Served | None, str]:
    """The answer that is trusted, as soon as that is sure, or None; and why."""
    values, least = work.body.values, terms.trust or 0.0
    question, tally = read_question(values), Tally(len(terms.parts))
    trust = partial(_trust, len(terms.parts), terms.quality)
    while over := await asking.next():
        for place in over:
            drafted = asking.drafts.get(place)
            tally.add(place, None if drafted is None else form_of(drafted, question, values))
        if places := tally.agreed(trust, least):
            named = ", ".join(terms.parts[place].name for place in places)
            score = trust(len(places), tally.readable - len(places))
            return asking.serve(places[0]), f"{named} agree, trust {score:.2f}"
        if not tally.may_agree(trust, least):
            break
    if not tally.readable and any(is_long(drafted, values) for drafted in asking.drafts.values()):
        return await _by_quality(asking, work, terms)
    votes = len(tally.leading)
    return None, f"{votes} of {len(terms.parts)} agree, {len(asking.errors)} failed"


async def _by_quality(asking: Together, work: Work, terms: Terms) -> tuple[Served | None, str]:
    """Answers that cannot be compared: the first part's, where its predicted quality is trust enough."""
    least = terms.trust or 0.0
    if terms.quality < least:
        return None, f"no short answers, and quality {terms.quality:.2f} where {least:g} is wanted"
    await asking.wait(0)
    if 0 in asking.drafts and is_long(asking.drafts[0], work.body.values):
        return asking.serve(0), f"no short answers; quality {terms.quality:.2f}"
    return None, f"no short answers, and none of {terms.parts[0].name}"


def _trust(asked: int, quality: float, votes: int, dissent: int) -> float:
    return agreed(votes, asked, quality, dissent)


def _worth_giving(asking: Together, work: Work) -> int | None:
    """The place of the first sound answer."""
    return next((place for place in asking.good if worth_giving(asking.drafts[place], work.body.values)), None)


def _tell(work: Work, why: str) -> None:
    work.told.append(RuleTrace(work.decision.rule, True, why))
