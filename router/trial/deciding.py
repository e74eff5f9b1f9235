"""Decides without a gateway: nothing is called, selectors by likeness pick, models that would read are not asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from classifiers.contract import Assessment, Classifier, ModelCard
from classifiers.tiers import embedder_of
from router.domain import Ask, Decision, ModelSpec, Verdict
from router.judge import Judge, decide_judged, unsure
from router.policy.compiled import Facts, Policy, Route, Selection
from router.policy.decide import SelectionNeeded
from router.selection.by_embedding import ByEmbedding, vectors_of
from router.selection.selectors import not_asked
from router.shadowing import tier_quality


class Decider:
    """A policy's decisions, one after the other. A selector by likeness is made when the first rule needs it.

    classifier: its word vectors or encoder select; None for those of the judge that ships.
    """

    def __init__(self, policy: Policy, classifier: Classifier | None = None, *, knows_text: bool = True):
        self.policy, self._classifier = policy, classifier
        self._knows_text = knows_text
        self._likening: ByEmbedding | None = None
        self.models_not_asked = 0
        """How often a rule was passed over because a model would have had to read the options."""
        self.selectors_blind = 0
        """How often one was passed over because the text of the ask is not known."""

    def decide(
        self,
        target: Route | ModelSpec,
        ask: Ask,
        assessment: Assessment | None,
        facts: Facts,
        chosen: Sequence[str] | None = None,
    ) -> tuple[Assessment, Verdict]:
        """As a gateway would. chosen: options that every selector is taken to pick. Raises what `decide` raises."""
        selections: dict[str, Selection] = {}
        while True:
            try:
                return decide_judged(assessment, self.policy, target, ask, facts, selections)
            except SelectionNeeded as needed:
                selections[needed.rule.name] = self._selected(needed, ask, chosen)

    def _selected(self, needed: SelectionNeeded, ask: Ask, chosen: Sequence[str] | None) -> Selection:
        if chosen is not None:
            among = {option.name for option in needed.select.among}
            options = tuple((name, 1.0) for name in chosen if name in among)
            return Selection(options[: needed.select.top], "as the case says")
        if not self._knows_text:
            self.selectors_blind += 1
            return Selection((), "the text of the ask is not known")
        if needed.select.model is not None:
            self.models_not_asked += 1
            return not_asked(needed)
        if self._likening is None:
            classifier = self._classifier
            self._likening = (
                ByEmbedding() if classifier is None else ByEmbedding(vectors_of(classifier), embedder_of(classifier))
            )
        return self._likening.select(needed, ask)


def assess(judge: Judge, ask: Ask, cards: Sequence[ModelCard]) -> Assessment:
    """What the judge says of an ask, or that it is unsure."""
    return judge.assess(ask.text, cards) or unsure(cards)


def models_reached(decision: Decision) -> tuple[str, ...]:
    """Every model that carrying a decision out may ask, in any part of its plan."""
    names = [decision.model, *decision.fallback]
    if (terms := decision.terms) is not None:
        names += [part.model for part in terms.parts]
        names += [name for name in (terms.then, terms.judge) if name is not None]
    return tuple(dict.fromkeys(names))


def pinned(policy: Policy, given: Mapping[str, Any]) -> Assessment:
    """An assessment of what is given. What is left out follows: a small model is good with 1 - complexity, another with
    `gain` more; nothing supports it, and the task is unknown."""
    complexity = 0.5 if given.get("complexity") is None else given["complexity"]
    gain = 0.0 if given.get("gain") is None else given["gain"]
    quality = {card.name: tier_quality(card, complexity, gain) for card in policy.cards}
    return Assessment(
        complexity,
        {**quality, **(given.get("quality") or {})},
        gain,
        given.get("support") or 0.0,
        given.get("task") or "unknown",
        given.get("language") or "und",
        "pinned",
    )
