"""A table of what `signalbox watch` finds; promotions to a share of the conversations, and why each entry was made."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "findings",
        sa.Column("id", sa.Integer, autoincrement=True, nullable=False),
        sa.Column("at_unix", sa.Double, nullable=False),
        sa.Column("kind", sa.Text, nullable=False, comment="drift, canary, promotion, or reference"),
        sa.Column("subject", sa.Text, nullable=False, comment="an artefact's sha256, or the name of a shipped one"),
        sa.Column("alarm", sa.Boolean, nullable=False),
        sa.Column("document", sa.JSON(none_as_null=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("findings_kind", "findings", ["kind", "id"])
    op.create_index("findings_at", "findings", ["at_unix"])
    op.add_column(
        "promotions",
        sa.Column("share", sa.Double, nullable=True, comment="of the conversations that it judges; NULL: all"),
    )
    op.add_column("promotions", sa.Column("reason", sa.Text, nullable=True))


def downgrade() -> None:
    raise NotImplementedError("A ledger is never taken back; restore a backup instead.")
