"""Looks after a judge that was promoted, to a share or whole: rolls it back where its live quality is shown to be worse
than that of the one beside it, or than what was expected. It promotes nothing unless it is told to.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence
from dataclasses import asdict
from functools import partial
from typing import Final

from classifiers.contract import Label
from classifiers.training.labels import capped, combined
from classifiers.training.live import Basis, Scored, beside, held
from router.errors import NotFound
from router.learning.turns import Serving, Turn, told_beside, told_held
from router.ledger.contract import Store
from router.ledger.findings import Findings
from router.ledger.joined import AUDIT_KEY, AUDIT_SOURCE
from router.ledger.judged import JudgedRequest, judged_requests_of
from router.ledger.registry import Promotion, Registry, Standing

log = logging.getLogger(__name__)

BY: Final = "watch"
MOST_ROWS: Final = 50_000
"""Labelled requests that are looked at since a judge took over: the first ones, for later ones would change nothing."""


class LookingAfter:
    """wanted: labelled conversations of a canary, from which it may be promoted; promote: whether that is done."""

    def __init__(self, store: Store, *, wanted: int, promote: bool):
        self._store, self._registry, self._findings = store, Registry(store), Findings(store)
        self._wanted, self._promote = wanted, promote

    async def canary(
        self, turn: Turn, canary: Serving, serving: Serving, standing: Standing, history: Sequence[Promotion]
    ) -> None:
        """Compares a canary with what serves beside it."""
        name = canary.name
        if canary.artefact.tier != serving.artefact.tier:
            turn.notes.append(f"the canary {name} is not of the tier {serving.artefact.tier}, so it only stands in")
            return
        if name == serving.name:
            turn.notes.append(f"the canary {name} is the same judge as the one beside it")
            return
        rows = await self._scored((name, serving.name), name, _began(history, canary.subject))
        told = await asyncio.to_thread(partial(beside, rows, standing.share, wanted=self._wanted))
        before = await self._findings.newest("canary", canary.subject)
        document = {"canary": name, "share": standing.share, "control": serving.name, "told": asdict(told)}
        await self._findings.add("canary", canary.subject, document, alarm=told.verdict == "worse")
        turn.canary = document
        reason = told_beside(told)
        if told.verdict == "worse":
            await self._roll_back(turn, name, standing, reason)
        elif told.verdict == "not worse" and self._promote:
            await self._promote_whole(turn, name, standing, reason)
        elif told.verdict == "not worse" and (before is None or before.document["told"]["verdict"] != "not worse"):
            log.info("%s may be promoted: %s", name, reason)

    async def promotion(self, turn: Turn, serving: Serving, standing: Standing, since: float) -> None:
        """Holds what serves against what was expected of it. since: when it was promoted."""
        expected = await self._expected(serving.subject)
        if expected is None:
            turn.notes.append(f"nothing was expected of {serving.name} that its live quality could be held against")
            return
        rows = await self._scored((serving.name,), serving.name, since)
        told = await asyncio.to_thread(held, rows, *expected)
        document = {"judge": serving.name, "told": asdict(told)}
        await self._findings.add("promotion", serving.subject, document, alarm=told.fell)
        turn.promotion = document
        if told.fell:
            await self._roll_back(turn, serving.name, standing, told_held(told))

    async def _expected(self, sha256: str) -> tuple[float, Basis] | None:
        """The lower end of the quality that the gate estimated from audits, else of what served beside it while it was
        a canary; and by which labels that was measured."""
        expected = (await self._registry.report(sha256)).get("expected")
        if isinstance(expected, dict) and isinstance(expected.get("low"), int | float):
            return float(expected["low"]), "audits"
        canary = await self._findings.newest("canary", sha256)
        told = canary.document["told"] if canary is not None else None
        return (
            None if told is None or told["control"]["low"] is None else (float(told["control"]["low"]), told["basis"])
        )

    async def _roll_back(self, turn: Turn, name: str, standing: Standing, reason: str) -> None:
        try:
            await self._registry.rollback(BY, reason=reason, only_if=standing.entry)
        except NotFound as error:
            turn.notes.append(str(error))
            return
        turn.did, turn.reason = "rolled back", reason
        log.warning("%s is rolled back: %s", name, reason)

    async def _promote_whole(self, turn: Turn, name: str, standing: Standing, reason: str) -> None:
        assert standing.canary is not None
        try:
            await self._registry.promote(standing.canary, BY, reason=reason, only_if=standing.entry)
        except NotFound as error:
            turn.notes.append(str(error))
            return
        turn.did, turn.reason = "promoted", reason
        log.info("%s is promoted: %s", name, reason)

    async def _scored(self, names: Collection[str], canary: str, since: float) -> list[Scored]:
        """Labelled requests of these judges since then, each with one score."""
        judged: list[JudgedRequest] = []
        async for batch in judged_requests_of(self._store, names, since):
            judged += batch
            if len(judged) >= MOST_ROWS:
                break
        rows = []
        for row, logged in zip(judged, capped([row.logged for row in judged]), strict=True):
            score = combined(logged.labels)
            audited = combined([label for label in logged.labels if _of_audit(label)])
            if score is None:
                continue
            rows.append(
                Scored(
                    min(label.at_unix for label in logged.labels),
                    row.conversation,
                    row.classifier == canary,
                    score[0],
                    None if audited is None else audited[0],
                    logged.cost_usd,
                )
            )
        return rows


def _of_audit(label: Label) -> bool:
    """A key may bear the same name, but no caller can give a label of that source."""
    return label.key == AUDIT_KEY and label.source == AUDIT_SOURCE


def _began(history: Sequence[Promotion], canary: str) -> float:
    """Since when a canary judges a share, however large that was."""
    since = history[0].at_unix
    for entry in history:
        if entry.sha256 != canary or entry.share is None:
            break
        since = entry.at_unix
    return since
