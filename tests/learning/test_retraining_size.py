"""A ledger of thousands of rows, read in batches, teaches just what the same rows teach that were never written."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from classifiers.artefact import Artefact, load_default, unpack
from classifiers.contract import Label, LoggedDecision, ModelCard
from classifiers.training.forward import chain
from classifiers.training.retrain import retrain_from_logs
from classifiers.training.rows import join_repeats
from router.domain import Outcome, Usage
from router.learning.retrain import retrain
from router.ledger.contract import NewLabel
from router.ledger.export import BATCH
from router.ledger.registry import Registry
from router.ledger.store import SqlStore
from router.ledger.window import Window
from tests.learning.traffic import EVERYDAY, TECHNICAL, vectors

ROWS = 2 * BATCH + 345
CARDS = (ModelCard("local", "acme/tiny-3b", "small"), ModelCard("remote", "acme/grand", "large"))


def traffic(current: Artefact) -> list[LoggedDecision]:
    """Labelled answers of a small and a large model, as the ledger would give them. SIMULATED labels."""
    random = np.random.default_rng(5)
    known = np.vstack([vectors(EVERYDAY), vectors(TECHNICAL)])
    begin = time.time() - ROWS - 10
    rows = []
    for number, place in enumerate(random.integers(0, len(known), ROWS)):
        card, at = CARDS[number % 3 == 0], begin + number
        features = (known[place] + random.normal(size=known.shape[1]) * 0.01).astype(np.float16).astype(np.float32)
        good = float(random.random() < (0.8 if place < len(vectors(EVERYDAY)) else 0.3))
        name = f"req_{number:05}"
        rows.append(
            LoggedDecision(
                request_id=name, at_unix=at, tenant="acme", task="chat", language="en", model=card,
                eligible=("local", "remote"), quality={"local": 0.5, "remote": 0.75}, probability=0.5,
                cost_usd=1e-6, input_tokens=10, output_tokens=20, features=features,
                features_digest=current.featurise.digest,
                labels=(Label(name, good, "verifier", 1.0, at + 1.0, "tests"),),
            )
        )  # fmt: skip
    return rows


async def written(store: SqlStore, rows: list[LoggedDecision]) -> None:
    outcomes = []
    for row in rows:
        outcome = Outcome(row.request_id, row.at_unix, row.tenant, "web", status=200, task=row.task, language="en")
        outcome.model = outcome.decided_model = row.model.name
        outcome.upstream_model, outcome.tier, outcome.probability = row.model.model, row.model.tier, row.probability
        outcome.eligible, outcome.quality = dict.fromkeys(row.eligible, True), row.quality
        outcome.usage, outcome.cost_nano = Usage(row.input_tokens, output=row.output_tokens), 1000
        outcome.features, outcome.features_digest = row.features, row.features_digest
        outcomes.append(outcome)
    await store.write(outcomes)
    labels = [
        NewLabel(one.request_id, one.key, one.source, one.score, at_unix=one.at_unix)
        for row in rows
        for one in row.labels
    ]
    await store.add_labels("acme", labels)


async def test_a_ledger_of_thousands_teaches_what_the_same_rows_teach_directly(tmp_path: Path) -> None:
    current = load_default()
    rows = traffic(current)
    direct = chain(join_repeats(rows), current, lambda given: retrain_from_logs(given, current, seed=0))
    assert direct.report.changed and direct.report.used == sum(row.at_unix < direct.begins[-1] for row in rows)

    store = SqlStore(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    await store.open()
    try:
        await written(store, rows)
        window = Window(rows[0].at_unix - 1.0, rows[-1].at_unix + 1.0)
        done = await retrain(store, window, promote=False, by="tests")
        assert done.sha256 is not None
        learned = unpack(await Registry(store).fetch(done.sha256), tmp_path / "candidate")
    finally:
        await store.aclose()

    assert (done.labelled, done.held_out, done.report) == (ROWS, direct.held_out, direct.report)
    assert learned.models == direct.candidate.models
    np.testing.assert_array_equal(learned.heads, direct.candidate.heads)
