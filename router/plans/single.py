"""The plan `single`: the chosen model answers; where it fails before its first content byte, the next one does."""

from __future__ import annotations

from router.errors import UpstreamError
from router.plans.contract import Served, Work
from router.plans.reach import Reach


class Single:
    """Asks the decision's model, then its fallbacks in order."""

    def __init__(self, reach: Reach):
        self._reach = reach

    async def __call__(self, work: Work) -> Served:
        last: UpstreamError | None = None
        for name in (work.decision.model, *work.decision.fallback):
            try:
                return await self._reach.open(work.models[name], work)
            except UpstreamError as error:
                last = error
                if not error.retry_next:
                    break
        assert last is not None
        raise last
