"""The tables of the ledger as SQLAlchemy sees them. How they come to be, and change, is the business of `migrations`.

Times are unix seconds, amounts integer nano-dollars; NULL is "unknown", never zero. On PostgreSQL `outcomes`,
`features` and `texts` are partitioned by day on `at_unix`.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
)

metadata = MetaData()

VERSION_TABLE = "signalbox_version"
"""Named apart from alembic's default, so that another program's database is told from ours."""

PARTITIONED = ("outcomes", "features", "texts")

_BY_DAY = "RANGE (at_unix)"

outcomes = Table(
    "outcomes",
    metadata,
    Column("at_unix", Double, primary_key=True),
    Column("request_id", Text, primary_key=True),
    Column("hour", Integer, nullable=False, comment="whole hours since the epoch, UTC: what reports group by"),
    Column("purpose", Text, nullable=False, comment="chat, attempt, audit or judge; all but chat have a parent"),
    Column("parent_id", Text),
    Column("tenant", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("caller_request_id", Text),
    Column("conversation", Text),
    Column("route", Text),
    Column("policy", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("classifier", Text, nullable=False),
    Column("model", Text),
    Column("upstream_model", Text),
    Column("provider", Text),
    Column("tier", Text),
    Column("decided_model", Text),
    Column("probability", Double),
    Column("stream", Boolean, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("error_code", Text),
    Column("fault", Text),
    Column("finish_reason", Text),
    Column("cache", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("uncached_input", BigInteger, nullable=False),
    Column("cache_read", BigInteger, nullable=False),
    Column("cache_write", BigInteger, nullable=False),
    Column("output", BigInteger, nullable=False),
    Column("reasoning", BigInteger, nullable=False),
    Column("usage_estimated", Boolean, nullable=False),
    Column("price", JSON(none_as_null=True)),
    Column("cost_nano", BigInteger),
    Column("baseline_model", Text),
    Column("baseline_nano", BigInteger),
    Column("always_small_nano", BigInteger),
    Column("latency_ms", Double, nullable=False),
    Column("ttft_ms", Double),
    Column("overhead_ms", Double, nullable=False),
    Column("complexity", Double),
    Column("gain", Double),
    Column("support", Double),
    Column("task", Text),
    Column("language", Text),
    Column("eligible", JSON(none_as_null=True)),
    Column("quality", JSON(none_as_null=True)),
    Column("expected_cost_usd", JSON(none_as_null=True)),
    Column("rules", JSON(none_as_null=True)),
    Column("fallback", JSON(none_as_null=True)),
    Column("ask", JSON(none_as_null=True)),
    Column("shadow_policy", Text),
    Column("shadow_model", Text),
    Column("shadow_rule", Text),
    Column("shadow_cost_nano", BigInteger),
    Column("shadow_gain", Double),
    postgresql_partition_by=_BY_DAY,
)
Index("outcomes_request", outcomes.c.request_id)
Index(
    "outcomes_parent",
    outcomes.c.parent_id,
    postgresql_where=outcomes.c.parent_id.is_not(None),
    sqlite_where=outcomes.c.parent_id.is_not(None),
)

features = Table(
    "features",
    metadata,
    Column("at_unix", Double, primary_key=True),
    Column("request_id", Text, primary_key=True),
    Column("features_digest", Text),
    Column("vector", LargeBinary, nullable=False, comment="little-endian float16, at most 1 KB"),
    postgresql_partition_by=_BY_DAY,
)

texts = Table(
    "texts",
    metadata,
    Column("at_unix", Double, primary_key=True),
    Column("request_id", Text, primary_key=True),
    Column("request_text", Text),
    Column("response_text", Text),
    postgresql_partition_by=_BY_DAY,
)

labels = Table(
    "labels",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("score", Double, nullable=False),
    Column("weight", Double, nullable=False),
    Column("comment", Text),
    Column("at_unix", Double, nullable=False),
)
Index("labels_at", labels.c.at_unix)

artefacts = Table(
    "artefacts",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("bytes", LargeBinary, nullable=False),
    Column("created_unix", Double, nullable=False),
    Column("parent", Text),
    Column("metrics", JSON(none_as_null=True)),
    Column("report", JSON(none_as_null=True)),
)

promotions = Table(
    "promotions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("action", Text, nullable=False, comment="promote or rollback"),
    Column("sha256", Text, comment="current from here on; NULL: the artefact that ships"),
    Column("below", Integer, comment="the promotion that a rollback returns to; NULL: the artefact that ships"),
    Column("by", Text, nullable=False),
    Column("at_unix", Double, nullable=False),
    Column("share", Double, comment="of the conversations that it judges; NULL: all"),
    Column("reason", Text),
)

findings = Table(
    "findings",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at_unix", Double, nullable=False),
    Column("kind", Text, nullable=False, comment="drift, canary, promotion, or reference"),
    Column("subject", Text, nullable=False, comment="an artefact's sha256, or the name of a shipped one"),
    Column("alarm", Boolean, nullable=False),
    Column("document", JSON(none_as_null=True), nullable=False),
)
Index("findings_kind", findings.c.kind, findings.c.id)
Index("findings_at", findings.c.at_unix)

rules_seen = Table(
    "rules_seen",
    metadata,
    Column("known_by", Text, primary_key=True, comment="a digest of judge, baseline, models and rules up to it"),
    Column("route", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("classifier", Text, nullable=False),
    Column("since_unix", Double, nullable=False),
)
