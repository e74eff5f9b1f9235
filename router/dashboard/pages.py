"""The dashboard's pages. Every figure on them is a report's; here they are only asked for and laid out."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from router.dashboard import assets, login, reference
from router.dashboard.charts import requests_figure, spend_figure
from router.dashboard.rendering import gateway_of, page
from router.dashboard.story import tell
from router.dashboard.view import CLOSED, FILTERS, GROUPINGS, OVERVIEW, RANGES, REQUESTS, read_view, step_of
from router.errors import BadRequest, StoreError
from router.ledger import reports

routes = APIRouter(include_in_schema=False)
routes.include_router(assets.routes)
routes.include_router(login.routes)
routes.include_router(reference.routes)

RECENT = 10
PAGE_ROWS = 50

Handler = Callable[[Request], Awaitable[Response]]


def explained(handler: Handler) -> Handler:
    """Turns what can go wrong with a report into a page that says so."""

    @functools.wraps(handler)
    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except BadRequest as error:
            return _problem(request, 400, "This address makes no sense", error.message)
        except StoreError as error:
            text = f"The ledger cannot be read just now: {error}. Requests are still answered; try again in a moment."
            return _problem(request, 503, "The ledger is out of reach", text)

    return answer


@routes.get(OVERVIEW)
@explained
async def overview(request: Request) -> Response:
    """Tiles, charts, costs by what the address names and by model, and the latest requests."""
    view, gateway = read_view(request.query_params), gateway_of(request)
    window, store = view.window, gateway.store
    policy, step = gateway.policy.current, step_of(window)
    groupings: tuple[reports.By, ...] = (view.by,) if view.by == "model" else (view.by, "model")
    points = await reports.spend_over_time(store, window, step)
    models = tuple(policy.models)
    return page(
        request,
        "overview.html",
        view=view,
        ranges=RANGES,
        groupings=GROUPINGS,
        filters=FILTERS,
        summary=await reports.summary(store, window),
        costs=[await reports.costs(store, window, by) for by in groupings],
        recent=await reports.requests(store, window, limit=RECENT),
        points=points,
        step=step,
        spend_chart=spend_figure(points, window, step, models),
        requests_chart=requests_figure(points, window, step, models),
    )


@routes.get(REQUESTS)
@explained
async def requests(request: Request) -> Response:
    """Requests, newest first, page by page."""
    view, gateway = read_view(request.query_params), gateway_of(request)
    policy = gateway.policy.current
    return page(
        request,
        "requests.html",
        view=view,
        ranges=RANGES,
        found=await reports.requests(
            gateway.store, view.window, view.wanted, limit=PAGE_ROWS, cursor=view.cursor or None
        ),
        models=tuple(policy.models),
        routes=tuple(policy.routes),
        outcomes=CLOSED["outcome"],
        verdicts=CLOSED["cache"],
    )


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
        return _problem(request, 404, "No such request", text, REQUESTS, "All requests")
    return page(request, "request.html", told=tell(story), story=story, row=story.outcome)


@routes.get("/")
async def front_door(request: Request) -> Response:
    """Whoever opens the gateway's address in a browser is looking for this."""
    return RedirectResponse(OVERVIEW, 307)


@routes.get(OVERVIEW + "/{rest:path}")
async def elsewhere(request: Request, rest: str) -> Response:
    """Any other page of the dashboard's."""
    if not rest:
        return RedirectResponse(OVERVIEW, 307)
    return _problem(request, 404, "No such page", f"There is nothing at {request.url.path}.")


def _problem(
    request: Request, status: int, heading: str, text: str, back: str = OVERVIEW, back_name: str = "Overview"
) -> Response:
    return page(request, "problem.html", status=status, heading=heading, text=text, back=back, back_name=back_name)
