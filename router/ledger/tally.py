"""What a group of ledger rows adds up to: sums that add, and what may honestly be said of them in dollars.

Counted are **requests** (rows of purpose `chat`); their **inner calls** (failed attempts, audits, judge calls) only
count as spend. Tokens are those of the requests, cache hits included.

- spend: the known cost of requests and inner calls; a cache hit costs nothing. inner: the inner calls' part of it.
- unpriced: requests and inner calls whose cost is not known. Nothing is added for them anywhere: with `unpriced`
  above 0, spend is a lower bound, and it is None where nothing known was spent at all.
- baseline: what the requests of known cost would have cost at the baseline's price, cache hits included; those that
  ended in an error (not: the caller left) count 0. None where spend is None, or where any of them has no such price.
- always small: the same at the price of the cheapest small model.
- saved: baseline - spend, so inner calls lessen it; None where either is None.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

NANO = 1_000_000_000

FROM_CACHE_NOT = ("miss", "bypass")
"""Verdicts of requests that a model was asked for; every other verdict is a way to be answered from the cache."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Integer sums over rows; tallies of disjoint rows add up to the tally of all. Amounts in nano-dollars.

    errors: requests that ended neither `ok` nor `client_closed`. no_baseline, no_small: requests of known cost whose
    comparison has no price. inner_unpriced is a part of unpriced. estimated: requests and inner calls whose tokens are
    our own estimate, since the upstream counted none; inner_estimated is a part of it.
    """

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_hits: int = 0
    errors: int = 0
    spend_nano: int = 0
    inner_nano: int = 0
    baseline_nano: int = 0
    always_small_nano: int = 0
    unpriced: int = 0
    inner_unpriced: int = 0
    no_baseline: int = 0
    no_small: int = 0
    estimated: int = 0
    inner_estimated: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    @property
    def spend_usd(self) -> float | None:
        """Dollars, exact to the nano."""
        return None if self.unpriced and not self.spend_nano else dollars(self.spend_nano)

    @property
    def inner_usd(self) -> float | None:
        return None if self.inner_unpriced and not self.inner_nano else dollars(self.inner_nano)

    @property
    def baseline_usd(self) -> float | None:
        return None if self.spend_usd is None or self.no_baseline else dollars(self.baseline_nano)

    @property
    def always_small_usd(self) -> float | None:
        return None if self.spend_usd is None or self.no_small else dollars(self.always_small_nano)

    @property
    def saved_usd(self) -> float | None:
        return None if self.baseline_usd is None else dollars(self.baseline_nano - self.spend_nano)

    @property
    def asked_usd(self) -> float | None:
        """The requests' own part of the spend, without inner calls."""
        known = self.spend_nano - self.inner_nano
        return None if self.unpriced > self.inner_unpriced and not known else dollars(known)

    @property
    def cache_share(self) -> float:
        """Cache hits as a share of the requests; 0 where there were none."""
        return self.cache_hits / self.requests if self.requests else 0.0


def dollars(nano: int) -> float:
    """The float nearest to an amount in nano-dollars."""
    return nano / NANO
