"""What all pages over the ledger share: its troubles as pages, the choices of forms, and the alarm over them."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request, Response

from router.dashboard.rendering import gateway_of, page
from router.dashboard.view import CLOSED, OVERVIEW, RANGES, View
from router.errors import BadRequest, StoreError
from router.ledger.filters import FILTER_NAMES
from router.ledger.findings import Findings

Handler = Callable[[Request], Awaitable[Response]]


def explained(handler: Handler) -> Handler:
    """Turns what can go wrong with a report into a page that says so; and has the page know of drift."""

    @functools.wraps(handler)
    async def answer(request: Request) -> Response:
        try:
            request.state.drift = await Findings(gateway_of(request).store).newest("drift")
            return await handler(request)
        except BadRequest as error:
            return problem(request, 400, "This address makes no sense", error.message)
        except StoreError as error:
            text = f"The ledger cannot be read just now: {error}. Requests are still answered; try again in a moment."
            return problem(request, 503, "The ledger is out of reach", text)

    return answer


def problem(
    request: Request, status: int, heading: str, text: str, back: str = OVERVIEW, back_name: str = "Overview"
) -> Response:
    """A page that says what is wrong."""
    return page(request, "problem.html", status=status, heading=heading, text=text, back=back, back_name=back_name)


def has_blanks(request: Request) -> bool:
    """Forms send their empty fields along; the address that stays is the one without."""
    return "" in request.query_params.values()


def choices(request: Request, view: View) -> dict[str, Any]:
    """What the forms of a page offer."""
    policy = gateway_of(request).policy.current
    known = {"model": tuple(policy.models), "route": tuple(policy.routes), **CLOSED}
    return {"view": view, "ranges": RANGES, "filter_names": FILTER_NAMES, "known": known}
