"""`POST /v1/chat/completions`, the endpoint that every millisecond counts on: no FastAPI, and mostly no ASGI either.

It reads and checks the body, finds the caller, and hands both to the pipeline together with the wire back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from router.access.keys import KeyRing
from router.answer_headers import Headers
from router.api.edge import refusal_of_head
from router.api.errors import error_answer
from router.api.exchange import Exchange
from router.asked import ChatRequest
from router.body import MAX_BODY_BYTES, parse_body
from router.domain import Caller
from router.errors import BadRequest, BodyTooLarge, Draining, RequestError
from router.expected import read_expected
from router.pipeline import Pipeline, Wire
from router.telemetry import Telemetry

_TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "stream": ((bool,), "a boolean"),
    "stream_options": ((dict,), "an object"),
    "max_tokens": ((int,), "a whole number"),
    "max_completion_tokens": ((int,), "a whole number"),
    "n": ((int,), "a whole number"),
    "tools": ((list,), "an array"),
    "functions": ((list,), "an array"),
    "response_format": ((dict,), "an object"),
    "metadata": ((dict,), "an object"),
    "temperature": ((int, float), "a number"),
    "top_p": ((int, float), "a number"),
    "user": ((str,), "a string"),
}
"""Members we read or pass prices on; null counts as absent. All else is the upstream's to judge."""

_COUNTS = ("max_tokens", "max_completion_tokens", "n")
_MOST = 1_000_000_000
"""No budget is larger; JSON's numbers have no end, those that prices and conditions reckon with do."""

_ROLES = ("assistant", "developer", "function", "system", "tool", "user")


class ChatEndpoint:
    """The ASGI application of the chat route. `draining` is asked before each request."""

    def __init__(self, pipeline: Pipeline, keys: KeyRing, telemetry: Telemetry):
        self._pipeline = pipeline
        self._keys = keys
        self._telemetry = telemetry
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI way, for requests that no `Exchange` takes: chunked, very large, announced, pipelined."""
        wire = AsgiWire(receive, send)
        headers = read_headers(scope["headers"])
        try:
            try:
                if self.draining:
                    raise Draining("The gateway is stopping; ask another replica.")
                caller = self._keys.caller(headers.pop("authorization", None))
                raw = await read_body(headers, receive)
            except RequestError as error:
                self._telemetry.turn_away(error)
                return await wire.fail(error, [])
            await self._answer(scope["request_id"], caller, headers, raw, wire)
        except CallerLeft:
            return
        except asyncio.CancelledError:
            if not wire.gone:
                raise
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
        finally:
            wire.close()

    def admit(self, headers: Headers) -> tuple[Caller, dict[str, str]] | None:
        """Who asks, and the headers by name, as soon as the head is there; None for what the ASGI way will refuse."""
        if self.draining or refusal_of_head(headers) is not None:
            return None
        named = read_headers(headers)
        try:
            return self._keys.caller(named.pop("authorization", None)), named
        except RequestError:
            return None

    async def exchange(self, caller: Caller, headers: dict[str, str], exchange: Exchange) -> None:
        """The direct way, for a caller who was admitted and a body that is there."""
        await self._answer(exchange.request_id, caller, headers, exchange.body, exchange)

    async def _answer(self, request_id: str, caller: Caller, headers: dict[str, str], raw: bytes, wire: Wire) -> None:
        """Checks the body, and hands it to the pipeline."""
        in_flight = self._telemetry.in_flight
        in_flight.inc()
        try:
            try:
                request = chat_request(request_id, raw, headers)
            except RequestError as error:
                self._telemetry.turn_away(error)
                return await wire.fail(error, [])
            await self._pipeline.chat(request, caller, wire)
        finally:
            in_flight.dec()


class CallerLeft(Exception):
    """The connection closed before the body was whole: nothing was accepted, so nothing is recorded."""


class AsgiWire:
    """`router.pipeline.Wire` over an ASGI connection."""

    def __init__(self, receive: Receive, send: Send):
        self.gone = False
        self._receive = receive
        self._send = send
        self._started = False
        self._watcher: asyncio.Task[None] | None = None

    async def start(self, status: int, headers: Headers) -> None:
        self._started = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, chunk: bytes) -> None:
        await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def end(self, chunk: bytes = b"") -> None:
        self.close()  # whoever has the whole answer does not break it off by hanging up
        await self._send({"type": "http.response.body", "body": chunk, "more_body": False})

    async def fail(self, error: RequestError, headers: Headers) -> None:
        """Answers with the error; once an answer has begun, breaks it off so that it cannot pass for a whole one."""
        if self._started:
            raise ConnectionAbortedError("the answer broke off after it had begun")
        own, body = error_answer(error)
        await self.start(error.status, [*headers, *own])
        await self.end(body)

    def watch(self) -> None:
        """Waits for the caller's leaving beside the journey, and cancels it then."""
        journey = asyncio.current_task()
        if self._watcher is None and journey is not None:
            self._watcher = asyncio.create_task(self._wait_for_leaving(journey))

    def close(self) -> None:
        """Ends the watch."""
        if self._watcher is not None:
            self._watcher.cancel()

    async def _wait_for_leaving(self, journey: asyncio.Task[Any]) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        journey.cancel()


