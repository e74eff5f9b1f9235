"""What is counted, and what a store of counts can do. Amounts are whole tokens and whole nano-dollars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from msgspec import Struct

Kind = Literal["requests", "tokens", "day", "month"]
"""Which figure of a limit: requests or tokens a minute, money a day or a month."""


class Counter(Struct, frozen=True):
    """One limit for one subject: what is counted under one key.

    requests, tokens: most in a minute. day, month: most nano-dollars in one of the UTC calendar. None: not counted.
    """

    name: str
    per: str
    subject: str
    requests: int | None = None
    tokens: int | None = None
    day: int | None = None
    month: int | None = None

    @property
    def key(self) -> str:
        """The same for one limit and subject, whatever the figures: a new figure goes on with the old count."""
        return f"{self.per}:{self.name}:{self.subject}"


class Charge(Struct, frozen=True):
    """What a request may take of one counter; later, what it took. A counter stands in one operation once."""

    counter: Counter
    requests: int = 0
    tokens: int = 0
    nano: int = 0


class Standing(Struct, frozen=True):
    """What is used of one counter now. held: reserved by requests under way. reset_ms: until the minute is all free."""

    requests: int = 0
    tokens: int = 0
    reset_ms: int = 0
    day_spent: int = 0
    day_held: int = 0
    month_spent: int = 0
    month_held: int = 0

    def share(self, counter: Counter) -> float:
        """How full the fuller of the counter's money budgets is, from 0 to 1; 0 without one."""
        shares = [
            (spent + held) / most if most else 1.0
            for most, spent, held in (
                (counter.day, self.day_spent, self.day_held),
                (counter.month, self.month_spent, self.month_held),
            )
            if most is not None
        ]
        return min(1.0, max(shares, default=0.0))


class Known(Struct, frozen=True):
    """What was spent, in nano-dollars, in the day and month of these numbers (`router.limits.windows`)."""

    day: int
    day_spent: int
    month: int
    month_spent: int


class Reservation(Struct, frozen=True):
    """What was put aside for one request. at_ms: when. shared: whether the other processes know of it too."""

    id: str
    charges: tuple[Charge, ...]
    at_ms: int = 0
    shared: bool = True


class Granted(Struct, frozen=True):
    """It fits. standings: one for each charge, this one counted in."""

    reservation: Reservation
    standings: tuple[Standing, ...]


class Refused(Struct, frozen=True):
    """It does not fit, and nothing was put aside. number: of the charge in the way longest, and for how long it is."""

    number: int
    kind: Kind
    wait_ms: int
    standings: tuple[Standing, ...]


class Store(Protocol):
    """Keeps counts. No method raises; one that is away counts in the process meanwhile."""

    @property
    def state(self) -> str:
        """`ok`, `degraded` while it counts alone, or `off` as long as nobody has asked it."""
        ...

    @property
    def alone(self) -> int:
        """Reservations so far that other processes do not know of, though they should."""
        ...

    @property
    def waiting(self) -> int:
        """Settlements that are still to be told."""
        ...

    @property
    def dropped(self) -> int:
        """Those that never will be."""
        ...

    async def start(self) -> None:
        """Gets ready to count."""
        ...

    async def peek(self, counters: Sequence[Counter]) -> tuple[Standing, ...]:
        """What is used of each."""
        ...

    async def reserve(self, charges: Sequence[Charge], lease_ms: int) -> Granted | Refused:
        """Takes all of the charges or none. Money not settled within the lease comes back."""
        ...

    def settle(self, reservation: Reservation, taken: Sequence[Charge]) -> None:
        """Puts what was taken in the place of what was reserved, charge by charge. Once; a second time changes nothing.

        It counts for the minute, day and month that it was reserved in, after the lease too.
        """
        ...

    def spend(self, charges: Sequence[Charge]) -> None:
        """Counts money that nothing was reserved for."""
        ...

    def learn(self, counter: Counter, known: Known) -> None:
        """At least so much was spent, as somebody else has it in writing."""
        ...

    async def aclose(self) -> None:
        """Lets go."""
        ...
