"""A retraining leaves behind what its candidate was trained on, and what is expected of it."""

from __future__ import annotations

from classifiers.training.drift import Reference
from router.ledger.findings import Findings
from router.ledger.registry import Registry
from router.ledger.store import SqlStore
from tests.learning.test_retraining import logged, much_worse, run, store

__all__ = ["store"]


async def test_a_retraining_keeps_the_traffic_it_learned_from_as_the_reference(store: SqlStore) -> None:
    await logged(store, 300, much_worse)
    done = await run(store)
    assert done.sha256 is not None and done.learned_until is not None
    kept = await Findings(store).reference(done.sha256)
    assert kept is not None and kept.document["origin"] == "training"
    reference = Reference.from_json(kept.document["reference"])
    assert kept.document["until_unix"] == done.learned_until
    assert 100 <= kept.document["n"] == sum(reference.tasks.values()) < 300
    assert len(reference.features) > 100 and reference.labels.n == kept.document["n"]


async def test_without_a_policy_nothing_is_expected_of_a_candidate(store: SqlStore) -> None:
    await logged(store, 300, much_worse)
    done = await run(store, promote=False)
    assert done.sha256 is not None
    assert (await Registry(store).report(done.sha256))["expected"] is None
    assert await Registry(store).report("0" * 64) == {}
