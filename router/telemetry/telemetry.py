"""Where the gateway tells what it did: one call for each finished row, and everything watched is made from that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from router.domain import Outcome
from router.errors import RequestError
from router.telemetry.counts import Counts
from router.telemetry.export import Export, NoExport
from router.telemetry.page import Page
from router.telemetry.siblings import Siblings
from router.telemetry.vitals import Vitals


class Gauge:
    """A number that goes up and down."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def inc(self) -> None:
        """One more."""
        self.value += 1

    def dec(self) -> None:
        """One less."""
        self.value -= 1


class Telemetry:
    """The gateway's counters, and its way to an OpenTelemetry collector where one is named.

    workers: the folder that the worker processes of one gateway share; None where there is but one.
    vitals: how the parts are just now; asked at each scrape, set by whoever keeps the parts.
    """

    def __init__(self, export: Export | None = None, workers: Path | None = None) -> None:
        self.export = export or NoExport()
        self.in_flight = Gauge()
        self.vitals: Callable[[], Vitals] | None = None
        self._counts = Counts()
        self._page = Page(
            self._counts,
            lambda: self.in_flight.value,
            self._vitals,
            self._exported,
            Siblings(workers) if workers else None,
        )

    def count(self, outcome: Outcome) -> None:
        """Takes one finished row. Never raises, never waits."""
        self._counts.record(outcome)
        self.export.take(outcome)

    def turn_away(self, error: RequestError) -> None:
        """Counts a chat request that was not accepted, and so has no row."""
        self._counts.turn_away(error)

    async def share(self) -> None:
        """Leaves the figures where other workers of this gateway find them; to be called every second."""
        self._page.share()

    def page(self) -> bytes:
        """The text that `/metrics` answers."""
        return self._page.text()

    def _vitals(self) -> Vitals | None:
        return None if self.vitals is None else self.vitals()

    def _exported(self) -> tuple[dict[str, int], dict[str, int]]:
        return self.export.sent, self.export.dropped
