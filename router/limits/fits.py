"""Whether charges fit into their counters, and for how long they do not. The Lua script says the same for Redis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from router.limits.contract import Charge, Kind, Standing
from router.limits.windows import IN_FLIGHT_WAIT_MS, SLOT_MS, SLOTS, day_ends_ms, month_ends_ms

Slots = Mapping[int, int]
"""Counts by number of slot, of the slots that lie in the last minute."""


def obstacle(
    charges: Sequence[Charge], standings: Sequence[Standing], minutes: Sequence[tuple[Slots, Slots]], now_ms: int
) -> tuple[int, Kind, int] | None:
    """The charge that does not fit for longest, which figure of it, and for how many milliseconds; None if all fit.

    minutes: requests and tokens by slot, for each charge. Nothing never fails to fit.
    """
    worst: tuple[int, Kind, int] | None = None
    for number, (charge, standing, (requests, tokens)) in enumerate(zip(charges, standings, minutes, strict=True)):
        counter = charge.counter
        found: list[tuple[Kind, int]] = []
        if counter.requests is not None and charge.requests:
            over = standing.requests + charge.requests - counter.requests
            found += [("requests", frees_ms(requests, over, now_ms))] if over > 0 else []
        if counter.tokens is not None and charge.tokens:
            over = standing.tokens + charge.tokens - counter.tokens
            found += [("tokens", frees_ms(tokens, over, now_ms))] if over > 0 else []
        if counter.day is not None and charge.nano:
            if standing.day_spent + charge.nano > counter.day:
                found.append(("day", day_ends_ms(now_ms)))
            elif standing.day_spent + standing.day_held + charge.nano > counter.day:
                found.append(("day", IN_FLIGHT_WAIT_MS))
        if counter.month is not None and charge.nano:
            if standing.month_spent + charge.nano > counter.month:
                found.append(("month", month_ends_ms(now_ms)))
            elif standing.month_spent + standing.month_held + charge.nano > counter.month:
                found.append(("month", IN_FLIGHT_WAIT_MS))
        for kind, wait_ms in found:
            if worst is None or wait_ms > worst[2]:
                worst = (number, kind, wait_ms)
    return worst


def frees_ms(slots: Slots, over: int, now_ms: int) -> int:
    """Milliseconds until slots that hold `over` together have left the minute; until all have, where that is less."""
    ends = now_ms
    for slot in sorted(slots):
        if over <= 0:
            break
        over -= slots[slot]
        ends = (slot + SLOTS) * SLOT_MS
    return ends - now_ms
