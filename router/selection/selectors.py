"""Both selectors behind one door: by likeness where the rule names no model, else by the model that reads."""

from __future__ import annotations

from typing import Protocol

from router.domain import Ask
from router.plans.contract import InnerCall
from router.policy.compiled import Facts, Policy, Selection
from router.policy.decide import SelectionNeeded
from router.selection.by_embedding import ByEmbedding
from router.selection.by_model import ByModel
from router.selection.deciding import Selects


class Likening(Protocol):
    """What picks by likeness: `by_embedding.ByEmbedding`, or `embedded_aside.EmbeddedAside` over it."""

    async def wait(self, needed: SelectionNeeded, ask: Ask) -> Selection: ...

    async def prepare(self, policy: Policy) -> None: ...


class Selectors:
    """Made once; each decision takes what selects for it from here."""

    def __init__(self, likening: Likening, by_model: ByModel):
        self._likening, self._by_model = likening, by_model

    async def prepare(self, policy: Policy) -> None:
        """Works out beforehand what selecting by this policy needs."""
        await self._likening.prepare(policy)

    def calling(self, policy: Policy, request_id: str, inner: list[InnerCall]) -> Selects:
        """Selects for one request. inner: takes the calls that this needs.

        A request may be decided twice (a limit was reached meanwhile); no model is asked twice for it.
        """
        read: dict[str, Selection] = {}

        async def selects(needed: SelectionNeeded, ask: Ask, facts: Facts) -> Selection:
            if needed.select.model is None:
                return await self._likening.wait(needed, ask)
            name = needed.rule.name
            if name not in read:
                read[name] = await self._by_model.select(needed, ask, facts, policy.models, request_id, inner)
            return read[name]

        return selects

    @property
    def without_calls(self) -> Selects:
        """Selects where nothing may be called: a rule whose model would have to read is passed over, and says so."""

        async def selects(needed: SelectionNeeded, ask: Ask, facts: Facts) -> Selection:
            if needed.select.model is None:
                return await self._likening.wait(needed, ask)
            return not_asked(needed)

        return selects


def likeness_alone(by_embedding: ByEmbedding) -> Selects:
    """As `without_calls`, for whoever has no event loop: it waits for nothing (see `deciding.at_once`)."""

    async def selects(needed: SelectionNeeded, ask: Ask, facts: Facts) -> Selection:
        return by_embedding.select(needed, ask) if needed.select.model is None else not_asked(needed)

    return selects


def not_asked(needed: SelectionNeeded) -> Selection:
    """What stands for a model's choice where no model is called."""
    return Selection((), f"would ask {needed.select.model} to choose; not asked here, so as if it chose none")
