"""What a shadow policy would have decided for a request, worked out when its answer is out, by the same judgement.

Nothing is called for it, nothing waits for it, and what goes wrong in it is logged and nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from msgspec import Struct, structs

from classifiers.contract import Assessment, Classifier, ModelCard
from classifiers.learned import LearnedClassifier
from router.domain import Ask, Outcome
from router.errors import RequestError
from router.judge import decide_judged
from router.policy.compiled import Facts, Policy, Select, Selection
from router.policy.decide import SelectionNeeded, resolve
from router.policy.expected import cost_at
from router.prices import NANO_PER_DOLLAR

log = logging.getLogger(__name__)

Offered = tuple[str | None, tuple[str, ...]]
"""Who reads, and the names of the options."""


class Shadow(Struct):
    """All that the shadow needs to decide later. selections: what the main policy's selectors picked, by what they were
    offered; where the shadow would select among others, its selector is taken to abstain."""

    policy: Policy
    cards: tuple[ModelCard, ...]
    requested: str
    ask: Ask
    judged: Assessment | None
    facts: Facts
    classifier: Classifier
    selections: Mapping[Offered, Selection]

    def cast(self, row: Outcome) -> None:
        """Writes into the row where the request would have gone, and what that would have cost at its tokens."""
        try:
            self._cast(row)
        except Exception:
            log.exception("shadow policy %s failed on request %s", self.policy.label, row.request_id)

    def _cast(self, row: Outcome) -> None:
        row.shadow_policy = self.policy.label
        judged = None if self.judged is None else judged_for(self.policy, self.judged, self.cards, self.classifier)
        try:
            target = resolve(self.policy, self.requested)
            selections: dict[str, Selection] = {}
            while True:
                try:
                    seen, verdict = decide_judged(judged, self.policy, target, self.ask, self.facts, selections)
                    break
                except SelectionNeeded as needed:
                    selections[needed.rule.name] = self._selected(needed.select)
        except RequestError as error:
            row.shadow_rule = error.code
            return
        decision, usage = verdict.decision, row.usage
        row.shadow_model, row.shadow_rule = decision.model, decision.rule
        if usage.input + usage.output:
            cost = cost_at(decision, self.policy, usage.input, usage.output)
            row.shadow_cost_nano = None if cost is None else round(cost * NANO_PER_DOLLAR)
        before = row.quality.get(row.decided_model or "")
        if before is not None:
            row.shadow_gain = seen.quality[decision.model] - before

    def _selected(self, select: Select) -> Selection:
        return self.selections.get(offered(select), Selection((), "the main policy's selector was not asked this"))


def offered(select: Select) -> Offered:
    """By what a selection for one policy is known to be one for another too."""
    return select.model, tuple(option.name for option in select.among)


def judged_for(policy: Policy, judged: Assessment, known: tuple[ModelCard, ...], classifier: Classifier) -> Assessment:
    """An assessment for another policy's models. known: those it was made for.

    Of the others quality is read off the features, where this classifier made them; else it is their tier's.
    """
    same = {card.name: card.model for card in known}
    missing = [card for card in policy.cards if same.get(card.name) != card.model]
    if not missing:
        return judged
    features = judged.features
    if (
        features is not None
        and isinstance(classifier, LearnedClassifier)
        and classifier.features_digest == judged.features_digest
    ):
        others = dict(classifier.assess_features(features, missing).quality)
    else:
        others = {card.name: tier_quality(card, judged.complexity, judged.gain) for card in missing}
    return structs.replace(judged, quality={**judged.quality, **others})


def tier_quality(card: ModelCard, complexity: float, gain: float) -> float:
    """What is predicted of any model of a tier: of a small one 1 - complexity, of another `gain` more."""
    return 1 - complexity if card.tier == "small" else min(1.0, max(0.0, 1 - complexity + gain))
