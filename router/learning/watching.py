"""One turn of `signalbox watch`: how far traffic has drifted, and whether the judge that serves is worse than it should
be, alone or as a canary. What is found goes to the ledger, where gateways and `/api/drift` read it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from classifiers.artefact import Artefact
from classifiers.errors import ArtefactError, TrainingError
from classifiers.tiers import load_tier
from classifiers.training.live import WANTED
from router.errors import NotFound, StoreAway, StoreError
from router.learning.drifting import FIRST, Kept, finding_of, keep_first_requests, kept_reference, look
from router.learning.looking_after import LookingAfter
from router.learning.turns import Serving, Turn, told_drift
from router.learning.uptake import load_packed
from router.ledger.contract import Store
from router.ledger.findings import Findings
from router.ledger.registry import Promotion, Registry, Standing
from router.ledger.window import Window, timestamp

log = logging.getLogger(__name__)

LOOKS_BACK_SECONDS: Final = 30 * 86_400.0
"""How far back the first requests of a judge that was not trained here may lie."""


class Watch:
    """What looks after the judges of one ledger, turn by turn.

    tier, folder: of the judge that the gateways are set to. wanted: labelled conversations of a canary, from which it
    may be promoted; promote: whether that is done.
    """

    def __init__(
        self,
        store: Store,
        *,
        tier: str,
        folder: Path | None = None,
        window_seconds: float = 86_400.0,
        wanted: int = WANTED,
        promote: bool = False,
    ):
        self._store, self._registry, self._findings = store, Registry(store), Findings(store)
        self._tier, self._folder = tier, folder
        self._window_seconds = window_seconds
        self._after = LookingAfter(store, wanted=wanted, promote=promote)
        self._loaded: dict[str, Artefact] = {}
        self._kept: tuple[str, Kept] | None = None

    async def turn(self) -> Turn:
        """Looks once. Raises StoreAway, ArtefactError for a folder that cannot be read."""
        now = time.time()
        standing = Standing() if self._folder else await self._registry.standing()
        history = () if self._folder else await self._registry.history()
        turn = Turn(timestamp(now), "")
        serving = await self._serving(standing.current, turn)
        turn.judge = serving.name
        try:
            await self._drift(turn, serving, _since(history, standing.current), now)
        except TrainingError as error:
            turn.notes.append(f"drift is not looked at: {error}")
        if standing.canary is not None:
            if (artefact := await self._artefact(standing.canary, turn)) is not None:
                canary = Serving(artefact, standing.canary)
                await self._after.canary(turn, canary, serving, standing, history)
        elif history and history[0].action == "promote" and standing.current == serving.subject:
            await self._after.promotion(turn, serving, standing, history[0].at_unix)
        return turn

    async def _serving(self, sha256: str | None, turn: Turn) -> Serving:
        """By the registry, where what it names can be read and is of the tier that is set; else the one that ships."""
        if sha256 is not None:
            artefact = await self._artefact(sha256, turn)
            if artefact is not None and artefact.tier == self._tier:
                return Serving(artefact, sha256)
        shipped = await asyncio.to_thread(load_tier, self._tier, self._folder)
        return Serving(shipped, f"{shipped.tier}@{shipped.digest}")

    async def _artefact(self, sha256: str, turn: Turn) -> Artefact | None:
        if sha256 not in self._loaded:
            try:
                packed = await self._registry.fetch(sha256)
                artefact = await asyncio.to_thread(load_packed, packed)
            except StoreAway:
                raise
            except (ArtefactError, StoreError, NotFound) as error:
                turn.notes.append(f"artefact {sha256[:12]} cannot be read: {error}")
                return None
            self._loaded = {**dict(list(self._loaded.items())[-1:]), sha256: artefact}  # no more than two
        return self._loaded[sha256]

    async def _drift(self, turn: Turn, serving: Serving, since: float, now: float) -> None:
        kept = await self._reference(turn, serving, since, now)
        if kept is None:
            return
        span = Window(max(now - self._window_seconds, kept.until_unix), now)
        report = await look(self._store, span, serving.artefact, kept) if span.since_unix < now else None
        if report is None:
            turn.notes.append("drift is not looked at: too few requests since the reference was made")
            return
        before = await self._findings.newest("drift", serving.subject)
        document = finding_of(report, kept, span)
        await self._findings.add("drift", serving.subject, document, alarm=report.drifted)
        turn.drift = {"alarm": report.drifted, "alarms": list(report.alarms), **document}
        was = [part["name"] for part in before.document["parts"] if part["alarm"]] if before is not None else []
        if report.drifted and list(report.alarms) != was:
            log.warning("drift against the %s of %s: %s", kept.told["origin"], serving.name, told_drift(report))
        elif was and not report.drifted:
            log.info("drift is over: traffic is like the %s of %s again", kept.told["origin"], serving.name)

    async def _reference(self, turn: Turn, serving: Serving, since: float, now: float) -> Kept | None:
        if self._kept is not None and self._kept[0] == serving.subject:
            return self._kept[1]
        kept = await kept_reference(self._store, serving.subject)
        if kept is None:
            span = Window(max(since, now - LOOKS_BACK_SECONDS), now)
            missing = await keep_first_requests(self._store, span, serving.artefact, serving.subject)
            if missing:
                turn.notes.append(f"drift is not looked at: {FIRST - missing} of the first {FIRST} requests are there")
                return None
            log.info("drift is measured against the first %d requests of %s", FIRST, serving.name)
            kept = await kept_reference(self._store, serving.subject)
        if kept is not None:
            self._kept = (serving.subject, kept)
        return kept


def _since(history: Sequence[Promotion], current: str | None) -> float:
    """When the current judge became so, canaries beside it left aside; 0 where it always was."""
    since = 0.0
    for entry in history:
        if entry.share is not None:
            continue
        if entry.sha256 != current:
            break
        since = entry.at_unix
    return since
