"""Whether a conversation keeps its model. Pure arithmetic; what is remembered and where is `memory`'s.

Changing the model in mid-conversation loses what the provider has cached of the prompt, and the tone of the answers.
So the model of the last turn goes on answering, unless

- it may not (privacy, context, health, budget), or the ask is private and only the new model is marked private;
- the rule's `max_risk` is not proven, so that the baseline serves;
- the new model is better by more than `margin` plus the price of what is lost (**up** is easy);
- the new model is no better but cheaper, even though it starts without the cache, on this turn and the one before it
  (**down** needs evidence: one "thanks!" is none).

The price of what is lost is what the prompt of the last turn costs at the old model without its cache, less what it
costs from it, as a share of what this turn would cost at the new model; the whole of it weighs as much as `LOSS_WEIGHT`
of quality. A model without a price for cached tokens has nothing to lose. Housekeeping prompts neither keep nor make a
model, and a plan of several calls is left as it is, but for a cascade, whose first step is a way down.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import structs

from classifiers.contract import Assessment
from router.conversations.contract import Remembered
from router.domain import Ask, Decision, ModelSpec, Price, RuleTrace, Verdict
from router.policy.compiled import CONVERSATION_RULE, Staying

LOSS_WEIGHT = 0.1
TURNS_OF_EVIDENCE = 2
_MAY_STAY = ("single", "cascade")
_MILLION = 1_000_000


def stay(
    verdict: Verdict,
    before: Remembered | None,
    settings: Staying,
    ask: Ask,
    assessment: Assessment,
    models: Mapping[str, ModelSpec],
) -> tuple[Verdict, int]:
    """The verdict as the conversation has it, and how many turns in a row it could have gone down."""
    decision = verdict.decision
    if before is None or before.model not in models or decision.plan not in _MAY_STAY or ask.housekeeping:
        return verdict, 0
    if decision.unproven is not None:
        return verdict, 0
    old, new = models[before.model], models[decision.model]
    if old.name == new.name:
        return verdict, 0
    if verdict.eligible[old.name] is not True:
        return _told(verdict, False, f"{old.name} may not serve: {verdict.eligible[old.name]}"), 0
    if ask.private and new.private and not old.private:
        return _told(verdict, False, f"the ask is private and {old.name} is not"), 0
    gain = assessment.quality.get(new.name, 0.0) - assessment.quality.get(old.name, 0.0)
    if gain > 0:
        needed = settings.margin + LOSS_WEIGHT * _lost_share(before, old, new, ask)
        if gain > needed:
            return _told(verdict, False, f"{new.name} gains {gain:.2f}, more than {needed:.2f}"), 0
        return _staying(verdict, old, f"{new.name} gains only {gain:.2f}, {needed:.2f} is needed"), 0
    if not _cheaper(before, old, new, ask):
        return _staying(verdict, old, f"{new.name} is no better, and no cheaper without what is cached"), 0
    turns = before.cheaper_turns + 1
    if turns < TURNS_OF_EVIDENCE:
        return _staying(verdict, old, f"one turn on which {new.name} would do is no evidence"), turns
    return _told(verdict, False, f"{turns} turns in a row on which {new.name} does"), 0


def _staying(verdict: Verdict, old: ModelSpec, why: str) -> Verdict:
    """The same, but the old model answers; the one that was decided on stands by first."""
    decision = verdict.decision
    behind = (decision.model, *([decision.terms.then] if decision.terms else []), *decision.fallback)
    fallback = tuple(dict.fromkeys(name for name in behind if name is not None and name != old.name))
    kept = Decision(
        "single",
        old.name,
        CONVERSATION_RULE,
        fallback if decision.fallback or decision.plan == "cascade" else (),
        verdict.expected_cost_usd.get(old.name),
        decision.probability,
        decision.cache,
    )
    return structs.replace(_told(verdict, True, f"stays with {old.name}: {why}"), decision=kept)


def _told(verdict: Verdict, stays: bool, why: str) -> Verdict:
    return structs.replace(verdict, rules=(*verdict.rules, RuleTrace(CONVERSATION_RULE, stays, why)))


def _lost_share(before: Remembered, old: ModelSpec, new: ModelSpec, ask: Ask) -> float:
    """What leaving the old model's cache costs, as a share (at most 1) of this turn's cost at the new model."""
    lost = _saved_by_cache(before, old.price)
    whole = _cost(ask, new.price)
    return min(1.0, lost / whole) if whole else float(lost > 0)


def _cheaper(before: Remembered, old: ModelSpec, new: ModelSpec, ask: Ask) -> bool:
    """Whether this turn costs less at the new model, which has nothing cached. Unknown prices are no evidence."""
    if old.price is None or new.price is None:
        return False
    return _cost(ask, new.price) < _cost(ask, old.price) - _saved_by_cache(before, old.price)


def _saved_by_cache(before: Remembered, price: Price | None) -> float:
    """Dollars that reading the last turn's prompt from the provider's cache saves."""
    if price is None or price.cache_read is None:
        return 0.0
    return before.tokens * max(0.0, price.input - price.cache_read) / _MILLION


def _cost(ask: Ask, price: Price | None) -> float:
    if price is None:
        return 0.0
    return (ask.input_tokens * price.input + ask.output_tokens * price.output) / _MILLION
