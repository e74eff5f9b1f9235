"""Learning gets every decision once, oldest first, with its labels, however it is batched."""

from __future__ import annotations

import numpy as np
import pytest

from classifiers.contract import LoggedDecision, ModelCard
from router.domain import Usage
from router.ledger.export import decisions
from router.ledger.store import SqlStore
from router.ledger.window import Window

from .outcomes import a_full_outcome, an_outcome

WINDOW = Window(1000.0, 2000.0)


async def everything(store: SqlStore, *, labelled_only: bool = False, batch: int = 1000) -> list[LoggedDecision]:
    return [row async for rows in decisions(store, WINDOW, labelled_only=labelled_only, batch=batch) for row in rows]


async def test_a_decision_carries_what_learning_needs(store: SqlStore) -> None:
    features = np.array([0.5, -2.0, 3.25], np.float32)
    given = a_full_outcome(
        at_unix=1500.0, purpose="chat", parent_id=None, outcome="ok", features=features, usage=Usage(1, 2, 3, 4, 1)
    )
    await store.write([given])
    await store.add_label(given.request_id, "acme", "web", "user", 1.0, 0.5)
    await store.add_label(given.request_id, "acme", "web", "judge", 0.25)
    (row,) = await everything(store)
    assert (row.request_id, row.at_unix, row.tenant, row.task, row.language) == (
        given.request_id,
        1500.0,
        "acme",
        "maths",
        "de",
    )
    assert row.model == ModelCard("small", "qwen2.5:3b", "small")
    assert (row.eligible, row.quality, row.probability) == (("small",), given.quality, 0.95)
    assert (row.cost_usd, row.input_tokens, row.output_tokens) == (1e-7, 6, 4)
    assert row.features is not None
    assert row.features.dtype == np.float32
    np.testing.assert_array_equal(row.features, features)
    assert row.features_digest == "f00d"
    assert {(label.source, label.score, label.weight) for label in row.labels} == {
        ("user", 1.0, 0.5),
        ("judge", 0.25, 1.0),
    }


async def test_only_choices_that_were_answered_are_learned_from(store: SqlStore) -> None:
    chosen = an_outcome(at_unix=1500.0, cost_nano=None)
    left_out = [
        {"cache": "hit"},
        {"purpose": "audit", "parent_id": "x"},
        {"outcome": "upstream_error"},
        {"outcome": "client_closed"},
        {"model": None},
        {"at_unix": 999.9},
        {"at_unix": 2000.0},
    ]
    await store.write([chosen, *(an_outcome(**({"at_unix": 1500.0} | changes)) for changes in left_out)])
    (row,) = await everything(store)
    assert (row.request_id, row.cost_usd, row.features, row.labels) == (chosen.request_id, None, None, ())


@pytest.mark.parametrize("batch", [1, 3, 7, 1000])
async def test_every_batch_size_gives_the_same_rows_in_order(store: SqlStore, batch: int) -> None:
    await store.write([an_outcome(at_unix=1000.0 + number // 4) for number in range(25)])
    rows = await everything(store, batch=batch)
    assert len({row.request_id for row in rows}) == 25
    assert [(row.at_unix, row.request_id) for row in rows] == sorted((row.at_unix, row.request_id) for row in rows)


async def test_labelled_only_leaves_out_what_nobody_judged(store: SqlStore) -> None:
    given = [an_outcome(at_unix=1500.0) for _ in range(5)]
    await store.write(given)
    await store.add_label(given[2].request_id, "acme", "web", "user", 0.0)
    assert [row.request_id for row in await everything(store, labelled_only=True, batch=2)] == [given[2].request_id]
