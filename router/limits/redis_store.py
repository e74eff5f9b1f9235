"""Counts on Redis, the same for every process that shares it. While Redis is away each process counts by itself.

Alone it goes on from what Redis said last, lets through what that leaves, and tells Redis of it when it is back. And
when Redis comes back knowing less than this process does (a restart, an eviction), it is told that as well.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Any

from router.cache.patience import Patience
from router.limits.contract import Charge, Counter, Granted, Kind, Known, Refused, Reservation, Standing
from router.limits.memory import MemoryStore, needs_settling, unix_ms
from router.limits.redis_line import Operation, RedisLine
from router.limits.windows import day_of, month_of

_KINDS: tuple[Kind, ...] = ("requests", "tokens", "day", "month")
_NOTHING = Known(-1, 0, -1, 0)
_MOST_KNOWN = 100_000
_LARGEST = 2**53 - 1
"""Lua reckons in doubles: nine million dollars, to the nano-dollar."""


class RedisStore:
    """See `Store`. Keys begin with `PREFIX:{limits}:`: one hash tag, so one slot of a cluster, for all or nothing.

    clock: milliseconds, for tests; else Redis's own time. alone: reservations that were made without Redis.
    """

    def __init__(
        self,
        url: str,
        prefix: str = "signalbox",
        clock: Callable[[], int] | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.line = RedisLine(url, f"{prefix}:{{limits}}", clock, patience)
        self.line.on_trip = self._on_trip
        self._clock = clock or unix_ms
        self._known: dict[str, Known] = {}
        self._memory = MemoryStore(self._clock)
        self._taken_up: set[str] = set()
        self._unsettled: set[str] = set()
        self._asked = False
        self.alone = 0

    @property
    def state(self) -> str:
        """`ok`, `degraded` while this process counts alone, `off` until somebody asks."""
        return "off" if not self._asked else "ok" if self.line.usable else "degraded"

    @property
    def waiting(self) -> int:
        return self.line.waiting

    @property
    def dropped(self) -> int:
        return self.line.dropped

    async def start(self) -> None:
        self._asked = True
        await self.line.start()

    async def aclose(self) -> None:
        await self.line.aclose()

    async def peek(self, counters: Sequence[Counter]) -> tuple[Standing, ...]:
        self._asked = True
        answer = await self.line.ask(["p", [self._written(counter) for counter in counters]])
        if answer is None:
            self._take_up(counters)
            return self._memory.peek_now(counters)
        now, reply = answer
        return self._heard(counters, now, reply)

    async def reserve(self, charges: Sequence[Charge], lease_ms: int) -> Granted | Refused:
        self._asked = True
        number, counters = secrets.token_hex(8), [charge.counter for charge in charges]
        operation = [
            "r",
            number,
            lease_ms,
            [self._written(counter) for counter in counters],
            [charge.requests for charge in charges],
            [min(charge.tokens, _LARGEST) for charge in charges],
            [min(charge.nano, _LARGEST) for charge in charges],
        ]
        was_usable = self.line.usable
        try:
            answer = await self.line.ask(operation)
        except BaseException:  # the caller left: it may have been counted, or still be
            self.line.tell(_settlement(number, len(charges)))
            raise
        if answer is None:
            if was_usable:  # it may have arrived all the same
                self.line.tell(_settlement(number, len(charges)))
            self._take_up(counters)
            self.alone += 1
            return self._granted(self._memory.reserve_now(charges, lease_ms, shared=False))
        now, (worst, kind, wait_ms, *told) = answer
        standings = self._heard(counters, now, told)
        if worst:
            return Refused(worst - 1, _KINDS[kind - 1], wait_ms, standings)
        return self._granted(Granted(Reservation(number, tuple(charges), now), standings))

    def settle(self, reservation: Reservation, taken: Sequence[Charge]) -> None:
        if reservation.id not in self._unsettled:
            return
        self._unsettled.discard(reservation.id)
        if reservation.shared:
            tokens, nano = [charge.tokens for charge in taken], [charge.nano for charge in taken]
            self.line.tell(["s", reservation.id, tokens, nano])
            if not self.line.usable:
                self._take_up([charge.counter for charge in taken])
                self._memory.spend(taken)
            self._know_of(taken, reservation.at_ms)
        else:
            self._memory.settle(reservation, taken)
            self._owe(reservation.id, taken)

    def spend(self, charges: Sequence[Charge]) -> None:
        if not self.line.usable:
            self._take_up([charge.counter for charge in charges])
            self._memory.spend(charges)
        self._owe(secrets.token_hex(8), charges)

    def learn(self, counter: Counter, known: Known) -> None:
        before = self._known.get(counter.key, _NOTHING)
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[counter.key] = Known(
            *_later(before.day, before.day_spent, known.day, known.day_spent),
            *_later(before.month, before.month_spent, known.month, known.month_spent),
        )
        if counter.key in self._taken_up:
            self._memory.learn(counter, known)

    def _granted(self, answer: Granted | Refused) -> Granted | Refused:
        if isinstance(answer, Granted) and needs_settling(answer.reservation.charges):
            self._unsettled.add(answer.reservation.id)
        return answer

    def _know_of(self, charges: Sequence[Charge], at_ms: int) -> None:
        """Counts money that Redis is told of among what is known: whoever asks it comes after what it was told.

        So it is missed nowhere, should Redis go away before it spoke of it, or come back without it.
        """
        day, month = day_of(at_ms), month_of(at_ms)
        for charge in charges:
            if charge.nano:
                known = self._known.get(charge.counter.key, _NOTHING)
                self._known[charge.counter.key] = Known(
                    *_added(known.day, known.day_spent, day, charge.nano),
                    *_added(known.month, known.month_spent, month, charge.nano),
                )

    def _owe(self, number: str, charges: Sequence[Charge]) -> None:
        """Tells Redis of money it has not reserved, for the day and month that it is now."""
        now = self._clock()
        adds = [
            [charge.counter.key, kind, window, charge.nano]
            for charge in charges
            for kind, window, most in (
                ("d", day_of(now), charge.counter.day),
                ("M", month_of(now), charge.counter.month),
            )
            if most is not None and charge.nano
        ]
        if adds:
            self.line.tell(["a", number, adds])
            self._know_of(charges, now)

    def _written(self, counter: Counter) -> Operation:
        known = self._known.get(counter.key, _NOTHING)
        most = [
            -1 if figure is None else min(figure, _LARGEST)
            for figure in (counter.requests, counter.tokens, counter.day, counter.month)
        ]
        return [counter.key, *most, known.day, known.day_spent, known.month, known.month_spent]

    def _heard(self, counters: Sequence[Counter], now: int, told: Sequence[Any]) -> tuple[Standing, ...]:
        standings = tuple(Standing(*figures) for figures in told)
        for counter, standing in zip(counters, standings, strict=True):
            if counter.day is not None or counter.month is not None:
                self.learn(counter, Known(day_of(now), standing.day_spent, month_of(now), standing.month_spent))
        return standings

    def _on_trip(self) -> None:
        """From here on this process counts alone, anew."""
        self._memory = MemoryStore(self._clock)
        self._taken_up.clear()

    def _take_up(self, counters: Sequence[Counter]) -> None:
        """Puts what Redis said last of these into the process's own counts, once."""
        for counter in counters:
            if counter.key not in self._taken_up:
                self._taken_up.add(counter.key)
                if (known := self._known.get(counter.key)) is not None:
                    self._memory.learn(counter, known)


def _settlement(number: str, charges: int) -> Operation:
    """Gives all of a reservation back, if there is one."""
    return ["s", number, [0] * charges, [0] * charges]


def _later(window: int, spent: int, new_window: int, new_spent: int) -> tuple[int, int]:
    if new_window == window:
        return window, max(spent, new_spent)
    return (new_window, new_spent) if new_window > window else (window, spent)


def _added(window: int, spent: int, current: int, nano: int) -> tuple[int, int]:
    if window == current:
        return window, spent + nano
    return (current, nano) if current > window else (window, spent)
