"""What every store promises, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import time
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from router.domain import Outcome
from router.errors import RowsRefused, StoreAway, StoreError
from router.ledger import reports, schema
from router.ledger.store import DELETE_AT_ONCE, SqlStore
from router.ledger.tables import VERSION_TABLE, features, labels, metadata, outcomes, texts

from .outcomes import a_full_outcome, an_outcome

DAY = 86_400


async def count(store: SqlStore, table: sa.Table) -> int:
    return int((await store.rows(sa.select(sa.func.count().label("n")).select_from(table)))[0]["n"])


async def kept(store: SqlStore, request_id: str) -> Outcome:
    story = await reports.request(store, request_id)
    assert story is not None
    return story.outcome


KEPT = [field.name for field in fields(Outcome) if field.metadata.get("kept", True)]


def same(one: Outcome, other: Outcome) -> bool:
    rest = [name for name in KEPT if name != "features"]
    return all(getattr(one, name) == getattr(other, name) for name in rest) and np.array_equal(
        one.features, other.features
    )


async def test_every_field_of_an_outcome_comes_back_as_it_went_in(store: SqlStore) -> None:
    given = a_full_outcome()
    values = {name: getattr(given, name) for name in KEPT if name != "features"}
    empty = [name for name, value in values.items() if value in (None, "", (), {})]
    assert not empty, "the sample must fill every field, or this test proves nothing of it"
    await store.write([given])
    assert same(await kept(store, given.request_id), given)


async def test_what_is_not_known_stays_unknown(store: SqlStore) -> None:
    given = Outcome("bare", time.time(), "acme", "web")
    await store.write([given])
    assert same(await kept(store, "bare"), given)


async def test_a_repeated_write_changes_nothing(store: SqlStore) -> None:
    given = [a_full_outcome(), an_outcome(), a_full_outcome(parent_id=None)]
    await store.write(given)
    await store.write([*given[1:], an_outcome()])
    assert (await count(store, outcomes), await count(store, features), await count(store, texts)) == (4, 2, 2)


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 70_000_000_000_000_000_000},
        {"tenant": None},
        {"rules": ("not a rule",)},
        {"usage": None},
        {"model": object()},
        {"latency_ms": "soon"},
    ],
    ids=lambda fault: next(iter(fault)),
)
async def test_a_row_at_fault_is_refused_with_all_that_came_with_it(store: SqlStore, fault: dict[str, Any]) -> None:
    with pytest.raises(RowsRefused):
        await store.write([an_outcome(), an_outcome(**fault), an_outcome()])
    assert await count(store, outcomes) == 0


async def test_text_that_a_database_cannot_hold_is_made_holdable(store: SqlStore) -> None:
    given = an_outcome(conversation="a\0b", caller_request_id="\ud800", finish_reason="\0", response_text="\0ß")
    await store.write([given])
    row = await kept(store, given.request_id)
    assert (row.conversation, row.caller_request_id, row.response_text) == ("a\ufffdb", "?", "\ufffdß")


async def test_features_are_kept_in_half_precision_and_at_most_a_kilobyte(store: SqlStore) -> None:
    vector = np.linspace(-3, 3, 512, dtype=np.float32)
    given = an_outcome(features=vector, features_digest="d")
    longer = an_outcome(features=np.zeros(513, np.float32), features_digest="d")
    huge = an_outcome(features=np.array([1e9, -1e9], np.float32), features_digest="d")
    await store.write([given, longer, huge])
    row = await kept(store, given.request_id)
    assert row.features.dtype == np.float32
    np.testing.assert_allclose(row.features, vector, atol=2e-3)
    assert (await kept(store, longer.request_id)).features is None
    assert np.isfinite((await kept(store, huge.request_id)).features).all()
    size = sa.func.length(features.c.vector)
    assert (await store.rows(sa.select(sa.func.max(size).label("most"))))[0]["most"] == 1024


async def test_features_of_private_asks_are_never_kept(store: SqlStore) -> None:
    await store.write([an_outcome(features=np.ones(4, np.float32), features_digest="d", ask={"private": ["email"]})])
    assert await count(store, features) == 0


async def test_text_is_only_kept_where_it_is_given(store: SqlStore) -> None:
    await store.write([an_outcome(), an_outcome(request_text="asked")])
    assert await count(store, texts) == 1


async def test_a_label_needs_a_request_of_the_same_tenant(store: SqlStore) -> None:
    given = an_outcome(tenant="acme")
    await store.write([given])
    assert await store.add_label(given.request_id, "acme", "web", "user", 1.0)
    assert not await store.add_label(given.request_id, "umbrella", "web", "user", 0.0)
    assert not await store.add_label("req_unknown", "acme", "web", "user", 0.0)
    assert await count(store, labels) == 1


async def test_the_latest_label_of_a_key_and_source_wins(store: SqlStore) -> None:
    given = an_outcome()
    await store.write([given])
    for key, source, score in [("web", "user", 0.1), ("web", "judge", 0.5), ("ops", "user", 0.7), ("web", "user", 0.9)]:
        assert await store.add_label(given.request_id, "acme", key, source, score, 0.5, f"score {score}")  # type: ignore[arg-type]
    story = await reports.request(store, given.request_id)
    assert story is not None
    found = {(label.key, label.source): (label.score, label.weight, label.comment) for label in story.labels}
    assert found == {
        ("web", "user"): (0.9, 0.5, "score 0.9"),
        ("web", "judge"): (0.5, 0.5, "score 0.5"),
        ("ops", "user"): (0.7, 0.5, "score 0.7"),
    }


async def test_a_label_may_come_before_its_row(store: SqlStore) -> None:
    given = an_outcome()
    assert await store.add_label(given.request_id, "acme", "web", "user", 1.0, known=True)
    await store.write([given])
    story = await reports.request(store, given.request_id)
    assert story is not None
    assert [label.score for label in story.labels] == [1.0]


async def test_pruning_forgets_what_is_older_and_nothing_else(store: SqlStore) -> None:
    now = time.time()
    ages = [0.0, 2 * DAY, 5 * DAY - 60, 5 * DAY + 60, 20 * DAY, 400 * DAY]
    given = [a_full_outcome(at_unix=now - age, request_id=f"{age / DAY:.3f}", parent_id=None) for age in ages]
    await store.write(given)
    assert await store.prune(now - 5 * DAY, features_before_unix=now - DAY) == 3
    left = {row["request_id"] for row in await store.rows(sa.select(outcomes.c.request_id))}
    assert left == {outcome.request_id for outcome in given[:3]}
    assert (await count(store, texts), await count(store, features)) == (3, 1)
    assert await store.prune(now - 5 * DAY) == 0
    await store.write([replace(given[3], request_id="late")])
    assert await count(store, outcomes) == 4


async def test_pruning_many_rows_takes_several_steps_and_leaves_none_behind(store: SqlStore) -> None:
    old = time.time() - 40 * DAY
    await store.write([an_outcome(at_unix=old + number // 3000) for number in range(2 * DELETE_AT_ONCE + 7)])
    await store.write([an_outcome()])
    assert await store.prune(time.time() - DAY) == 2 * DELETE_AT_ONCE + 7
    assert await count(store, outcomes) == 1


async def test_pruning_takes_old_labels_along(store: SqlStore) -> None:
    given = an_outcome()
    await store.write([given])
    await store.add_label(given.request_id, "acme", "web", "user", 1.0)
    await store.prune(time.time() - 60)
    assert await count(store, labels) == 1
    await store.prune(time.time() + 60)
    assert await count(store, labels) == 0


async def test_gateways_that_start_at_once_on_an_empty_database_all_get_it(store_url: str) -> None:
    stores = [SqlStore(store_url) for _ in range(6)]
    await asyncio.gather(*(store.open() for store in stores))
    for store in stores:
        await store.write([an_outcome()])
        await store.open()
    assert await count(stores[0], outcomes) == 6
    for store in stores:
        await store.aclose()


async def test_somebody_elses_database_is_refused_and_left_alone(store_url: str) -> None:
    store = SqlStore(store_url)
    async with store.transaction() as connection:
        await connection.execute(sa.text("CREATE TABLE customers (id int)"))
    with pytest.raises(StoreError, match="customers"):
        await store.open()
    async with store.transaction() as connection:
        assert await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names()) == ["customers"]
    await store.aclose()


async def test_a_newer_schema_is_refused(store_url: str) -> None:
    store = SqlStore(store_url)
    await store.open()
    async with store.transaction() as connection:
        await connection.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(StoreError, match="9999") as refused:
        await store.open()
    assert not isinstance(refused.value, StoreAway)
    await store.aclose()


async def test_the_migrations_make_exactly_the_tables_that_the_program_knows(store: SqlStore) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    def differences(connection: sa.Connection) -> Any:
        ours = {*metadata.tables, VERSION_TABLE}
        options = {
            "include_name": lambda name, kind, _parents: kind != "table" or name in ours,
            "version_table": VERSION_TABLE,
        }
        return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)

    async with store.transaction() as connection:
        assert await connection.run_sync(differences) == []


def test_the_newest_revision_is_the_one_the_program_asks_for() -> None:
    from alembic.script import ScriptDirectory

    assert ScriptDirectory(str(Path(schema.__file__).parent / "migrations")).get_current_head() == schema.HEAD


@pytest.mark.parametrize("url", ["mysql://localhost/x", "nonsense", "", "sqlite://", "sqlite:///:memory:"])
def test_a_url_of_no_database_we_know_is_refused_at_once(url: str) -> None:
    with pytest.raises(StoreError):
        SqlStore(url)


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("these are not rows\n" * 200)
    store = SqlStore(f"sqlite:///{tmp_path / 'notes.txt'}")
    with pytest.raises(StoreError) as refused:
        await store.open()
    assert not isinstance(refused.value, StoreAway)
    await store.aclose()


async def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path / 'a' / 'b' / 'ledger.sqlite3'}")
    await store.open()
    await store.aclose()
    assert (tmp_path / "a" / "b" / "ledger.sqlite3").exists()
