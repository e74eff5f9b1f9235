"""The plan `retrieve`: a retriever's passages are put before the ask, and then it goes as with `single`.

Nothing is sent to the caller before the retriever has answered, or its time is over; then the answer streams at once.
"""

from __future__ import annotations

from router.plans.contract import Served, Work
from router.plans.reach import Reach
from router.plans.single import asked_in_turn
from router.plans.sources import Sources, quoting


class Retrieve:
    """Asks the one part's model, then the decision's fallbacks in order, each with the same passages."""

    def __init__(self, reach: Reach, sources: Sources):
        self._reach, self._sources = reach, sources

    async def __call__(self, work: Work) -> Served:
        terms = work.decision.terms
        assert terms is not None
        [part] = terms.parts
        assert part.retriever is not None
        passages = await self._sources.passages(part.retriever, work)
        asked = work.body
        names = (part.model, *work.decision.fallback)
        return await asked_in_turn(self._reach, work, names, lambda model: quoting(asked, passages, model, work))
