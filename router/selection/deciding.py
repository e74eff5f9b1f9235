"""The loop of deciding and selecting: a policy decides, a `select` rule needs its selector asked, it decides again.

Whoever decides goes through here: requests, `POST /v1/route`, `policy explain`, the library. Who selects differs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from classifiers.contract import Assessment
from router.domain import Ask, ModelSpec, Verdict
from router.judge import decide_judged
from router.policy.compiled import Facts, Policy, Route, Selection
from router.policy.decide import SelectionNeeded
from router.shadowing import Offered, offered

T = TypeVar("T")

Selects = Callable[[SelectionNeeded, Ask, Facts], Awaitable[Selection]]
"""Asks the selector of one rule. Never raises for what goes wrong there: then it abstains, and says why."""


class Remembering:
    """Selects as another does, and remembers what came of it: for a policy that decides beside the one that rules."""

    __slots__ = ("_selects", "selections")

    def __init__(self, selects: Selects):
        self._selects = selects
        self.selections: dict[Offered, Selection] = {}

    async def __call__(self, needed: SelectionNeeded, ask: Ask, facts: Facts) -> Selection:
        selection = await self._selects(needed, ask, facts)
        self.selections[offered(needed.select)] = selection
        return selection


async def decide_selecting(
    judged: Assessment | None,
    policy: Policy,
    target: Route | ModelSpec,
    ask: Ask,
    facts: Facts,
    selects: Selects,
) -> tuple[Assessment, Verdict]:
    """What `decide_judged` says, with every selector asked that the decision hangs on. Raises what it raises.

    Each selector is asked at most once, in the order of the rules, and only where its rule is reached.
    """
    selections: dict[str, Selection] = {}
    while True:
        try:
            return decide_judged(judged, policy, target, ask, facts, selections)
        except SelectionNeeded as needed:
            selections[needed.rule.name] = await selects(needed, ask, facts)


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing, without an event loop (there may be one running)."""
    try:
        coroutine.send(None)
    except StopIteration as ended:
        result: T = ended.value
        return result
    coroutine.close()
    raise RuntimeError("it waits for something; await it")
