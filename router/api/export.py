"""What the dashboard shows, to take away: the cost table and the list of requests, as CSV or JSON, under any filter.

Requests are streamed a few hundred rows at a time. When the database is lost half-way the connection breaks off, so
that no client takes a part for the whole.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse

from router.api.parameters import Filtered, Since, Sorted, Until, ledger_in_reach, store_of
from router.ledger import reports
from router.ledger.contract import Store
from router.ledger.documents import costs_document, row_document, tally_document
from router.ledger.reports import Filters
from router.ledger.spreadsheet import csv_lines
from router.ledger.tally import Tally
from router.ledger.window import Window, read_window, timestamp

routes = APIRouter(prefix="/export")

Format = Annotated[Literal["csv", "json"], Query(description="CSV (RFC 4180, UTF-8, unknown is empty), or JSON.")]

_TEXT: dict[str, Any] = {"schema": {"type": "string"}}
_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A file to save; `content-disposition` names it.",
        "content": {"text/csv": _TEXT, "application/json": {"schema": {"type": "object"}}},
    }
}

COST_COLUMNS = ("key", *tally_document(Tally()))
REQUEST_COLUMNS = (
    "request_id", "at", "tenant", "key", "route", "policy", "rule", "model", "decided_model", "tier", "status",
    "outcome", "error_code", "cache", "stream", "attempts", "input_tokens", "output_tokens", "usage_estimated",
    "cost_usd", "baseline_usd", "latency_ms", "ttft_ms", "overhead_ms", "complexity", "task", "language", "purpose",
)  # fmt: skip


@routes.get("/costs", responses=_FILE, response_class=Response)
async def costs(
    request: Request,
    filters: Filtered,
    since: Since = None,
    until: Until = None,
    by: reports.By = "model",
    sort: Sorted = None,
    format: Format = "csv",
) -> Response:
    """The document of `/api/costs` as a file; as CSV one line for each row, without the total."""
    window = read_window(since, until)
    with ledger_in_reach():
        document = costs_document(await reports.costs(store_of(request), window, by, filters, sort))
    if format == "json":
        return Response(orjson.dumps(document), media_type="application/json", headers=_saved(f"costs-by-{by}", format))
    text = "".join(csv_lines(document["rows"], COST_COLUMNS))
    return Response(text, media_type="text/csv", headers=_saved(f"costs-by-{by}", format))


@routes.get("/requests", responses=_FILE, response_class=Response)
async def requests(
    request: Request, filters: Filtered, since: Since = None, until: Until = None, format: Format = "csv"
) -> Response:
    """Every request that matches, newest first: rows as in `/api/requests`, but all of them."""
    window, store = read_window(since, until), store_of(request)
    with ledger_in_reach():  # an error after the first byte can only break off: so look before
        await reports.requests(store, window, filters, limit=1, counted=False)
    lines = _as_json(store, window, filters) if format == "json" else _as_csv(store, window, filters)
    kind = "application/json" if format == "json" else "text/csv"
    return StreamingResponse(lines, media_type=kind, headers=_saved("requests", format))


async def _as_csv(store: Store, window: Window, filters: Filters) -> AsyncIterator[str]:
    yield "".join(csv_lines((), REQUEST_COLUMNS))
    async for batch in reports.every_request(store, window, filters):
        yield "".join(csv_lines(map(row_document, batch), REQUEST_COLUMNS, head=False))


async def _as_json(store: Store, window: Window, filters: Filters) -> AsyncIterator[bytes]:
    yield orjson.dumps({"since": timestamp(window.since_unix), "until": timestamp(window.until_unix)})[:-1]
    yield b',"rows":['
    between = b""
    async for batch in reports.every_request(store, window, filters):
        yield between + b",".join(orjson.dumps(row_document(row)) for row in batch)
        between = b","
    yield b"]}"


def _saved(name: str, format: str) -> dict[str, str]:
    """Browsers save the answer instead of showing it, and keep no copy of their own."""
    return {
        "content-disposition": f'attachment; filename="signalbox-{name}.{format}"',
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
    }
