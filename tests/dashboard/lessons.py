"""What a ledger holds where the loop runs: audits with their labels, opinions, versions of the judge, drift."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from router.domain import Outcome
from router.ledger.contract import NewLabel
from router.ledger.findings import Findings
from router.ledger.registry import Registry
from router.ledger.store import SqlStore
from router.prices import cost_nano
from tests.dashboard.rows import LARGE, SMALL, served

CLASSIFIERS = ("fast@9c41d2e07a55", "fast@51b7e0aa2c90")
ARTEFACTS = (b"one", b"two", b"three")
REASONS = ("no worse: log loss -0.004 [-0.011, 0.002]", "better: log loss -0.021 [-0.034, -0.009]",
           "not better: log loss 0.006 [-0.002, 0.014]")  # fmt: skip


@dataclass(frozen=True)
class Lesson:
    """An audited request: its row, the other answer's and the judge's, and what the two answers scored."""

    asked: Outcome
    other: Outcome
    judge: Outcome
    small: float
    large: float

    @property
    def rows(self) -> list[Outcome]:
        return [self.asked, self.other, self.judge]

    @property
    def served_large(self) -> bool:
        return self.asked.model == "large"

    @property
    def labels(self) -> list[NewLabel]:
        own, other = (self.large, self.small) if self.served_large else (self.small, self.large)
        pairs = ((self.asked, own), (self.other, other))
        return [NewLabel(row.request_id, "audit", "judge", score, at_unix=row.at_unix + 3) for row, score in pairs]


def lessons(number: int, begin: float, end: float, seed: int = 11) -> list[Lesson]:
    """Audited requests of a span. The harder an ask is predicted to be, the more the small model's answer lacks."""
    chance = random.Random(seed)
    found = []
    for index in range(number):
        at = begin + (end - begin) * (index + 0.5) / number
        hard = chance.betavariate(1.4, 2.2)
        served_large = hard > 0.45 + 0.2 * (chance.random() - 0.5)
        large = round(min(1.0, max(0.0, 0.93 - 0.2 * hard + chance.gauss(0, 0.06))), 2)
        lack = 0.75 * hard + chance.gauss(-0.08, 0.14) if chance.random() < 0.9 else 0.0
        small = round(min(1.0, max(0.0, large - max(0.0, lack))), 2)
        own, other = ("large", "small") if served_large else ("small", "large")
        row = served(90_000 + index, at, model=own, rule="keep the promise" if served_large else "easy")
        predicted = {"small": round(0.95 - 0.7 * hard, 3), "large": round(0.95 - 0.15 * hard, 3)}
        row = replace(row, complexity=1 - predicted["small"], gain=predicted["large"] - predicted["small"])
        row.quality, row.classifier = predicted, CLASSIFIERS[index * 2 // number]
        shared: dict[str, Any] = {"parent_id": row.request_id, "cache": "bypass", "ttft_ms": None}
        prices = {"small": SMALL, "large": LARGE}
        audit = replace(
            served(90_000 + index, at + 0.5, model=other), request_id=f"{row.request_id}.audit", purpose="audit",
            usage=row.usage, cost_nano=cost_nano(row.usage, prices[other]), **shared,
        )  # fmt: skip
        judge = replace(
            served(90_000 + index, at + 2.5, model="large"), request_id=f"{row.request_id}.judge1", purpose="judge",
            **shared,
        )  # fmt: skip
        found.append(Lesson(row, audit, judge, small, large))
    return found


def opinions(given: Sequence[Lesson], seed: int = 5) -> list[NewLabel]:
    """Of some of them a caller said something too, and a hint was seen of others."""
    chance = random.Random(seed)
    found = []
    for lesson in given:
        own = lesson.large if lesson.served_large else lesson.small
        name, at = lesson.asked.request_id, lesson.asked.at_unix + 30
        if chance.random() < 0.3:
            found.append(NewLabel(name, "web", "user", float(own > 0.5), at_unix=at))
        elif chance.random() < 0.1:
            found.append(NewLabel(name, "implicit", "implicit", 0.3, at_unix=at))
    return found


async def teach(store: SqlStore, given: Sequence[Lesson], *, drifted: bool = False) -> None:
    """Writes them with labels, three versions of the judge, and a look at drift."""
    await store.write([row for lesson in given for row in lesson.rows])
    await store.add_labels("acme", [label for lesson in given for label in lesson.labels])
    await store.add_labels("acme", opinions(given))
    registry = Registry(store)
    kept = []
    for number, artefact in enumerate(ARTEFACTS):
        metrics = {"passed": number < 2, "reason": REASONS[number]}
        kept.append(await registry.save(artefact, {}, metrics=metrics, parent=kept[-1] if kept else None))
    await registry.promote(kept[0], "ada")
    await registry.promote(kept[1], "retrain")
    await registry.rollback("watch", reason="quality of the new one is worse")
    part = {"n": 812, "moved": 0.02, "p": 0.4, "alarm": False, "top": []}
    reference = {"artefact": kept[0], "origin": "training", "n": 18_200}
    parts = [
        {"name": "features", **part, "top": [[3, 0.05]]},
        {"name": "tasks", **part, **({"moved": 0.41, "p": 1e-12, "alarm": True} if drifted else {})},
        {"name": "score", **part},
        {"name": "labels", **part, "n": 40, "moved": None, "p": None},
        {"name": "gain", **part, "n": 12, "moved": None, "p": None},
    ]
    await Findings(store).add("drift", kept[0], {"reference": reference, "parts": parts}, alarm=drifted)


def redate(database: Path, begin: float, end: float) -> None:
    """Moves versions into a span: retrained and promoted as it goes on, the last promotion rolled back."""

    def at(share: float) -> float:
        return begin + share * (end - begin)

    with closing(sqlite3.connect(database)) as connection:
        made = [name for (name,) in connection.execute("SELECT sha256 FROM artefacts ORDER BY created_unix")]
        for number, name in enumerate(made):
            connection.execute(
                "UPDATE artefacts SET created_unix = ? WHERE sha256 = ?", (at(0.2 + 0.25 * number), name)
            )
        for number, (entry,) in enumerate(connection.execute("SELECT id FROM promotions ORDER BY id").fetchall()):
            connection.execute("UPDATE promotions SET at_unix = ? WHERE id = ?", (at(0.22 + 0.25 * number), entry))
        connection.commit()
