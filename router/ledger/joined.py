"""The joining rule of labels in SQL, so that a report of a million labels need not fetch them.

What it says is said in `classifiers.training.labels`; a test holds the two together. Rule 4, which needs all labels at
once, is left out here: reports show what was said, and only learning guards itself against one loud key.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement

from classifiers.training.labels import COUNTS
from router.ledger.filters import within
from router.ledger.tables import labels, outcomes
from router.ledger.tally import FROM_CACHE_NOT
from router.ledger.window import Window

AUDIT_KEY, AUDIT_SOURCE = "audit", "judge"
"""Labels of audits: their requests were drawn by chance alone. No caller can give a label of that source."""

_CLOCKS_SECONDS = 3600.0
"""How far a label may seem to be older than its request, where clocks of machines differ."""


def chosen(window: Window) -> list[sa.ColumnElement[bool]]:
    """Requests that a model was chosen for and that it answered: what quality can be asked of."""
    return [
        *within(window),
        outcomes.c.purpose == "chat",
        outcomes.c.outcome == "ok",
        outcomes.c.cache.in_(FROM_CACHE_NOT),
        outcomes.c.model.is_not(None),
    ]


def joined_labels(window: Window) -> sa.Subquery:
    """By request: `score` and `weight` of all its labels joined, and `audit_score` of an audit of it, or NULL."""
    counts = sa.case(*((labels.c.source == source, count) for source, count in COUNTS.items()), else_=0.0)
    weight = sa.case((labels.c.weight > 0, labels.c.weight * counts), else_=0.0)
    verified = sa.case((labels.c.source == "verifier", weight), else_=0.0)
    by_audit = sa.and_(labels.c.key == AUDIT_KEY, labels.c.source == AUDIT_SOURCE, labels.c.weight > 0)
    sums = (
        sa.select(
            labels.c.request_id,
            sa.func.sum(weight).label("all_weight"),
            sa.func.sum(weight * labels.c.score).label("all_score"),
            sa.func.sum(verified).label("sure_weight"),
            sa.func.sum(verified * labels.c.score).label("sure_score"),
            sa.func.max(sa.case((by_audit, labels.c.score))).label("audit_score"),
        )
        .where(labels.c.at_unix >= window.since_unix - _CLOCKS_SECONDS)
        .group_by(labels.c.request_id)
        .subquery("label_sums")
    )
    is_sure = sums.c.sure_weight > 0
    total = sa.case((is_sure, sums.c.sure_weight), else_=sums.c.all_weight)
    score = sa.case((is_sure, sums.c.sure_score / _or_null(sums.c.sure_weight)), else_=sums.c.all_score / total)
    return (
        sa.select(
            sums.c.request_id,
            sums.c.audit_score,
            sa.case((total > 1.0, 1.0), else_=total).label("weight"),
            sa.case((score > 1.0, 1.0), (score < 0.0, 0.0), else_=score).label("score"),
        )
        .where(total > 0)
        .subquery("joined_labels")
    )


class Predicted(FunctionElement[float]):
    """What was predicted of a model: a row's `quality` (JSON by model) at the model that a column names, or NULL."""

    type = sa.Double()
    name = "predicted"
    inherit_cache = True


@compiles(Predicted, "sqlite")
def _on_sqlite(element: Predicted, compiler: Any, **kwargs: Any) -> str:
    quality, model = (compiler.process(clause, **kwargs) for clause in element.clauses)
    # A policy's names have no quotes; in foreign rows they must not end the path.
    return f"json_extract({quality}, '$.\"' || replace({model}, '\"', '') || '\"')"


@compiles(Predicted, "postgresql")
def _on_postgresql(element: Predicted, compiler: Any, **kwargs: Any) -> str:
    quality, model = (compiler.process(clause, **kwargs) for clause in element.clauses)
    return f"CAST({quality} ->> {model} AS DOUBLE PRECISION)"


def _or_null(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """PostgreSQL may look at a division that no case asks for."""
    return sa.func.nullif(column, 0)
