"""How good the answers were beside what they cost, and how true the predictions: sums over labels, made in SQL.

Two means stand side by side. Labels that people and programs leave are of requests that somebody cared to label; those
of audits are of requests drawn by chance, so only they speak for all. Neither compares models: each answered the
requests that it was chosen for (`misroutes` compares them on the same requests).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import sqlalchemy as sa

from router.ledger.contract import Store
from router.ledger.filters import Filters, matching
from router.ledger.intervals import NOTHING, Estimate, weighted
from router.ledger.joined import Predicted, chosen, joined_labels
from router.ledger.summary import moment_of, time_of
from router.ledger.tables import outcomes
from router.ledger.tally import dollars
from router.ledger.window import Window

QualityBy = Literal["model", "rule", "route", "task", "tenant", "key", "policy", "classifier", "day"]
QUALITY_BYS: tuple[QualityBy, ...] = get_args(QualityBy)

BINS = 10
VERSIONS_MOST = 12
"""Judges that a report of predictions tells apart, those with the most labels; of more it says that they are there."""


@dataclass(frozen=True, slots=True)
class QualityRow:
    """Answered requests of one group. cost_usd, baseline_usd: over those of known cost; None where of none it is known.

    labelled: all labels joined. audited: the judge's of audits alone, an unbiased sample.
    """

    key: str | None
    requests: int
    unpriced: int
    cost_usd: float | None
    baseline_usd: float | None
    labelled: Estimate
    audited: Estimate

    @property
    def share_labelled(self) -> float:
        return self.labelled.n / self.requests if self.requests else 0.0


@dataclass(frozen=True, slots=True)
class QualityReport:
    """rows: the most requests first, days in order."""

    window: Window
    by: QualityBy
    rows: tuple[QualityRow, ...]
    total: QualityRow


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Requests whose predicted quality lay in low <= p < high (the last one takes 1 in). predicted: its mean."""

    low: float
    high: float
    predicted: float | None
    labelled: Estimate


@dataclass(frozen=True, slots=True)
class Reliability:
    """One version of the judge. error: expected calibration error, the bins' gaps by their weight; None without any."""

    classifier: str
    bins: tuple[ReliabilityBin, ...]
    n: int
    error: float | None


@dataclass(frozen=True, slots=True)
class ReliabilityReport:
    """versions: the most labels first. all: of all versions together. left_out: versions beyond VERSIONS_MOST."""

    window: Window
    versions: tuple[Reliability, ...]
    all: Reliability
    left_out: int


async def quality_report(
    store: Store, window: Window, by: QualityBy = "model", filters: Filters | None = None
) -> QualityReport:
    """Mean quality with its interval, beside the cost of the same answers."""
    group = time_of("day") if by == "day" else outcomes.c[by]
    judged = joined_labels(window)
    query = (
        sa.select(group.label("key_group"), *_sums(judged))
        .select_from(outcomes.outerjoin(judged, judged.c.request_id == outcomes.c.request_id))
        .where(*chosen(window), *matching(filters))
        .group_by("key_group")
    )
    found = [dict(row) for row in await store.rows(query)]
    rows = [_row(_name(by, row["key_group"]), row) for row in found]
    rows.sort(key=(lambda row: (row.key or "",)) if by == "day" else lambda row: (-row.requests, row.key or ""))
    summed = {name: sum(row[name] or 0 for row in found) for name in _SUMMED}
    return QualityReport(window, by, tuple(rows), _row(None, summed))


