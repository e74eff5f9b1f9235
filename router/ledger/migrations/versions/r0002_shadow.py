"""Gives outcomes what a shadow policy would have decided. Rows of before have none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name, kind in (
        ("shadow_policy", sa.Text),
        ("shadow_model", sa.Text),
        ("shadow_rule", sa.Text),
        ("shadow_cost_nano", sa.BigInteger),
        ("shadow_gain", sa.Double),
    ):
        op.add_column("outcomes", sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    raise NotImplementedError("A ledger is never taken back; restore a backup instead.")
