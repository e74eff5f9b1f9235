"""The outermost layer, pure ASGI: a request id for everything, the admin's door, and one shape for every error."""

from __future__ import annotations

import os
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from router.access.admin import AdminDoor
from router.api.errors import error_bytes, error_headers
from router.errors import BadRequest, RequestError

_OPEN_PATHS = frozenset({"/healthz", "/readyz", "/login", "/favicon.ico"})
"""Answered without a key: probes have none, and whoever logs in has not yet shown theirs."""


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

        refusal = self._refusal(scope)
        if refusal is None:
            return await self._app(scope, receive, send_with_id)
        await send_error(refusal, send_with_id)

    def _refusal(self, scope: Scope) -> RequestError | None:
        if not any(name == b"host" and value for name, value in scope["headers"]):
            return BadRequest("The request has no Host header.", code="missing_host")
        path: str = scope["path"]
        if path == "/v1" or path.startswith("/v1/") or path in _OPEN_PATHS:
            return None
        return self._door.refusal(scope)


def new_request_id() -> str:
    """`req_`, 48 bits of time in milliseconds, 80 random bits: sorts by time, cannot be guessed (as UUIDv7 does)."""
    return f"req_{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}"


async def send_error(error: RequestError, send: Send) -> None:
    """Answers with an error in OpenAI's shape."""
    body = error_bytes(error)
    headers = [*error_headers(error), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
