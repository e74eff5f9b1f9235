"""What became of the judge, as a list of events: retrainings with the gate's word, promotions, rollbacks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from router.ledger.contract import Store
from router.ledger.registry import KeptArtefact, Registry
from router.ledger.window import Window

EVENTS_MOST = 500

EventKind = Literal["retrained", "promoted", "canary", "rolled back"]
_KINDS: dict[str, EventKind] = {"promote": "promoted", "rollback": "rolled back"}


@dataclass(frozen=True, slots=True)
class VersionEvent:
    """sha256: what was made, or is current from then on; None: the artefact that ships. by: None for retrainings.

    parent, passed, gate: of the artefact: what it was to better, whether the gate let it through, and its word; None
    where nobody said. share: of the conversations, that a canary judges. reason: why it was promoted or rolled back.
    """

    kind: EventKind
    at_unix: float
    sha256: str | None
    by: str | None
    parent: str | None
    passed: bool | None
    gate: str | None
    current: bool
    share: float | None = None
    reason: str | None = None

    @property
    def name(self) -> str:
        return "as shipped" if self.sha256 is None else self.sha256[:12]


@dataclass(frozen=True, slots=True)
class VersionReport:
    """events: newest first. current: sha256 of the artefact that judges; None: the one that ships."""

    window: Window
    current: str | None
    events: tuple[VersionEvent, ...]
    capped: bool


async def version_report(store: Store, window: Window) -> VersionReport:
    """The events of a span of time."""
    registry = Registry(store)
    kept = {one.sha256: one for one in await registry.list()}
    standing = await registry.standing()
    events = [_made(one, standing.current) for one in kept.values()]
    for number, entry in enumerate(await registry.history()):
        parent, passed, gate = _word(kept.get(entry.sha256 or ""))
        is_canary = entry.share is not None and entry.action == "promote"
        kind: EventKind = "canary" if is_canary else _KINDS.get(entry.action, "promoted")
        is_newest = number == 0
        events.append(
            VersionEvent(
                kind, entry.at_unix, entry.sha256, entry.by, parent, passed, gate, is_newest, entry.share, entry.reason
            )
        )
    inside = [one for one in events if window.since_unix <= one.at_unix < window.until_unix]
    inside.sort(key=lambda one: (-one.at_unix, one.kind == "retrained"))
    return VersionReport(window, standing.current, tuple(inside[:EVENTS_MOST]), len(inside) > EVENTS_MOST)


def _made(artefact: KeptArtefact, current: str | None) -> VersionEvent:
    parent, passed, gate = _word(artefact)
    return VersionEvent(
        "retrained",
        artefact.created_unix,
        artefact.sha256,
        None,
        parent,
        passed,
        gate,
        artefact.sha256 == current,
    )


def _word(artefact: KeptArtefact | None) -> tuple[str | None, bool | None, str | None]:
    """(parent, passed, the gate's reason), as far as the artefact's metrics say so."""
    if artefact is None:
        return None, None, None
    passed: Any = artefact.metrics.get("passed")
    gate: Any = artefact.metrics.get("reason")
    return (
        artefact.parent,
        passed if isinstance(passed, bool) else None,
        gate if isinstance(gate, str) else None,
    )
