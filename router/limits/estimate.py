"""What a decision may take at most, reckoned before anybody is called: calls, tokens and nano-dollars, by model.

The ask is taken as counted, every answer as long as its budget allows. Not known before, and so counted after: what
passages of a retriever add to the ask, how many tokens a provider really counts, and an answer that was given no budget
and grows past the one assumed. A model without a known price counts no money.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from router.domain import Ask, Decision, ModelSpec, Usage
from router.policy.compiled import Policy
from router.prices import NANO_PER_DOLLAR, cost_nano


@dataclass(slots=True)
class Amount:
    """Calls, tokens and nano-dollars."""

    calls: int = 0
    tokens: int = 0
    nano: int = 0

    def add(self, other: Amount) -> None:
        """Both, one after the other."""
        self.calls += other.calls
        self.tokens += other.tokens
        self.nano += other.nano


@dataclass(slots=True)
class Estimate:
    """total: of the whole request, which is one whatever it calls. by_model: of each that may be called."""

    total: Amount
    by_model: dict[str, Amount] = field(default_factory=dict)


def estimate(policy: Policy, decision: Decision, ask: Ask, choices: int = 1) -> Estimate:
    """The most that a decision may take. choices: answers asked for in one call (`n`).

    Of a model and those that stand by for it one answers, the dearest of them perhaps; of a plan's parts, `then` and
    judge all may.
    """
    standing_by = {
        name: call_of(policy.models[name], ask.input_tokens, ask.output_tokens, choices)
        for name in (decision.model, *decision.fallback)
    }
    dearest = Amount(
        1, max(call.tokens for call in standing_by.values()), max(call.nano for call in standing_by.values())
    )
    terms = decision.terms
    if terms is None:
        return Estimate(dearest, standing_by)
    total, drafts = Amount(), 0
    by_model: dict[str, Amount] = {}
    for part in terms.parts:
        call = call_of(policy.models[part.model], ask.input_tokens, ask.output_tokens, choices)
        if part.retriever is not None:
            total.nano += round(policy.retrievers[part.retriever].price * NANO_PER_DOLLAR)
        by_model.setdefault(part.model, Amount()).add(call)
        total.add(call)
        drafts += call.tokens - ask.input_tokens
    for name, read in ((terms.then, ask.input_tokens), (terms.judge, ask.input_tokens + drafts)):
        if name is not None:
            call = call_of(policy.models[name], read, ask.output_tokens, choices)
            by_model.setdefault(name, Amount()).add(call)
            total.add(call)
    for name, call in standing_by.items():
        by_model.setdefault(name, call)
    return Estimate(Amount(1, max(total.tokens, dearest.tokens), max(total.nano, dearest.nano)), by_model)


def call_of(model: ModelSpec, input_tokens: int, output_tokens: int, choices: int = 1) -> Amount:
    """One call of a model, each of its answers as long as it may be."""
    output = choices * (output_tokens if model.max_output is None else min(output_tokens, model.max_output))
    price = model.price
    usage = Usage(uncached_input=input_tokens, output=output)
    if price is not None and price.cache_write is not None and price.cache_write > price.input:
        usage = Usage(cache_write=input_tokens, output=output)
    return Amount(1, input_tokens + output, cost_nano(usage, price) or 0)
