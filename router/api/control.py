"""The control plane's `/api`: costs, requests, those just ended, the story of one, the dashboard's figures.

Who may ask is decided before a request comes here. Reports are made in `router.ledger`; this file reads parameters.
"""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from router.api import drift, export, limits, loop, risk
from router.api.ledger_schemas import (
    CostReportBody,
    LabelReportBody,
    RequestPageBody,
    RequestStoryBody,
    ShadowReportBody,
    SummaryBody,
    TailBody,
)
from router.api.parameters import Filtered, Since, Sorted, Until, ledger_in_reach, store_of
from router.api.schemas import ErrorBody
from router.errors import NotFound
from router.ledger import reports
from router.ledger.documents import (
    costs_document,
    labels_document,
    page_document,
    shadow_document,
    story_document,
    summary_document,
    tail_document,
)
from router.ledger.label_report import LAST, LAST_MOST, label_report
from router.ledger.shadows import shadow_report
from router.ledger.window import read_moment, read_window

PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorBody, "description": "A parameter makes no sense; `param` says which."},
    401: {"model": ErrorBody, "description": "No admin key, or a wrong one."},
    429: {"model": ErrorBody, "description": "Too many wrong admin keys at once from one address."},
    403: {"model": ErrorBody, "description": "The control plane is not open to this caller."},
    503: {"model": ErrorBody, "description": "The database is out of reach; chats are served on."},
}

routes = APIRouter(prefix="/api", tags=["control plane"], responses=PROBLEMS)

routes.include_router(export.routes)
routes.include_router(limits.routes)
routes.include_router(risk.routes)
routes.include_router(drift.routes)
routes.include_router(loop.routes)

TAIL_SECONDS = 60
"""How far back a tail begins that does not say from where."""

_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


@routes.get("/costs", response_model=CostReportBody)
async def costs(
    request: Request,
    filters: Filtered,
    since: Since = None,
    until: Until = None,
    by: reports.By = "model",
    sort: Sorted = None,
) -> JSONResponse:
    """What was spent and saved, by model, route, rule, tenant, key, task, day or hour (UTC)."""
    window = read_window(since, until)
    with ledger_in_reach():
        return _answer(costs_document(await reports.costs(store_of(request), window, by, filters, sort)))


@routes.get("/requests", response_model=RequestPageBody)
async def requests(
    request: Request,
    filters: Filtered,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, Query(ge=1, le=reports.PAGE_MOST)] = 50,
    cursor: Annotated[str | None, Query(description="The `next` of the page before.")] = None,
) -> JSONResponse:
    """Requests page by page, newest first. What matches is counted for the first page only."""
    window = read_window(since, until)
    with ledger_in_reach():
        page = await reports.requests(store_of(request), window, filters, limit=limit, cursor=cursor or None)
    return _answer(page_document(page))


@routes.get("/tail", response_model=TailBody)
async def tail(
    request: Request,
    filters: Filtered,
    after: Annotated[
        str | None, Query(description="The `next` of the answer before, or as `since`. Default the last minute.")
    ] = None,
) -> JSONResponse:
    """Requests that just ended, the latest first. Rows come again for some seconds: tell them apart by `request_id`."""
    now = time.time()
    after_unix = read_moment(after, now, "after") if after else now - TAIL_SECONDS
    with ledger_in_reach():
        return _answer(tail_document(await reports.tail(store_of(request), after_unix, filters)))


@routes.get(
    "/requests/{request_id}",
    response_model=RequestStoryBody,
    responses={404: {"model": ErrorBody, "description": "The ledger has no such request."}},
)
async def one_request(request_id: str, request: Request) -> JSONResponse:
    """Everything the ledger has of one request: why it went where it went, what came of it, its inner calls."""
    with ledger_in_reach():
        story = await reports.request(store_of(request), request_id)
    if story is None:
        raise NotFound(f"The ledger has no request `{request_id}`.", param="request_id")
    return _answer(story_document(story))


@routes.get("/summary", response_model=SummaryBody)
async def summary(
    request: Request, filters: Filtered, since: Since = None, until: Until = None, step: reports.Step = "day"
) -> JSONResponse:
    """The figures of a dashboard: sums, percentiles, cache by kind, inner calls by purpose, prices, spend over time."""
    window = read_window(since, until)
    with ledger_in_reach():
        return _answer(summary_document(await reports.summary(store_of(request), window, filters, step)))


@routes.get("/shadow", response_model=ShadowReportBody)
async def shadow(request: Request, filters: Filtered, since: Since = None, until: Until = None) -> JSONResponse:
    """What the policy's shadow would have changed: the share that moves, from where to where, and at what cost."""
    window = read_window(since, until)
    with ledger_in_reach():
        return _answer(shadow_document(await shadow_report(store_of(request), window, filters)))


@routes.get("/labels", response_model=LabelReportBody)
async def labels(
    request: Request,
    filters: Filtered,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, Query(ge=0, le=LAST_MOST, description="How many of the last labels.")] = LAST,
) -> JSONResponse:
    """What labels learning has: by source and by day they were given on, how sources agree, and the last ones."""
    window = read_window(since, until)
    with ledger_in_reach():
        return _answer(labels_document(await label_report(store_of(request), window, filters, limit=limit)))


def _answer(document: dict[str, Any]) -> JSONResponse:
    return JSONResponse(document, headers=_HEADERS)
