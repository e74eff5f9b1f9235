"""What `signalbox watch` found last, as a gateway learns of it: for metrics, and a log line where that changed."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from router.ledger.drift_report import parts_of
from router.ledger.findings import Findings

log = logging.getLogger(__name__)


class DriftNews:
    """The last look at drift. parts: by name, whether it moved beyond chance and far enough, and how far; None where
    too little was there to say. looked_unix: when; None before the first look."""

    def __init__(self, findings: Findings):
        self._findings = findings
        self.parts: Mapping[str, tuple[bool, float | None]] = {}
        self.looked_unix: float | None = None

    async def poll(self) -> None:
        """Reads what is new. Raises StoreAway; what was known stays."""
        newest = await self._findings.newest("drift")
        if newest is None or newest.at_unix == self.looked_unix:
            return
        were = self.alarms
        self.parts = {part["name"]: (part["alarm"], part["moved"]) for part in parts_of(newest)}
        self.looked_unix = newest.at_unix
        if self.alarms and self.alarms != were:
            log.warning("traffic has drifted from what the judge knows: %s", ", ".join(self.alarms))
        elif were and not self.alarms:
            log.info("traffic is like what the judge knows again")

    @property
    def alarms(self) -> tuple[str, ...]:
        """The parts that moved."""
        return tuple(name for name, (alarm, _moved) in self.parts.items() if alarm)
