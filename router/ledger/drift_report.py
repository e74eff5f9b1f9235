"""`GET /api/drift` as a document: what traffic is measured against, what the last look found, and the looks before."""

from __future__ import annotations

from typing import Any, Final

from router.ledger.findings import PART_FIELDS, Finding, Findings
from router.ledger.window import timestamp

MOST: Final = 500
"""Looks of the past that one answer tells, at most."""


async def drift_document(findings: Findings, most: int = 100) -> dict[str, Any]:
    """Raises StoreAway. The reference is null before there is one, `newest` before the first look."""
    looks = await findings.latest("drift", most)
    told = looks[0].document["reference"] if looks else None
    if told is None and (reference := await findings.newest("reference")) is not None:
        told = origin_of(reference)
    return {
        "reference": told,
        "newest": {**_look(looks[0]), "parts": parts_of(looks[0])} if looks else None,
        "history": [_look(look) for look in looks],
    }


def origin_of(reference: Finding) -> dict[str, Any]:
    """Whose reference it is, what it was made from, and of how many requests."""
    return {
        "artefact": reference.subject,
        "origin": reference.document["origin"],
        "n": reference.document["n"],
    }


def parts_of(look: Finding) -> list[dict[str, Any]]:
    """Features, tasks, score, labels and gain, each with what became of it."""
    return [{name: part[name] for name in PART_FIELDS} for part in look.document["parts"]]


def _look(look: Finding) -> dict[str, Any]:
    alarms = [part["name"] for part in look.document["parts"] if part["alarm"]]
    return {"at": timestamp(look.at_unix), "alarm": look.alarm, "alarms": alarms}
