"""The control plane's `/api`: costs, requests, the story of one, and the figures of the dashboard's tiles.

Who may ask is decided before a request comes here. Reports are made in `router.ledger`; this file reads parameters.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from router.api.ledger_schemas import CostReportBody, RequestPageBody, RequestStoryBody, SummaryBody
from router.api.schemas import ErrorBody
from router.domain import CacheVerdict, OutcomeKind
from router.errors import LedgerAway, NotFound, StoreError
from router.ledger import reports
from router.ledger.contract import Store
from router.ledger.documents import costs_document, page_document, story_document, summary_document
from router.ledger.window import read_window

PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorBody, "description": "A parameter makes no sense; `param` says which."},
    401: {"model": ErrorBody, "description": "No admin key, or a wrong one."},
    403: {"model": ErrorBody, "description": "The control plane is not open to this caller."},
    503: {"model": ErrorBody, "description": "The database is out of reach; chats are served on."},
}

routes = APIRouter(prefix="/api", tags=["control plane"], responses=PROBLEMS)

Since = Annotated[
    str | None,
    Query(description="From when: a span (90m, 24h, 7d, 2w) or an RFC 3339 time. Default 7d.", examples=["7d"]),
]
Until = Annotated[
    str | None,
    Query(description="Up to when, not included; as `since`. Default now.", examples=["1h"]),
]


@routes.get("/costs", response_model=CostReportBody)
async def costs(request: Request, since: Since = None, until: Until = None, by: reports.By = "model") -> JSONResponse:
    """What was spent and saved, by model, route, rule, tenant, key, task, day or hour (UTC)."""
    window = read_window(since, until)
    with _within_reach():
        return JSONResponse(costs_document(await reports.costs(_store(request), window, by)))


@routes.get("/requests", response_model=RequestPageBody)
async def requests(
    request: Request,
    since: Since = None,
    until: Until = None,
    model: str | None = None,
    route: str | None = None,
    rule: str | None = None,
    tenant: str | None = None,
    key: str | None = None,
    task: str | None = None,
    status: Annotated[int | None, Query(ge=100, le=599)] = None,
    outcome: OutcomeKind | None = None,
    cache: CacheVerdict | None = None,
    limit: Annotated[int, Query(ge=1, le=reports.PAGE_MOST)] = 50,
    cursor: Annotated[str | None, Query(description="The `next` of the page before.")] = None,
) -> JSONResponse:
    """Requests page by page, newest first."""
    window = read_window(since, until)
    filters = reports.Filters(model, route, rule, tenant, key, task, status, outcome, cache)
    with _within_reach():
        page = await reports.requests(_store(request), window, filters, limit=limit, cursor=cursor or None)
    return JSONResponse(page_document(page))


@routes.get(
    "/requests/{request_id}",
    response_model=RequestStoryBody,
    responses={404: {"model": ErrorBody, "description": "The ledger has no such request."}},
)
async def one_request(request_id: str, request: Request) -> JSONResponse:
    """Everything the ledger has of one request: why it went where it went, what came of it, its inner calls."""
    with _within_reach():
        story = await reports.request(_store(request), request_id)
    if story is None:
        raise NotFound(f"The ledger has no request `{request_id}`.", param="request_id")
    return JSONResponse(story_document(story))


@routes.get("/summary", response_model=SummaryBody)
async def summary(
    request: Request, since: Since = None, until: Until = None, step: Literal["day", "hour"] = "day"
) -> JSONResponse:
    """The figures of a dashboard: sums, cache share, percentiles, and spend by model over time."""
    window, store = read_window(since, until), _store(request)
    with _within_reach():
        tiles = await reports.summary(store, window)
        return JSONResponse(summary_document(tiles, await reports.spend_over_time(store, window, step)))


def _store(request: Request) -> Store:
    store: Store = request.app.state.gateway.store
    return store


@contextmanager
def _within_reach() -> Iterator[None]:
    try:
        yield
    except StoreError as error:
        raise LedgerAway(str(error), retry_after=5) from error
