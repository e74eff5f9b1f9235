"""What one turn of the watch is about and what it found, as values and in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from classifiers.artefact import Artefact
from classifiers.training.drift import DriftReport
from classifiers.training.live import Beside, Held


@dataclass(slots=True)
class Turn:
    """What one turn found. did: `rolled back`, `promoted`, or nothing. notes: why something was not looked at."""

    at: str
    judge: str
    drift: dict[str, Any] | None = None
    canary: dict[str, Any] | None = None
    promotion: dict[str, Any] | None = None
    did: str | None = None
    reason: str | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def needs_a_look(self) -> bool:
        """Whether a person should know: traffic drifted, or a judge was taken back."""
        return self.did == "rolled back" or (self.drift is not None and self.drift["alarm"])


@dataclass(frozen=True, slots=True)
class Serving:
    """A judge of the registry, or the one that ships. subject: what findings about it go by."""

    artefact: Artefact
    subject: str

    @property
    def name(self) -> str:
        """As assessments say it."""
        return f"{self.artefact.tier}@{self.artefact.digest}"


def told_drift(report: DriftReport) -> str:
    """The parts that moved, in words for a log line."""
    return ", ".join(
        f"{part.name} moved by {part.moved:.2f} (p {part.p:.1g}, {part.n} values)"
        for part in report.parts
        if part.alarm and part.moved is not None and part.p is not None
    )


def told_beside(told: Beside) -> str:
    """How a canary fares, in words."""
    return (
        f"quality {told.canary} on {told.n_canary} conversations against {told.control} on {told.n_control} beside it, "
        f"difference {told.difference} ({told.basis})"
    )


def told_held(told: Held) -> str:
    """How a promoted judge fares, in words."""
    expected = f"where {told.expected:.3f} or more was expected"
    return f"quality {told.quality} on {told.n} conversations, {expected} ({told.basis})"
