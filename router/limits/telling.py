"""What callers are told of limits: the error of one that is reached, and `x-ratelimit-*` headers as OpenAI has them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from router.errors import BudgetSpent, RateLimited
from router.limits.contract import Charge, Counter, Kind, Refused, Standing
from router.limits.windows import IN_FLIGHT_WAIT_MS
from router.policy.eligibility import BUDGET, RATE
from router.prices import NANO_PER_DOLLAR

Headers = tuple[tuple[bytes, bytes], ...]

_WHO = {"key": "this key", "all": "everybody together"}


def error_of(refused: Refused, charges: Sequence[Charge]) -> RateLimited:
    """The 429 for a limit that a caller has reached. charges: those of the caller, the first of all that were made."""
    charge = charges[refused.number]
    counter = charge.counter
    told = f"Limit `{counter.name}` allows {_allowed(counter, refused.kind)} for {_whom(counter)}"
    headers = headers_of([of.counter for of in charges], refused.standings[: len(charges)])
    kind = BudgetSpent if refused.kind in ("day", "month") else RateLimited
    if _never_fits(charge, refused.kind):
        error = kind(f"{told}; this request alone may take more. Ask for a shorter answer.", retry_after=None)
        headers = (*headers, (b"x-should-retry", b"false"))
    else:
        error = kind(f"{told}; {_used_up(refused.kind, refused.wait_ms)}.", retry_after=refused.wait_ms / 1000)
    error.headers = headers
    return error


def reason_of(counter: Counter, kind: Kind, wait_ms: int) -> str:
    """Why a model may not serve, as `Facts.spent` has it."""
    what = f"`{counter.name}` allows {_allowed(counter, kind)}; {_used_up(kind, wait_ms)}"
    return (BUDGET if kind in ("day", "month") else RATE) + what


def headers_of(counters: Iterable[Counter], standings: Iterable[Standing]) -> Headers:
    """`x-ratelimit-*` of the tightest limit, the one that leaves least; none where nothing is counted by the minute."""
    requests: tuple[int, int, int] | None = None
    tokens: tuple[int, int, int] | None = None
    for counter, standing in zip(counters, standings, strict=True):
        if counter.requests is not None:
            left = (max(0, counter.requests - standing.requests), counter.requests, standing.reset_ms)
            requests = left if requests is None else min(requests, left)
        if counter.tokens is not None:
            left = (max(0, counter.tokens - standing.tokens), counter.tokens, standing.reset_ms)
            tokens = left if tokens is None else min(tokens, left)
    headers: list[tuple[bytes, bytes]] = []
    if requests is not None:
        remaining, most, reset_ms = requests
        headers += [
            (b"x-ratelimit-limit-requests", b"%d" % most),
            (b"x-ratelimit-remaining-requests", b"%d" % remaining),
            (b"x-ratelimit-reset-requests", duration(reset_ms)),
        ]
    if tokens is not None:
        remaining, most, reset_ms = tokens
        headers += [
            (b"x-ratelimit-limit-tokens", b"%d" % most),
            (b"x-ratelimit-remaining-tokens", b"%d" % remaining),
            (b"x-ratelimit-reset-tokens", duration(reset_ms)),
        ]
    return tuple(headers)


def duration(ms: int) -> bytes:
    """As OpenAI writes it: `20ms`, `7s`, `1m5s`. Seconds are rounded up."""
    if ms < 1000:
        return b"%dms" % ms
    minutes, seconds = divmod(-(-ms // 1000), 60)
    return b"%dm%ds" % (minutes, seconds) if minutes else b"%ds" % seconds


def _allowed(counter: Counter, kind: Kind) -> str:
    if kind == "requests":
        return f"{counter.requests} requests a minute"
    if kind == "tokens":
        return f"{counter.tokens} tokens a minute"
    most = counter.day if kind == "day" else counter.month
    return f"{(most or 0) / NANO_PER_DOLLAR:g} dollars a {kind}"


def _used_up(kind: Kind, wait_ms: int) -> str:
    if kind in ("requests", "tokens"):
        return f"try again in {-(-wait_ms // 1000)} s"
    if wait_ms <= IN_FLIGHT_WAIT_MS:
        return "what is left may go to requests under way"
    return "too little is left until 00:00 UTC" + (" on the first" if kind == "month" else "")


def _whom(counter: Counter) -> str:
    return _WHO.get(counter.per) or f"{counter.per} `{counter.subject}`"


def _never_fits(charge: Charge, kind: Kind) -> bool:
    counter = charge.counter
    most, wanted = {
        "requests": (counter.requests, charge.requests),
        "tokens": (counter.tokens, charge.tokens),
        "day": (counter.day, charge.nano),
        "month": (counter.month, charge.nano),
    }[kind]
    return most is not None and wanted > most
