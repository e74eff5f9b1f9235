"""Logged traffic for tests of the watch: seed prompts of some tasks as the judge reads them. SIMULATED labels."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classifiers.artefact import load_default, pack, save_artefact
from classifiers.learned import LearnedClassifier
from classifiers.training.dataset import seed_rows
from router.domain import Outcome, Usage
from router.ledger.contract import NewLabel
from router.ledger.store import SqlStore

SHIPPED = load_default()
SHIPPED_NAME = f"fast@{SHIPPED.digest}"
FIRST_REQUESTS = 1_000
EVERYDAY = ("chat", "factual", "advice", "creative", "rewrite", "translation")
TECHNICAL = ("code", "maths", "reasoning", "analysis")


@cache
def vectors(tasks: tuple[str, ...]) -> NDArray[np.float32]:
    """Of the seed prompts of these tasks."""
    return np.stack([SHIPPED.featurise(row.ask) for row in seed_rows() if row.task in tasks])


def another(folder: Path) -> tuple[bytes, str]:
    """A sound artefact that is not the shipped one, and the name of the judge it makes."""
    artefact = replace(SHIPPED, heads=SHIPPED.heads * np.float32(0.9))
    save_artefact(artefact, folder, {}, {})
    return pack(folder), LearnedClassifier.load(folder).name


async def ask(
    store: SqlStore,
    tasks: Sequence[str],
    count: int,
    *,
    since: float,
    until: float | None = None,
    seed: int = 0,
    judge: str = SHIPPED_NAME,
    good: float | None = None,
    audited: bool = False,
) -> None:
    """Requests evenly over a span of time, each a conversation; labelled where `good` says how often they are."""
    random = np.random.default_rng(seed)
    of_tasks = vectors(tuple(tasks))
    times = np.linspace(since, time.time() - 1 if until is None else until, count, endpoint=False)
    rows = []
    for number, (at, index) in enumerate(zip(times, random.integers(0, len(of_tasks), count), strict=True)):
        row = Outcome(f"req_{judge}_{seed}_{number:05}", float(at), "acme", "web", status=200)
        row.model = row.decided_model = row.upstream_model = "local"
        row.tier, row.route, row.classifier, row.conversation = "small", "auto", judge, f"{judge}{seed}-{number}"
        row.usage, row.cost_nano, row.probability = Usage(10, output=10), 1_000, 1.0
        row.features, row.features_digest = of_tasks[index], SHIPPED.featurise.digest
        rows.append(row)
    await store.write(rows)
    if good is not None:
        scores = (random.random(count) < good).astype(float).tolist()
        given = [
            NewLabel(row.request_id, "audit", "judge", score)
            if audited
            else NewLabel(row.request_id, "web", "verifier", score)
            for row, score in zip(rows, scores, strict=True)
        ]
        await store.add_labels("acme", given)
