"""One request in words and in parts that add up: why this model, what its tokens cost, where the time went."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from router.dashboard.format import score, usd
from router.domain import Outcome, RuleTrace
from router.ledger.reports import RequestStory


@dataclass(frozen=True, slots=True)
class Bucket:
    """Tokens of one kind. price_usd: dollars per million; cost_usd: None where the price is unknown."""

    name: str
    tokens: int
    price_usd: float | None
    cost_usd: float | None


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the request's time. start_share, share: of the whole, in 0..1."""

    name: str
    milliseconds: float
    start_share: float
    share: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """One model of the policy, as this request saw it. eligible: True, or why not; None where it was not looked at."""

    name: str
    eligible: bool | str | None
    quality: float | None
    expected_cost_usd: float | None
    served: bool


@dataclass(frozen=True, slots=True)
class Told:
    """A request's story, ready for the page."""

    headline: str
    because: str
    failed: bool
    candidates: tuple[Candidate, ...]
    buckets: tuple[Bucket, ...]
    stretches: tuple[Stretch, ...]
    cost_usd: float | None
    baseline_usd: float | None
    always_small_usd: float | None


def tell(story: RequestStory) -> Told:
    """Lays one request out."""
    row = story.outcome
    return Told(
        headline=_headline(row),
        because=_because(row),
        failed=row.outcome not in ("ok", "client_closed"),
        candidates=tuple(_candidates(row)),
        buckets=tuple(_buckets(row)),
        stretches=tuple(_stretches(row)),
        cost_usd=usd(row.cost_nano),
        baseline_usd=usd(row.baseline_nano),
        always_small_usd=usd(row.always_small_nano),
    )


def matched_rule(row: Outcome) -> RuleTrace | None:
    """The rule that decided, if one did."""
    return next((rule for rule in row.rules if rule.matched), None)


def _headline(row: Outcome) -> str:
    if row.purpose != "chat":
        return f"An inner call ({row.purpose}) to {row.model}."
    if row.outcome == "client_closed":
        return f"The caller left before {row.model or 'anybody'} had finished."
    if row.outcome != "ok":
        whose = {"caller": "the caller's to mend", "policy": "the policy's doing", "upstream": "upstream's fault"}
        return f"Ended in {row.error_code or 'an error'}: {whose.get(row.fault or '', 'our own fault')}."
    if row.cache == "hit":
        return f"Answered from the cache, with what {row.model} had said before."
    if row.model != row.decided_model and row.decided_model:
        return f"Answered by {row.model}, after {row.decided_model} had failed."
    return f"Answered by {row.model}."


def _because(row: Outcome) -> str:
    chosen = row.decided_model or row.model or "nobody"
    rule = matched_rule(row)
    match row.rule:
        case "cache":
            return "The same request had been answered before, and that answer was still fresh."
        case "pinned":
            return f"The caller named {chosen} outright, so no rule was asked."
        case "default":
            return f"No rule matched, so the policy's default decided: {chosen}."
        case "degraded":
            return f"A part that rules need was lost, so the policy's default served: {chosen}."
        case "":
            return "It ended before a rule was asked."
        case name:
            why = f": {rule.why}" if rule and rule.why else ""
            known = f" (complexity was {score(row.complexity)})" if "complexity" in why else ""
            return f"The rule “{name}” chose {chosen}{why}{known}."


def _candidates(row: Outcome) -> Iterator[Candidate]:
    names = dict.fromkeys([*row.eligible, *row.quality, *row.expected_cost_usd])
    for name in names:
        yield Candidate(
            name, row.eligible.get(name), row.quality.get(name), row.expected_cost_usd.get(name), name == row.model
        )


def _buckets(row: Outcome) -> Iterator[Bucket]:
    usage, price = row.usage, row.price
    of_input = None if price is None else price.input
    read = None if price is None else price.input if price.cache_read is None else price.cache_read
    write = None if price is None else price.input if price.cache_write is None else price.cache_write
    for name, tokens, dearness in (
        ("Input, not cached upstream", usage.uncached_input, of_input),
        ("Input, read from upstream's cache", usage.cache_read, read),
        ("Input, written to upstream's cache", usage.cache_write, write),
        ("Output", usage.output, None if price is None else price.output),
    ):
        if tokens or name in ("Input, not cached upstream", "Output"):
            cost = 0.0 if row.cache == "hit" or not tokens else None if dearness is None else tokens * dearness / 1e6
            yield Bucket(name, tokens, dearness, cost)


def _stretches(row: Outcome) -> Iterator[Stretch]:
    """Ours, waiting for the first token, and the rest; together the whole latency."""
    whole = row.latency_ms
    if whole <= 0:
        return
    ours = min(row.overhead_ms, whole)
    first = whole if row.ttft_ms is None else min(max(row.ttft_ms, ours), whole)
    start = 0.0
    waiting = "Waiting for upstream" if row.ttft_ms is None else "Waiting for the first token"
    for name, length in (("The gateway", ours), (waiting, first - ours), ("The rest of the answer", whole - first)):
        yield Stretch(name, length, start / whole, length / whole)
        start += length
