"""`/api` of the learning loop: versions of the judge, quality, reliability, misroutes, what cost buys in quality."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from router.api.loop_schemas import CurveBody, MisroutesBody, QualityBody, ReliabilityBody, VersionsBody
from router.api.parameters import Filtered, Since, Until, ledger_in_reach, store_of
from router.learning.thresholds import promised_by
from router.ledger.loop_documents import (
    curve_document,
    misroutes_document,
    quality_document,
    reliability_document,
    versions_document,
)
from router.ledger.misroutes import ALIKE, WORSE, misroute_report
from router.ledger.quality import QualityBy, quality_report, reliability_report
from router.ledger.tradeoff import tradeoff_report
from router.ledger.versions import version_report
from router.ledger.window import read_window

routes = APIRouter()

_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


@routes.get("/versions", response_model=VersionsBody)
async def versions(request: Request, since: Since = None, until: Until = None) -> JSONResponse:
    """Retrainings with the gate's word, promotions and rollbacks, by whom and when; the newest first."""
    window = read_window(since, until)
    with ledger_in_reach():
        return _answer(versions_document(await version_report(store_of(request), window)))


@routes.get("/quality", response_model=QualityBody)
async def quality(
    request: Request, filters: Filtered, since: Since = None, until: Until = None, by: QualityBy = "model"
) -> JSONResponse:
    """Mean quality by labels, with intervals, beside the cost of the same answers."""
    window = read_window(since, until)
    with ledger_in_reach():
        return _answer(quality_document(await quality_report(store_of(request), window, by, filters)))


@routes.get("/reliability", response_model=ReliabilityBody)
async def reliability(request: Request, filters: Filtered, since: Since = None, until: Until = None) -> JSONResponse:
    """Predicted quality of the model that answered against labels, in ten bins, for each version of the judge."""
    window = read_window(since, until)
    with ledger_in_reach():
        return _answer(reliability_document(await reliability_report(store_of(request), window, filters)))


@routes.get("/misroutes", response_model=MisroutesBody)
async def misroutes(
    request: Request,
    filters: Filtered,
    since: Since = None,
    until: Until = None,
    worse: Annotated[float, Query(gt=0, le=1, description="By so much the small answer is clearly worse.")] = WORSE,
    alike: Annotated[
        float, Query(ge=0, le=1, description="By so much it may be worse and the large one was not needed.")
    ] = ALIKE,
) -> JSONResponse:
    """Of audited requests: cheap and bad, dear and not needed; shares, quality lost, dollars wasted, and which."""
    window = read_window(since, until)
    with ledger_in_reach():
        report = await misroute_report(store_of(request), window, filters, worse=worse, alike=alike)
    return _answer(misroutes_document(report))


@routes.get("/curve", response_model=CurveBody)
async def curve(request: Request, filters: Filtered, since: Since = None, until: Until = None) -> JSONResponse:
    """What cost buys in quality on audited requests, by predicted gain, prompt length and chance; and today's place."""
    window = read_window(since, until)
    promised = promised_by(request.app.state.gateway.policy.current)
    with ledger_in_reach():
        return _answer(curve_document(await tradeoff_report(store_of(request), window, filters, promised)))


def _answer(document: dict[str, Any]) -> JSONResponse:
    return JSONResponse(document, headers=_HEADERS)
