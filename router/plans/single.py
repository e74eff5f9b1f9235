"""The plan `single`: the chosen model answers; where it fails before its first content byte, the next one does."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from router.body import Body
from router.domain import ModelSpec
from router.errors import UpstreamError
from router.plans.contract import Served, Work
from router.plans.reach import Reach


class Single:
    """Asks the decision's model, then its fallbacks in order."""

    def __init__(self, reach: Reach):
        self._reach = reach

    async def __call__(self, work: Work) -> Served:
        return await asked_in_turn(self._reach, work, (work.decision.model, *work.decision.fallback))


async def asked_in_turn(
    reach: Reach, work: Work, names: Iterable[str], body_of: Callable[[ModelSpec], Body] | None = None
) -> Served:
    """The first of these models that answers. body_of: what each is asked, where that is not `work.body`.

    Raises the last UpstreamError where none does.
    """
    last: UpstreamError | None = None
    for name in dict.fromkeys(names):
        model = work.models[name]
        if body_of is not None:
            work.ask_instead(body_of(model))
        try:
            return await reach.open(model, work)
        except UpstreamError as error:
            last = error
            if not error.retry_next:
                break
    assert last is not None
    raise last