async def reliability_report(store: Store, window: Window, filters: Filters | None = None) -> ReliabilityReport:
    """What the judge predicted of the model that answered, against what labels say of the answer."""
    judged = joined_labels(window)
    predicted = Predicted(outcomes.c.quality, outcomes.c.model)
    rows = (
        sa.select(
            outcomes.c.classifier,
            predicted.label("predicted"),
            judged.c.weight,
            judged.c.score,
        )
        .select_from(outcomes.join(judged, judged.c.request_id == outcomes.c.request_id))
        .where(*chosen(window), *matching(filters))
        .subquery("predictions")
    )
    number: sa.ColumnElement[int] = sa.literal(0)
    for edge in range(1, BINS):
        number = number + sa.case((rows.c.predicted >= edge / BINS, 1), else_=0)
    weight = rows.c.weight
    query = (
        sa.select(
            rows.c.classifier,
            number.label("bin"),
            sa.func.count().label("n"),
            sa.func.sum(weight).label("weights"),
            sa.func.sum(weight * weight).label("squares"),
            sa.func.sum(weight * rows.c.score).label("scores"),
            sa.func.sum(weight * rows.c.predicted).label("predictions"),
        )
        .where(rows.c.predicted.is_not(None))
        .group_by(rows.c.classifier, "bin")
    )
    by_version: dict[str, dict[int, dict[str, float]]] = {}
    everything: dict[int, dict[str, float]] = {}
    for row in await store.rows(query):
        sums = {name: float(row[name]) for name in _OF_BIN}
        by_version.setdefault(row["classifier"], {})[int(row["bin"])] = sums
        kept = everything.setdefault(int(row["bin"]), dict.fromkeys(_OF_BIN, 0.0))
        for name, value in sums.items():
            kept[name] += value
    versions = sorted(
        (_reliability(name, bins) for name, bins in by_version.items()), key=lambda v: (-v.n, v.classifier)
    )
    left_out = max(0, len(versions) - VERSIONS_MOST)
    return ReliabilityReport(window, tuple(versions[:VERSIONS_MOST]), _reliability("all", everything), left_out)


_OF_BIN = ("n", "weights", "squares", "scores", "predictions")
_SUMMED = (
    "requests", "priced", "cost_nano", "baseline_nano", "baselined", "n", "weights", "squares", "scores",
    "audits", "audit_scores",
)  # fmt: skip


def _sums(judged: sa.Subquery) -> list[sa.ColumnElement[Any]]:
    cost, weight = outcomes.c.cost_nano, judged.c.weight
    baseline = sa.case((cost.is_not(None), outcomes.c.baseline_nano))
    return [
        sa.func.count().label("requests"),
        sa.func.count(cost).label("priced"),
        sa.func.sum(cost).label("cost_nano"),
        sa.func.count(baseline).label("baselined"),
        sa.func.sum(baseline).label("baseline_nano"),
        sa.func.count(judged.c.score).label("n"),
        sa.func.sum(weight).label("weights"),
        sa.func.sum(weight * weight).label("squares"),
        sa.func.sum(weight * judged.c.score).label("scores"),
        sa.func.count(judged.c.audit_score).label("audits"),
        sa.func.sum(judged.c.audit_score).label("audit_scores"),
    ]


def _row(key: str | None, row: Mapping[str, Any]) -> QualityRow:
    requests, priced, audits = int(row["requests"]), int(row["priced"]), int(row["audits"])
    return QualityRow(
        key,
        requests,
        requests - priced,
        dollars(int(row["cost_nano"] or 0)) if priced else None,
        dollars(int(row["baseline_nano"] or 0)) if priced and int(row["baselined"]) == priced else None,
        weighted(int(row["n"]), row["weights"] or 0.0, row["squares"] or 0.0, row["scores"] or 0.0),
        weighted(audits, audits, audits, row["audit_scores"] or 0.0) if audits else NOTHING,
    )


def _name(by: QualityBy, group: Any) -> str | None:
    if by == "day":
        return moment_of("day", group)
    return None if group is None else str(group)


def _reliability(classifier: str, sums: Mapping[int, Mapping[str, float]]) -> Reliability:
    bins = []
    for number in range(BINS):
        found = sums.get(number, dict.fromkeys(_OF_BIN, 0.0))
        judged = weighted(int(found["n"]), found["weights"], found["squares"], found["scores"])
        predicted = found["predictions"] / found["weights"] if judged.n else None
        bins.append(ReliabilityBin(number / BINS, (number + 1) / BINS, predicted, judged))
    total = sum(found["weights"] for found in sums.values())
    gaps = sum(abs(found["predictions"] - found["scores"]) for found in sums.values())
    return Reliability(classifier, tuple(bins), sum(one.labelled.n for one in bins), gaps / total if total else None)
