"""The pages of the learning loop: how good answers were beside what they cost, and how the judge learns and drifts."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from router.dashboard.frame import choices, explained, has_blanks
from router.dashboard.loop_charts import labels_figure, reliability_figure, tradeoff_figure
from router.dashboard.rendering import gateway_of, page
from router.dashboard.view import GROUPINGS, LEARNING, QUALITY, read_view
from router.learning.proving import risk_rows
from router.learning.thresholds import promised_by
from router.ledger import reports
from router.ledger.drift_report import drift_document
from router.ledger.findings import Findings
from router.ledger.label_report import label_report
from router.ledger.misroutes import misroute_report
from router.ledger.quality import quality_report, reliability_report
from router.ledger.tradeoff import tradeoff_report
from router.ledger.versions import version_report

routes = APIRouter(include_in_schema=False)

LOOKS = 20
"""Looks at drift that the page tells of."""
_JUDGING = ("audit", "judge")


@routes.get(QUALITY)
@explained
async def quality(request: Request) -> Response:
    """Quality with intervals beside cost, what cost buys, how true the predictions are, and what went wrong."""
    view, gateway = read_view(request.query_params), gateway_of(request)
    if has_blanks(request):
        return RedirectResponse(view.link(QUALITY), 303)
    window, store, wanted = view.window, gateway.store, view.wanted
    promised = promised_by(gateway.policy.current)
    by: Any = view.by  # one of the groupings, and all of those are known there
    report = await quality_report(store, window, by, wanted)
    reliability = await reliability_report(store, window, wanted)
    curve = await tradeoff_report(store, window, wanted, promised)
    inner = (await reports.summary(store, window, wanted, "day")).inner
    return page(
        request,
        "quality.html",
        groupings=GROUPINGS,
        quality=report,
        reliability=reliability,
        reliability_chart=reliability_figure(reliability),
        curve=curve,
        curve_chart=tradeoff_figure(curve),
        misroutes=await misroute_report(store, window, wanted),
        judging=[kind for kind in inner if kind.purpose in _JUDGING],
        audited_routes=[route.name for route in gateway.policy.current.routes.values() if route.audit is not None],
        **choices(request, view),
    )


@routes.get(LEARNING)
@explained
async def learning(request: Request) -> Response:
    """Versions of the judge, drift, labels by source, and what is proven of rules with a `max_risk`."""
    view, gateway = read_view(request.query_params), gateway_of(request)
    if has_blanks(request):
        return RedirectResponse(view.link(LEARNING), 303)
    store, proofs, judge = gateway.store, gateway.proving.proofs, gateway.judge.name
    labels = await label_report(store, view.window, view.wanted, limit=1)
    return page(
        request,
        "learning.html",
        versions=await version_report(store, view.window),
        looks=await drift_document(Findings(store), LOOKS),
        labels=labels,
        labels_chart=labels_figure(labels.by_day, labels.window),
        risks=[row for policy in gateway.policy.in_use for row in risk_rows(policy, judge, proofs.of(policy, judge))],
        judge=judge,
        **choices(request, view),
    )
