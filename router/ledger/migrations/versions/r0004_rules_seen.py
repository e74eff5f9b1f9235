"""A table of when each rule with a `max_risk` was first seen with a judge."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rules_seen",
        sa.Column(
            "known_by", sa.Text, nullable=False, comment="a digest of judge, baseline, models and rules up to it"
        ),
        sa.Column("route", sa.Text, nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("classifier", sa.Text, nullable=False),
        sa.Column("since_unix", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("known_by"),
    )


def downgrade() -> None:
    raise NotImplementedError("A ledger is never taken back; restore a backup instead.")