def read_headers(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Request headers by lower-case name; the last of several wins. Cookies are nobody's business here."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in headers if name != b"cookie"}


async def read_body(headers: Mapping[str, str], receive: Receive) -> bytes:
    """The whole body. Raises BodyTooLarge past 10 MB, BadRequest for an encoded one, CallerLeft."""
    if headers.get("content-encoding", "identity") != "identity":
        raise BadRequest("Compressed request bodies are not taken.", code="unsupported_encoding")
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > MAX_BODY_BYTES:
        raise BodyTooLarge("The body is larger than 10 MB.")
    message: Message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        first: bytes = message.get("body", b"")
        if len(first) <= MAX_BODY_BYTES:
            return first
    pieces, size = [], 0
    while True:
        if message["type"] == "http.disconnect":
            raise CallerLeft
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > MAX_BODY_BYTES:
            raise BodyTooLarge("The body is larger than 10 MB.")
        if not message.get("more_body"):
            return b"".join(pieces)
        message = await receive()


def chat_request(request_id: str, raw: bytes, headers: Mapping[str, str]) -> ChatRequest:
    """Parses and checks a chat body: what we act on must make sense, the rest is kept as it is. Raises BadRequest."""
    received = time.perf_counter()
    body = parse_body(raw)
    values = body.values
    model = values.get("model")
    if not isinstance(model, str) or not model:
        raise BadRequest("`model` must name a route or a model.", param="model")
    _check_messages(values.get("messages"))
    for name, (types, expected) in _TYPES.items():
        value = values.get(name)
        if value is not None and (not isinstance(value, types) or (isinstance(value, bool) and bool not in types)):
            raise BadRequest(f"`{name}` must be {expected}.", param=name)
    for name in _COUNTS:
        if values.get(name) is not None and not 1 <= values[name] <= _MOST:
            raise BadRequest(f"`{name}` must be from 1 to {_MOST:,}.", param=name)
    stream = values.get("stream") is True
    if values.get("stream_options") is not None and not stream:
        raise BadRequest("`stream_options` is only allowed with `stream: true`.", param="stream_options")
    wants_usage = stream and (values.get("stream_options") or {}).get("include_usage") is True
    body, expectation = read_expected(body)
    return ChatRequest(request_id, body, model, stream, wants_usage, headers, received, expectation)


def _check_messages(messages: Any) -> None:
    if not isinstance(messages, list) or not messages:
        raise BadRequest("`messages` must be a list with at least one message.", param="messages")
    for number, message in enumerate(messages):
        where = f"messages[{number}]"
        if not isinstance(message, dict):
            raise BadRequest(f"`{where}` must be an object.", param=where)
        if message.get("role") not in _ROLES:
            raise BadRequest(f"`{where}.role` must be one of {', '.join(_ROLES)}.", param=f"{where}.role")
        content = message.get("content")
        if content is not None and not isinstance(content, str | list):
            raise BadRequest(f"`{where}.content` must be a string or a list of parts.", param=f"{where}.content")
        if isinstance(content, list) and not all(isinstance(part, dict) for part in content):
            raise BadRequest(f"`{where}.content` must hold objects.", param=f"{where}.content")
