"""The reports of the learning loop as the documents that `/api` answers. No text of a request is in any of them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from router.ledger.misroutes import Kind, MisrouteReport
from router.ledger.quality import QualityReport, QualityRow, Reliability, ReliabilityReport
from router.ledger.tradeoff import Tradeoff
from router.ledger.versions import VersionEvent, VersionReport
from router.ledger.window import Window, timestamp

Document = dict[str, Any]


def versions_document(report: VersionReport) -> Document:
    """`/api/versions`."""
    return {
        **_span(report.window),
        "current": report.current,
        "events": [_event(event) for event in report.events],
        "capped": report.capped,
    }


def quality_document(report: QualityReport) -> Document:
    """`/api/quality`."""
    return {
        **_span(report.window),
        "by": report.by,
        "rows": [{"key": row.key, **_quality(row)} for row in report.rows],
        "total": _quality(report.total),
    }


def reliability_document(report: ReliabilityReport) -> Document:
    """`/api/reliability`."""
    return {
        **_span(report.window),
        "all": _reliability(report.all),
        "versions": [_reliability(version) for version in report.versions],
        "left_out": report.left_out,
    }


def misroutes_document(report: MisrouteReport) -> Document:
    """`/api/misroutes`."""
    return {
        **_span(report.window),
        "pairs": report.pairs,
        "capped": report.capped,
        "worse": report.worse,
        "alike": report.alike,
        "cheap_and_bad": _kind(report.cheap_and_bad),
        "dear_and_not_needed": _kind(report.dear_and_not_needed),
    }


def curve_document(report: Tradeoff) -> Document:
    """`/api/curve`."""
    return {
        **_span(report.window),
        "pairs": report.pairs,
        "left_out": report.left_out,
        "capped": report.capped,
        "by_gain": [asdict(point) for point in report.by_gain],
        "by_length": [asdict(point) for point in report.by_length],
        "by_chance": [asdict(point) for point in report.by_chance],
        "by_gain_area": asdict(report.by_gain_area),
        "by_length_area": asdict(report.by_length_area),
        "today": None if report.today is None else asdict(report.today),
        "today_quality": asdict(report.today_quality),
        "thresholds": [
            {
                "route": one.route,
                "rule": one.rule,
                "kind": one.kind,
                "value": one.value,
                "pairs": one.pairs,
                "point": None if one.point is None else asdict(one.point),
            }
            for one in report.thresholds
        ],
    }


def _event(event: VersionEvent) -> Document:
    return {
        "kind": event.kind,
        "at": timestamp(event.at_unix),
        "sha256": event.sha256,
        "by": event.by,
        "parent": event.parent,
        "passed": event.passed,
        "gate": event.gate,
        "current": event.current,
        "share": event.share,
        "reason": event.reason,
    }


def _quality(row: QualityRow) -> Document:
    return {
        "requests": row.requests,
        "unpriced": row.unpriced,
        "cost_usd": row.cost_usd,
        "baseline_usd": row.baseline_usd,
        "share_labelled": row.share_labelled,
        "labelled": asdict(row.labelled),
        "audited": asdict(row.audited),
    }


def _reliability(version: Reliability) -> Document:
    return {
        "classifier": version.classifier,
        "n": version.n,
        "error": version.error,
        "bins": [
            {"low": one.low, "high": one.high, "predicted": one.predicted, "labelled": asdict(one.labelled)}
            for one in version.bins
        ],
    }


def _kind(kind: Kind) -> Document:
    return {
        "served": kind.served,
        "wrong": asdict(kind.wrong),
        "wrong_requests": kind.wrong_requests,
        "lost": asdict(kind.lost),
        "wasted_usd": kind.wasted_usd,
        "spent_usd": kind.spent_usd,
        "unpriced": kind.unpriced,
        "requests": [
            {
                "request_id": one.pair.request_id,
                "at": timestamp(one.pair.at_unix),
                "route": one.pair.route,
                "rule": one.pair.rule,
                "task": one.pair.task,
                "small": one.pair.small,
                "large": one.pair.large,
                "small_score": one.pair.small_score,
                "large_score": one.pair.large_score,
                "lost": one.lost,
                "wasted_usd": one.wasted_usd,
            }
            for one in kind.listed
        ],
    }


def _span(window: Window) -> Document:
    return {"since": timestamp(window.since_unix), "until": timestamp(window.until_unix)}
