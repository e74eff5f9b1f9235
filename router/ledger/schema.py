"""Brings a database to the schema that this program knows, or says why it cannot be used.

Runs once when a gateway or a command opens the store. Alembic is only imported where there is something to change.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from router.errors import StoreError
from router.ledger.tables import VERSION_TABLE

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0004"
"""The newest revision in `migrations/versions`; a test keeps it so."""

_FOLDER = Path(__file__).parent / "migrations"


def is_current(connection: sa.Connection) -> bool:
    """Whether the schema is the one this program knows. Raises StoreError for somebody else's or a newer one."""
    tables = sa.inspect(connection).get_table_names()
    if VERSION_TABLE not in tables:
        if tables:
            shown = ", ".join(sorted(tables)[:3])
            raise StoreError(
                f"The database holds tables that are not Signalbox's ({shown}); give Signalbox a database of its own."
            )
        return False
    versions = connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalars().all()  # noqa: S608
    if versions == [HEAD]:
        return True
    if versions and not set(versions) <= _known():
        raise StoreError(
            f"The database has schema {', '.join(versions)}, and this program knows {HEAD} at most; "
            "upgrade Signalbox, or point it at another database."
        )
    return False


def upgrade(connection: sa.Connection) -> None:
    """Runs what revisions are missing, inside the connection's transaction."""
    from alembic import command

    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _known() -> set[str]:
    from alembic.script import ScriptDirectory

    return {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
