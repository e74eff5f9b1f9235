"""Makes the whole ledger: outcomes, features, texts, labels, artefacts, promotions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BY_DAY = "RANGE (at_unix)"


def text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=null)


def big(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=null)


def double(name: str, *, null: bool = False) -> sa.Column[float]:
    return sa.Column(name, sa.Double, nullable=null)


def json(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.JSON)


def upgrade() -> None:
    op.create_table(
        "outcomes",
        double("at_unix"),
        text("request_id"),
        sa.Column(
            "hour", sa.Integer, nullable=False, comment="whole hours since the epoch, UTC: what reports group by"
        ),
        sa.Column(
            "purpose", sa.Text, nullable=False, comment="chat, attempt, audit or judge; all but chat have a parent"
        ),
        text("parent_id", null=True),
        text("tenant"),
        text("key"),
        text("caller_request_id", null=True),
        text("conversation", null=True),
        text("route", null=True),
        text("policy"),
        text("plan"),
        text("rule"),
        text("classifier"),
        text("model", null=True),
        text("upstream_model", null=True),
        text("provider", null=True),
        text("tier", null=True),
        text("decided_model", null=True),
        double("probability", null=True),
        sa.Column("stream", sa.Boolean, nullable=False),
        sa.Column("status", sa.SmallInteger, nullable=False),
        text("outcome"),
        text("error_code", null=True),
        text("fault", null=True),
        text("finish_reason", null=True),
        text("cache"),
        sa.Column("attempts", sa.Integer, nullable=False),
        big("uncached_input"),
        big("cache_read"),
        big("cache_write"),
        big("output"),
        big("reasoning"),
        sa.Column("usage_estimated", sa.Boolean, nullable=False),
        json("price"),
        big("cost_nano", null=True),
        text("baseline_model", null=True),
        big("baseline_nano", null=True),
        big("always_small_nano", null=True),
        double("latency_ms"),
        double("ttft_ms", null=True),
        double("overhead_ms"),
        double("complexity", null=True),
        double("gain", null=True),
        double("support", null=True),
        text("task", null=True),
        text("language", null=True),
        json("eligible"),
        json("quality"),
        json("expected_cost_usd"),
        json("rules"),
        json("fallback"),
        json("ask"),
        sa.PrimaryKeyConstraint("at_unix", "request_id"),
        postgresql_partition_by=BY_DAY,
    )
    op.create_index("outcomes_request", "outcomes", ["request_id"])
    inner = sa.text("parent_id IS NOT NULL")
    op.create_index("outcomes_parent", "outcomes", ["parent_id"], postgresql_where=inner, sqlite_where=inner)
    op.create_table(
        "features",
        double("at_unix"),
        text("request_id"),
        text("features_digest", null=True),
        sa.Column("vector", sa.LargeBinary, nullable=False, comment="little-endian float16, at most 1 KB"),
        sa.PrimaryKeyConstraint("at_unix", "request_id"),
        postgresql_partition_by=BY_DAY,
    )
    op.create_table(
        "texts",
        double("at_unix"),
        text("request_id"),
        text("request_text", null=True),
        text("response_text", null=True),
        sa.PrimaryKeyConstraint("at_unix", "request_id"),
        postgresql_partition_by=BY_DAY,
    )
    if op.get_bind().dialect.name == "postgresql":
        for table in ("outcomes", "features", "texts"):
            op.execute(f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT")
    op.create_table(
        "labels",
        text("request_id"),
        text("key"),
        text("source"),
        text("tenant"),
        double("score"),
        double("weight"),
        text("comment", null=True),
        double("at_unix"),
        sa.PrimaryKeyConstraint("request_id", "key", "source"),
    )
    op.create_index("labels_at", "labels", ["at_unix"])
    op.create_table(
        "artefacts",
        text("sha256"),
        sa.Column("bytes", sa.LargeBinary, nullable=False),
        double("created_unix"),
        text("parent", null=True),
        json("metrics"),
        json("report"),
        sa.PrimaryKeyConstraint("sha256"),
    )
    op.create_table(
        "promotions",
        sa.Column("id", sa.Integer, autoincrement=True, nullable=False),
        sa.Column("action", sa.Text, nullable=False, comment="promote or rollback"),
        sa.Column("sha256", sa.Text, nullable=True, comment="current from here on; NULL: the artefact that ships"),
        sa.Column(
            "below",
            sa.Integer,
            nullable=True,
            comment="the promotion that a rollback returns to; NULL: the artefact that ships",
        ),
        text("by"),
        double("at_unix"),
        sa.PrimaryKeyConstraint("id"),
    )


def downgrade() -> None:
    raise NotImplementedError("A ledger is never taken back; restore a backup instead.")
