"""Where alembic enters. The connection, already in a transaction and holding the lock, is handed in by `schema`."""

from __future__ import annotations

from alembic import context

from router.ledger.tables import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
