"""Counts in the process: exact for one process, and what several do with as long as their Redis is away."""

from __future__ import annotations

import heapq
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from router.limits.contract import Charge, Counter, Granted, Known, Refused, Reservation, Standing
from router.limits.fits import obstacle
from router.limits.windows import DAY_MS, SLOT_MS, SLOTS, day_of, month_of, slot_of

_TIDY_EVERY_MS = 3_600_000


@dataclass(slots=True)
class _Money:
    """Nano-dollars of one day or month."""

    spent: int = 0
    held: int = 0


@dataclass(slots=True)
class _Count:
    """All that is kept under one counter's key. day, month: those of the slot, out of what is kept by number.

    The day and month before are kept too: clocks are set back now and then, and it may be midnight.
    """

    requests: dict[int, int] = field(default_factory=dict)
    tokens: dict[int, int] = field(default_factory=dict)
    slot: int = -1
    day: _Money = field(default_factory=_Money)
    month: _Money = field(default_factory=_Money)
    days: dict[int, _Money] = field(default_factory=dict)
    months: dict[int, _Money] = field(default_factory=dict)


@dataclass(slots=True)
class _Held:
    slot: int
    day: int
    month: int
    charges: tuple[Charge, ...]
    lapsed: bool = False


def unix_ms() -> int:
    """The clock of the machine."""
    return time.time_ns() // 1_000_000


