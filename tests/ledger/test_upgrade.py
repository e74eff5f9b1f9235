"""A ledger of an older schema is brought up to date where it stands, and keeps its rows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import command

from router.ledger import reports, schema
from router.ledger.rows import outcome_row
from router.ledger.store import SqlStore
from router.ledger.tables import VERSION_TABLE, outcomes
from tests.ledger.outcomes import a_full_outcome


def to_revision(connection: sa.Connection, revision: str) -> None:
    """As a program of that time would have made it."""
    config = schema._config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


async def test_rows_of_before_there_were_shadows_are_kept_and_have_none(store_url: str) -> None:
    old, new = a_full_outcome(request_id="req_old"), a_full_outcome(request_id="req_new")
    names = [column.name for column in outcomes.columns]
    values = dict(zip(names, outcome_row(old), strict=True))
    kept = [name for name in names if not name.startswith("shadow_")]
    insert = sa.text(f"INSERT INTO outcomes ({', '.join(kept)}) VALUES ({', '.join(':' + name for name in kept)})")
    store = SqlStore(store_url)
    async with store.transaction() as connection:
        await connection.run_sync(to_revision, "0001")
    async with store.transaction() as connection:
        await connection.execute(insert, {name: values[name] for name in kept})
    await store.open()
    await store.write([new])
    async with store.transaction() as connection:
        version = (await connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}"))).scalar_one()
    assert version == schema.HEAD
    before, after = await reports.request(store, "req_old"), await reports.request(store, "req_new")
    assert before is not None and after is not None
    assert before.outcome.shadow_policy is None and before.outcome.rule == old.rule
    assert after.outcome.shadow_model == new.shadow_model and after.outcome.shadow_gain == new.shadow_gain
    await store.aclose()
