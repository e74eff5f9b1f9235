"""The one place where our errors become HTTP answers in OpenAI's shape: four fields, real nulls."""

from __future__ import annotations

import orjson
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from router.errors import BadRequest, InternalError, MethodNotAllowed, NotFound, RequestError

Headers = list[tuple[bytes, bytes]]

LONGEST_WAIT_SECONDS = 60
"""OpenAI's clients heed a `retry-after` of up to a minute; past that they come back much too early."""


def error_bytes(error: RequestError) -> bytes:
    """The error object as JSON bytes."""
    return orjson.dumps(error.body())


def error_headers(error: RequestError) -> Headers:
    """Fault domain, `retry-after` where there is one, and a word to clients that would retry for nothing: what we have
    retried, or what needs longer than they wait."""
    headers: Headers = [
        (b"content-type", b"application/json"),
        (b"x-signalbox-fault", error.fault.encode()),
    ]
    if error.status in (429, 503) or error.retry_after is not None:
        seconds = 1 if error.retry_after is None else max(0, -(-error.retry_after // 1))
        headers.append((b"retry-after", str(int(seconds)).encode()))
    if error.fault == "upstream" or (error.retry_after or 0) > LONGEST_WAIT_SECONDS:
        headers.append((b"x-should-retry", b"false"))
    return [*headers, *error.headers]


def error_answer(error: RequestError) -> tuple[Headers, bytes]:
    """All headers of an error's answer, its length among them, and its body."""
    body = error_bytes(error)
    return [*error_headers(error), (b"content-length", b"%d" % len(body))], body


def answer_errors(app: FastAPI) -> None:
    """Makes every error of the application's own routes, foreseen or not, an answer in this shape."""
    app.add_exception_handler(RequestError, _answer_error)
    app.add_exception_handler(Exception, _answer_unforeseen)
    app.add_exception_handler(HTTPException, _answer_http_exception)
    app.add_exception_handler(RequestValidationError, _answer_validation)


async def _answer_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    response = Response(error_bytes(error), error.status)
    for name, value in error_headers(error):
        response.headers[name.decode()] = value.decode()
    return response


async def _answer_unforeseen(request: Request, _error: Exception) -> Response:
    """Outside of everything else, the edge included: so the request's id is put on here."""
    response = await _answer_error(request, InternalError("The gateway failed; its log has the reason."))
    response.headers["x-request-id"] = request.scope.get("request_id", "")
    return response


async def _answer_http_exception(request: Request, error: Exception) -> Response:
    """Starlette's own 404 and 405 in OpenAI's shape."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        refusal = MethodNotAllowed(f"{request.method} is not allowed on {request.url.path}.")
        response = await _answer_error(request, refusal)
        response.headers.update(error.headers or {})
        return response
    return await _answer_error(request, NotFound(f"There is nothing at {request.url.path}."))


async def _answer_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    return await _answer_error(request, BadRequest(f"`{where}`: {first['msg']}.", param=where or None))
