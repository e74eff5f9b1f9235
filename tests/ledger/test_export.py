"""Learning gets every decision once, oldest first, with its labels, however it is batched."""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from classifiers.contract import LoggedDecision, ModelCard
from router.domain import Usage
from router.ledger.contract import Store
from router.ledger.export import audited, decisions, other_halves
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


async def an_audited_pair(store: SqlStore, at_unix: float) -> tuple[str, str]:
    """A request of the small model that the large one answered too, both labelled by a judge."""
    asked = an_outcome(
        at_unix=at_unix,
        tier="small",
        task="maths",
        features=np.full(3, at_unix - 1000.0, np.float32),
        features_digest="f",
    )
    other = an_outcome(
        request_id=f"{asked.request_id}.audit", parent_id=asked.request_id, purpose="audit", at_unix=at_unix,
        model="large", tier="large", cost_nano=5000,
    )  # fmt: skip
    await store.write([asked, other])
    for row, score in ((asked, 0.25), (other, 0.75)):
        await store.add_label(row.request_id, "acme", "audit", "judge", score)
    return asked.request_id, other.request_id


@pytest.mark.parametrize("batch", [1, 3, 1000])
async def test_the_other_half_of_an_audit_bears_the_features_of_its_request(store: SqlStore, batch: int) -> None:
    pairs = [await an_audited_pair(store, 1000.0 + number // 2) for number in range(7)]
    rows = [row async for found in other_halves(store, WINDOW, batch=batch) for row in found]
    assert sorted(row.request_id for row in rows) == sorted(other for _, other in pairs)
    assert [(row.at_unix, row.request_id) for row in rows] == sorted((row.at_unix, row.request_id) for row in rows)
    for row in rows:
        assert (row.model.name, row.task, row.probability, row.cost_usd) == ("large", "maths", None, 5e-6)
        assert row.features is not None and row.features.tolist() == [row.at_unix - 1000.0] * 3
        assert [label.score for label in row.labels] == [0.75]
    assert [row.request_id for row in await audited(store, WINDOW)] == [row.request_id for row in rows]


class Watched:
    """A store that counts how many rows it was asked for at once."""

    def __init__(self, store: Store):
        self._store, self.most = store, 0

    async def rows(self, query: sa.Select[Any]) -> Sequence[sa.RowMapping]:
        found = await self._store.rows(query)
        self.most = max(self.most, len(found))
        return found


async def most_alive(batches: AsyncIterator[Sequence[LoggedDecision]]) -> tuple[int, int]:
    """(rows in all, rows that were in memory at once) for a reader who lets go of each batch."""
    alive: set[int] = set()
    most = total = 0
    async for batch in batches:
        for row in batch:
            assert row.features is not None
            total += 1
            alive.add(total)
            weakref.finalize(row.features, alive.discard, total)
        most = max(most, len(alive))
        del batch, row
    return total, most


async def test_an_export_holds_two_batches_at_most_however_long_the_ledger(store: SqlStore) -> None:
    features = np.ones(3, np.float32)
    await store.write([an_outcome(at_unix=1000.0 + number, features=features) for number in range(200)])
    watched: Any = Watched(store)
    total, most = await most_alive(decisions(watched, WINDOW, batch=10))
    assert (total, watched.most) == (200, 10)
    assert most <= 20


async def test_an_export_of_audits_holds_two_batches_at_most(store: SqlStore) -> None:
    for number in range(40):
        await an_audited_pair(store, 1000.0 + number)
    watched: Any = Watched(store)
    total, most = await most_alive(other_halves(watched, WINDOW, batch=4))
    assert (total, watched.most) == (40, 4)
    assert most <= 8


async def test_rows_that_say_the_same_share_it(store: SqlStore) -> None:
    """Hundreds of thousands of rows are held by a retraining, and most of what they say is the same few words."""
    given = [an_outcome(at_unix=1500.0, task="maths", eligible={"small": True, "large": "too dear"}) for _ in range(2)]
    await store.write(given)
    for row in given:
        await store.add_label(row.request_id, "acme", "web", "user", 1.0)
    one, other = await everything(store)
    for shared in ("tenant", "task", "language", "model", "eligible"):
        assert getattr(one, shared) is getattr(other, shared), shared
    assert one.eligible == ("small",)
    assert one.labels[0].key is other.labels[0].key and one.labels[0].request_id is one.request_id
