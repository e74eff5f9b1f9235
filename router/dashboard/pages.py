"""The dashboard's pages. Every figure on them is a report's; here they are only asked for and laid out."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from router.dashboard import assets, login, loop_pages, reference
from router.dashboard.charts import requests_figure, spend_figure
from router.dashboard.frame import choices, explained, has_blanks, problem
from router.dashboard.rendering import gateway_of, page
from router.dashboard.story import tell
from router.dashboard.view import GROUPINGS, OVERVIEW, REQUESTS, SHADOW, read_view, step_of
from router.ledger import reports
from router.ledger.shadows import shadow_report
from router.ledger.versions import version_report
from router.ledger.window import read_moment, timestamp

routes = APIRouter(include_in_schema=False)
routes.include_router(assets.routes)
routes.include_router(login.routes)
routes.include_router(reference.routes)
routes.include_router(loop_pages.routes)

TAIL = OVERVIEW + "/tail"
RECENT = 10
PAGE_ROWS = 50


@routes.get(OVERVIEW)
@explained
async def overview(request: Request) -> Response:
    """Tiles, charts, costs by what the address names and by model, and the latest requests."""
    view, gateway = read_view(request.query_params), gateway_of(request)
    if has_blanks(request):
        return RedirectResponse(view.link(OVERVIEW), 303)
    window, store, wanted = view.window, gateway.store, view.wanted
    step = step_of(window)
    groupings: tuple[reports.By, ...] = (view.by,) if view.by == "model" else (view.by, "model")
    summary = await reports.summary(store, window, wanted, step)
    models = tuple(gateway.policy.current.models)
    versions = await version_report(store, window)
    return page(
        request,
        "overview.html",
        summary=summary,
        versions=versions,
        groupings=GROUPINGS,
        costs=[await reports.costs(store, window, by, wanted, view.sort) for by in groupings],
        recent=await reports.requests(store, window, wanted, limit=RECENT, counted=False),
        step=step,
        spend_chart=spend_figure(summary.points, window, step, models, versions.events),
        requests_chart=requests_figure(summary.points, window, step, models),
        **choices(request, view),
    )


@routes.get(REQUESTS)
@explained
async def requests(request: Request) -> Response:
    """Requests, newest first, page by page."""
    view, now = read_view(request.query_params), time.time()
    if has_blanks(request):
        return RedirectResponse(view.link(REQUESTS, cursor=view.cursor), 303)
    found = await reports.requests(
        gateway_of(request).store, view.window, view.wanted, limit=PAGE_ROWS, cursor=view.cursor or None
    )
    return page(request, "requests.html", found=found, now=timestamp(now), tail=TAIL, **choices(request, view))


@routes.get(SHADOW)
@explained
async def shadow(request: Request) -> Response:
    """What the policy's shadow would have changed."""
    view = read_view(request.query_params)
    if has_blanks(request):
        return RedirectResponse(view.link(SHADOW), 303)
    report = await shadow_report(gateway_of(request).store, view.window, view.wanted)
    return page(request, "shadow.html", report=report, **choices(request, view))


@routes.get(TAIL)
@explained
async def tail(request: Request) -> Response:
    """The rows of what ended after `after`, for the script that follows: `/api/tail`, laid out as the list is."""
    view, now = read_view(request.query_params), time.time()
    after = read_moment(request.query_params.get("after") or timestamp(now), now, "after")
    found = await reports.tail(gateway_of(request).store, after, view.wanted)
    return page(request, "tail.html", found=found, next=timestamp(found.next_unix))


@routes.get(REQUESTS + "/{request_id}")
@explained
async def one_request(request: Request) -> Response:
    """Why one request went where it went, and what came of it."""
    request_id = request.path_params["request_id"]
    story = await reports.request(gateway_of(request).store, request_id)
    if story is None:
        text = (
            f"The ledger has no request {request_id}. Rows can be read within a second of the answer, "
            "and are forgotten when the ledger is pruned."
        )
        return problem(request, 404, "No such request", text, REQUESTS, "All requests")
    return page(request, "request.html", told=tell(story), story=story, row=story.outcome, back=_list_before(request))


@routes.get("/")
async def front_door(request: Request) -> Response:
    """Whoever opens the gateway's address in a browser is looking for this."""
    return RedirectResponse(OVERVIEW, 307)


@routes.get(OVERVIEW + "/{rest:path}")
async def elsewhere(request: Request, rest: str) -> Response:
    """Any other page of the dashboard's."""
    if not rest:
        return RedirectResponse(OVERVIEW, 307)
    return problem(request, 404, "No such page", f"There is nothing at {request.url.path}.")


def _list_before(request: Request) -> str:
    """The list that the visitor came from, under its filters; else all requests."""
    came_from = urlsplit(request.headers.get("referer", ""))
    here = came_from.netloc == request.headers.get("host", "") and came_from.path == REQUESTS
    return f"{REQUESTS}?{came_from.query}" if here and came_from.query else REQUESTS
