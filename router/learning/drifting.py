"""Drift of live traffic: what it is measured against, kept once for each judge, and how far a window lies from it.

A window is read as a sample: the first requests of each of many equal spans, so that it takes as long and as much
memory for a day of ten requests a second as for one of a thousand. The arithmetic is `classifiers.training.drift`'s.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from classifiers.artefact import Artefact
from classifiers.contract import LoggedDecision
from classifiers.training.drift import LEAST, DriftReport, Reference, Tally, Window
from classifiers.training.windows import window_of
from router.ledger.contract import Store
from router.ledger.drift_report import origin_of
from router.ledger.export import decisions
from router.ledger.findings import Findings
from router.ledger.gains import gains
from router.ledger.window import Window as Span

SPANS: Final = 96
OF_EACH: Final = 250
"""Requests: a window is read as 24,000 at most, a quarter of an hour of a day apart from the next."""
FIRST: Final = 1_000
"""Requests that a reference is made of where the judge was not trained on this traffic."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A reference as it is kept. told: whose it is, what it is made of, and of how many. until_unix: where it ends."""

    reference: Reference
    told: dict[str, Any]
    until_unix: float


async def keep_reference(store: Store, span: Span, artefact: Artefact, sha256: str) -> None:
    """Keeps the traffic that an artefact of the registry was trained on as what drift is measured against.

    All requests of the window, not those that were labelled: it is all of them that are looked at later.
    """
    parts = [window_of(rows, artefact) async for rows in sampled(store, span)]
    whole = _joined(parts, await gains(store, span))
    await _keep(store, sha256, "training", whole, span.until_unix)


async def kept_reference(store: Store, subject: str) -> Kept | None:
    """The reference of an artefact. Raises TrainingError for one that is damaged."""
    found = await Findings(store).reference(subject)
    if found is None:
        return None
    return Kept(Reference.from_json(found.document["reference"]), origin_of(found), found.document["until_unix"])


async def keep_first_requests(store: Store, span: Span, artefact: Artefact, subject: str) -> int:
    """Keeps the first requests of a span as the reference, once there are enough. Returns how many are missing yet."""
    rows = await _first(store, span, FIRST)
    if len(rows) < FIRST:
        return FIRST - len(rows)
    until = rows[-1].at_unix
    whole = window_of(rows, artefact, await gains(store, Span(span.since_unix, until)))
    await _keep(store, subject, "first requests", whole, until)
    return 0


async def look(store: Store, span: Span, artefact: Artefact, kept: Kept) -> DriftReport | None:
    """How far the traffic of a span lies from the reference; None where there is too little of it to say."""
    tally, n = Tally(kept.reference), 0
    async for rows in sampled(store, span):
        tally.add(window_of(rows, artefact))
        n += len(rows)
    if n < LEAST:
        return None
    tally.add(Window(gains=np.array(await gains(store, span), dtype=np.float64)))
    return tally.report()


async def sampled(store: Store, span: Span) -> AsyncIterator[Sequence[LoggedDecision]]:
    """The first requests of each of many equal parts of a span, oldest first."""
    edges = np.linspace(span.since_unix, span.until_unix, SPANS + 1).tolist()
    for since, until in pairwise(edges):
        if rows := await _first(store, Span(since, until), OF_EACH):
            yield rows


def finding_of(report: DriftReport, kept: Kept, span: Span) -> dict[str, Any]:
    """What the ledger keeps of a look."""
    return {
        "reference": kept.told,
        "since_unix": span.since_unix,
        "until_unix": span.until_unix,
        "parts": [asdict(part) for part in report.parts],
    }


async def _first(store: Store, span: Span, most: int) -> Sequence[LoggedDecision]:
    async for rows in decisions(store, span, batch=most):
        return rows
    return ()


async def _keep(store: Store, subject: str, origin: str, window: Window, until_unix: float) -> None:
    document = {
        "origin": origin,
        "n": len(window.tasks),
        "until_unix": until_unix,
        "reference": Reference.of(window).to_json(),
    }
    await Findings(store).add("reference", subject, document)


def _joined(parts: Sequence[Window], of_audits: Sequence[float]) -> Window:
    """One window of several that the same artefact reads."""
    vectors = [part.features for part in parts if part.features is not None]
    return Window(
        np.concatenate(vectors) if vectors else None,
        next((part.features_digest for part in parts if part.features is not None), None),
        [task for part in parts for task in part.tasks],
        np.concatenate([part.scores for part in parts] or [np.zeros(0)]),
        np.concatenate([part.labels for part in parts] or [np.zeros(0)]),
        np.array(of_audits, dtype=np.float64),
    )
