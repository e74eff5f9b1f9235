"""The outermost layer, pure ASGI: a request id for everything, the admin's door, and one shape for every error.

Machines that may not enter get the error; browsers that ask for a page are shown where to sign in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from router.access.admin import AdminDoor
from router.api.errors import error_answer
from router.entry import new_request_id
from router.errors import BadRequest, NotAuthenticated, RequestError

_OPEN_PATHS = frozenset({"/healthz", "/readyz", "/login", "/favicon.ico"})
"""Answered without a key: probes have none, and whoever logs in has not yet shown theirs."""

_OPEN_PREFIX = "/dashboard/assets/"
"""Style sheet and scripts, which the login page needs too; nothing in them is anybody's secret."""

_HOST = re.compile(rb"[A-Za-z0-9._~%!$&'()*+,;=-]*(?:\[[0-9A-Za-z:.%]+\])?(?::[0-9]*)?")
"""RFC 3986 3.2.2 and 3.2.3, for what of it a door must not be led astray by."""

_PAGES = ("/dashboard/", "/docs/")
"""What people open in a browser, and the front door."""


class Edge:
    """Wraps the application. Everything but `/v1` and the open paths is control plane."""

    def __init__(self, app: ASGIApp, door: AdminDoor):
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        scope["request_id"] = request_id = new_request_id()
        id_header = (b"x-request-id", request_id.encode())

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), id_header]
            await send(message)

        refusal = await self._refusal(scope)
        if refusal is None:
            return await self._app(scope, receive, send_with_id)
        if isinstance(refusal, NotAuthenticated) and _wants_page(scope):
            return await _send_to_login(scope, send_with_id)
        await send_error(refusal, send_with_id)

    async def _refusal(self, scope: Scope) -> RequestError | None:
        refusal = refusal_of_head(scope["headers"])
        if refusal is not None:
            return refusal
        path: str = scope["path"]
        if path == "/v1" or path in _OPEN_PATHS or path.startswith(("/v1/", _OPEN_PREFIX)):
            return None
        return await self._door.refusal(scope)


def refusal_of_head(headers: Iterable[tuple[bytes, bytes]]) -> RequestError | None:
    """What is wrong with the headers of any request: whom it is for, and who it is from, must be said once."""
    host: bytes | None = None
    keys = 0
    for name, value in headers:
        if name == b"host":
            if host is not None or not _HOST.fullmatch(value):
                return BadRequest("The Host header must be there once, and name a host.", code="invalid_host")
            host = value
        elif name == b"authorization":
            keys += 1
    if not host:
        return BadRequest("The request has no Host header.", code="missing_host")
    if keys > 1:
        return NotAuthenticated("Authorization must be there once: of two keys, nobody could tell which is meant.")
    return None


async def send_error(error: RequestError, send: Send) -> None:
    """Answers with an error in OpenAI's shape."""
    headers, body = error_answer(error)
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _wants_page(scope: Scope) -> bool:
    path: str = scope["path"]
    is_page = path == "/" or f"{path}/".startswith(_PAGES)
    takes_html = any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])
    return is_page and takes_html and scope["method"] in ("GET", "HEAD")


async def _send_to_login(scope: Scope, send: Send) -> None:
    query = scope.get("query_string", b"").decode("latin-1")
    wanted = quote(scope["path"] + ("?" + query if query else ""), safe="/")
    headers = [
        (b"location", b"/login?next=" + wanted.encode()),
        (b"cache-control", b"no-store"),
        (b"content-length", b"0"),
    ]
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