class MemoryStore:
    """Counts of one process; they begin anew with it. See `Store`."""

    def __init__(self, clock: Callable[[], int] = unix_ms) -> None:
        self._clock = clock
        self._counts: dict[str, _Count] = {}
        self._held: dict[str, _Held] = {}
        self._leases: list[tuple[int, str]] = []
        self._tidied_ms = clock()
        self.state = "ok"
        self.alone = self.waiting = self.dropped = 0

    async def start(self) -> None:
        """Is always ready."""

    async def aclose(self) -> None:
        """Holds nothing."""

    async def peek(self, counters: Sequence[Counter]) -> tuple[Standing, ...]:
        return self.peek_now(counters)

    async def reserve(self, charges: Sequence[Charge], lease_ms: int) -> Granted | Refused:
        return self.reserve_now(charges, lease_ms)

    def peek_now(self, counters: Sequence[Counter]) -> tuple[Standing, ...]:
        """What is used of each, without a wait."""
        now = self._now()
        return tuple(_standing(counter, self._count(counter, now), now) for counter in counters)

    def reserve_now(self, charges: Sequence[Charge], lease_ms: int, *, shared: bool = True) -> Granted | Refused:
        """Takes all of the charges or none, without a wait."""
        now = self._now()
        counts = [self._count(charge.counter, now) for charge in charges]
        standings = tuple(_standing(of.counter, count, now) for of, count in zip(charges, counts, strict=True))
        minutes = [(count.requests, count.tokens) for count in counts]
        if (worst := obstacle(charges, standings, minutes, now)) is not None:
            return Refused(*worst, standings)
        slot = slot_of(now)
        for charge, count in zip(charges, counts, strict=True):
            counter = charge.counter
            if counter.requests is not None and charge.requests:
                count.requests[slot] = count.requests.get(slot, 0) + charge.requests
            if counter.tokens is not None and charge.tokens:
                count.tokens[slot] = count.tokens.get(slot, 0) + charge.tokens
            if counter.day is not None:
                count.day.held += charge.nano
            if counter.month is not None:
                count.month.held += charge.nano
        reservation = Reservation(secrets.token_hex(8), tuple(charges), now, shared)
        if needs_settling(charges):
            self._held[reservation.id] = _Held(slot, day_of(now), month_of(now), reservation.charges)
            heapq.heappush(self._leases, (now + lease_ms, reservation.id))
        return Granted(
            reservation, tuple(_standing(of.counter, count, now) for of, count in zip(charges, counts, strict=True))
        )

    def settle(self, reservation: Reservation, taken: Sequence[Charge]) -> None:
        now = self._now()
        held = self._held.pop(reservation.id, None)
        if held is None:
            return
        for reserved, took in zip(held.charges, taken, strict=True):
            counter, count = reserved.counter, self._count(reserved.counter, now)
            if counter.tokens is not None and reserved.tokens and held.slot in count.tokens:
                count.tokens[held.slot] = max(0, count.tokens[held.slot] + took.tokens - reserved.tokens)
            for most, money in (
                (counter.day, count.days.get(held.day)),
                (counter.month, count.months.get(held.month)),
            ):
                if most is not None and money is not None:
                    money.spent += took.nano
                    if not held.lapsed:
                        money.held = max(0, money.held - reserved.nano)

    def spend(self, charges: Sequence[Charge]) -> None:
        now = self._now()
        for charge in charges:
            count = self._count(charge.counter, now)
            count.day.spent += charge.nano if charge.counter.day is not None else 0
            count.month.spent += charge.nano if charge.counter.month is not None else 0

    def learn(self, counter: Counter, known: Known) -> None:
        count = self._count(counter, self._now())
        for money, spent in (
            (count.days.get(known.day), known.day_spent),
            (count.months.get(known.month), known.month_spent),
        ):
            if money is not None:
                money.spent = max(money.spent, spent)

    def _now(self) -> int:
        """The time, with everything let go of that has run out by then."""
        now = self._clock()
        while self._leases and self._leases[0][0] <= now:
            _, number = heapq.heappop(self._leases)
            held = self._held.get(number)
            if held is None:
                continue
            if held.lapsed:
                del self._held[number]
                continue
            held.lapsed = True
            heapq.heappush(self._leases, (now + DAY_MS, number))  # a late settlement still finds what it is about
            for charge in held.charges:
                count = self._count(charge.counter, now)
                for most, money in (
                    (charge.counter.day, count.days.get(held.day)),
                    (charge.counter.month, count.months.get(held.month)),
                ):
                    if most is not None and money is not None:
                        money.held = max(0, money.held - charge.nano)
        if now - self._tidied_ms > _TIDY_EVERY_MS:
            self._tidied_ms = now
            month = month_of(now)
            self._counts = {key: count for key, count in self._counts.items() if month in count.months}
        return now

    def _count(self, counter: Counter, now: int) -> _Count:
        """What is kept of a counter, with its windows moved on to now."""
        count = self._counts.get(counter.key)
        if count is None:
            count = self._counts[counter.key] = _Count()
        if count.slot == (current := slot_of(now)):
            return count
        count.slot = current
        for slots in (count.requests, count.tokens):  # slots to come are of a clock that was set back since
            for slot in [slot for slot in slots if not current - SLOTS < slot <= current + 1]:
                del slots[slot]
        day, month = day_of(now), month_of(now)
        if day not in count.days:
            count.days = {number: money for number, money in count.days.items() if number >= day - 1}
        if month not in count.months:
            count.months = {number: money for number, money in count.months.items() if number >= month - 1}
        count.day = count.days.setdefault(day, _Money())
        count.month = count.months.setdefault(month, _Money())
        return count


def needs_settling(charges: Sequence[Charge]) -> bool:
    """Whether anything was put aside that what was taken could differ from."""
    return any(
        (charge.tokens and charge.counter.tokens is not None)
        or (charge.nano and (charge.counter.day is not None or charge.counter.month is not None))
        for charge in charges
    )


def _standing(counter: Counter, count: _Count, now: int) -> Standing:
    newest = max([*count.requests, *count.tokens], default=None)
    reset = 0 if newest is None else (newest + SLOTS) * SLOT_MS - now
    return Standing(
        sum(count.requests.values()),
        sum(count.tokens.values()),
        reset,
        count.day.spent if counter.day is not None else 0,
        count.day.held if counter.day is not None else 0,
        count.month.spent if counter.month is not None else 0,
        count.month.held if counter.month is not None else 0,
    )
