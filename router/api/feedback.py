"""`POST /v1/feedback`: a caller's opinions of their own answers, one or many, as labels for learning.

Bodies are read by hand, so that an item of a batch can be refused by itself. What becomes of opinions is the business
of `router.learning.feedback`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from router.api.chat import read_body, read_headers
from router.api.data_plane import PROBLEMS, caller_of, gateway_of
from router.api.feedback_schemas import MOST_ITEMS, Accepted, BatchVerdicts, Feedback
from router.api.schemas import ErrorBody
from router.body import parse_body
from router.domain import VERIFIER_TAG, Caller
from router.entry import made_unix
from router.errors import BadRequest, Forbidden, NotFound, RequestError
from router.learning.feedback import Opinion
from router.ledger.window import read_moment

routes = APIRouter(tags=["data plane"])

LINES = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"})
"""Content types of a body with one JSON object a line."""

CLOCKS_SECONDS = 60.0
"""How far a caller's clock may differ from ours."""

_ASIDE_BYTES = 64 * 1024
"""Larger bodies are read beside the event loop: chats go on meanwhile."""

_PROBLEMS: dict[int | str, dict[str, Any]] = {
    **PROBLEMS,
    403: {"model": ErrorBody, "description": "This key may not speak as a verifier."},
}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/FeedbackBody"}},
            "application/x-ndjson": {
                "schema": {"type": "string", "description": f"At most {MOST_ITEMS:,} lines, each as the single form."}
            },
        },
    }
}

Item = Opinion | RequestError
Items = list[tuple[str | None, Item]]
"""Each item of a batch: the id it names, and what it says or what is wrong with it."""


@routes.post(
    "/v1/feedback",
    status_code=202,
    response_model=Accepted | BatchVerdicts,
    responses=_PROBLEMS,
    openapi_extra=_BODY,
)
async def feedback(request: Request) -> Response:
    """Takes opinions of the caller's own answers: one, a list, `{"items": [...]}`, or a line each."""
    caller = caller_of(request)
    headers = read_headers(request.scope["headers"])
    raw = await read_body(headers, request.receive)
    by_line = headers.get("content-type", "").partition(";")[0].strip().lower() in LINES
    if len(raw) > _ASIDE_BYTES:
        read = await asyncio.to_thread(read_feedback, raw, by_line=by_line, verifies=caller.verifies)
    else:
        read = read_feedback(raw, by_line=by_line, verifies=caller.verifies)
    if isinstance(read, Opinion):
        if not await gateway_of(request).take_feedback(caller, [read]):
            raise _not_yours(read.request_id)
        return JSONResponse(Accepted().model_dump(), 202)
    return await _answer(request, caller, read)


async def _answer(request: Request, caller: Caller, items: Items) -> Response:
    opinions = [item for _, item in items if isinstance(item, Opinion)]
    taken = await gateway_of(request).take_feedback(caller, opinions)
    verdicts = [_verdict(number, request_id, item, taken) for number, (request_id, item) in enumerate(items)]
    accepted = sum(verdict["status"] == "accepted" for verdict in verdicts)
    document = {"object": "list", "accepted": accepted, "refused": len(verdicts) - accepted, "items": verdicts}
    return Response(orjson.dumps(document), 202, media_type="application/json")


def _verdict(index: int, request_id: str | None, item: Item, taken: frozenset[str]) -> dict[str, Any]:
    if isinstance(item, Opinion) and item.request_id not in taken:
        item = _not_yours(item.request_id)
    error = item if isinstance(item, RequestError) else None
    return {
        "index": index,
        "request_id": request_id,
        "status": "accepted" if error is None else "refused",
        "code": error and error.code,
        "param": error and error.param,
        "message": error and error.message,
    }


def _not_yours(request_id: str) -> NotFound:
    return NotFound(f"There is no request `{request_id[:100]}` of yours.", param="request_id")


def read_feedback(raw: bytes, *, by_line: bool = False, verifies: bool = False) -> Opinion | Items:
    """One opinion, or the items of a batch. Raises BadRequest for a body that cannot be read, or a single opinion that
    makes no sense (with `param`), and Forbidden for one that speaks as a verifier where this key does not."""
    if by_line:
        return _checked_lines(raw, verifies)
    is_list = raw.lstrip(b" \t\r\n")[:1] == b"["
    values = parse_body(b'{"items":%b}' % raw if is_list else raw).values
    if is_list and set(values) != {"items"}:
        raise BadRequest("The body is not valid JSON.", code="invalid_json")
    if "items" not in values:
        return read_opinion(values, verifies=verifies)
    if len(values) > 1:
        name = next(name for name in values if name != "items")
        raise BadRequest(f"`{name}` may not stand beside `items`.", param=name)
    items = values["items"]
    if not isinstance(items, list):
        raise BadRequest("`items` must be a list of opinions.", param="items")
    _bounded(len(items))
    return [_checked(item, verifies) for item in items]


def read_opinion(values: Any, *, verifies: bool, now_unix: float | None = None) -> Opinion:
    """Checks one opinion. Raises BadRequest with `param`, or Forbidden."""
    if not isinstance(values, dict):
        raise BadRequest("An opinion must be an object with `request_id` and `score` or `thumb`.")
    known = Feedback.model_fields
    for name in values:
        if name not in known:
            raise BadRequest(f"`{name}` is not a part of feedback; known are {', '.join(known)}.", param=name)
    request_id = values.get("request_id")
    if not isinstance(request_id, str) or not request_id:
        raise BadRequest("`request_id` must be the x-request-id of an answer.", param="request_id")
    source: Any = values.get("source") or "user"
    if source not in ("user", "verifier"):
        raise BadRequest("`source` must be `user` or `verifier`.", param="source")
    comment = values.get("comment")
    if comment is not None and (not isinstance(comment, str) or len(comment) > 4000):
        raise BadRequest("`comment` must be a string of at most 4,000 characters.", param="comment")
    opinion = Opinion(request_id, source, _score(values), comment, _given_unix(values, request_id, now_unix))
    if source == "verifier" and not verifies:
        raise Forbidden(f"Only a key with the tag `{VERIFIER_TAG}` may speak as a verifier.", param="source")
    return opinion


def _score(values: Mapping[str, Any]) -> float:
    score, thumb = values.get("score"), values.get("thumb")
    if (score is None) == (thumb is None):
        raise BadRequest("Give either `score` (0 to 1) or `thumb` (up or down).", param="score")
    if score is not None and (isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1):
        raise BadRequest("`score` must be a number from 0 to 1.", param="score")
    if thumb not in (None, "up", "down"):
        raise BadRequest("`thumb` must be `up` or `down`.", param="thumb")
    return float(thumb == "up") if score is None else float(score)


def _given_unix(values: Mapping[str, Any], request_id: str, now_unix: float | None) -> float | None:
    """When an opinion was given; None for now. Within `CLOCKS_SECONDS` of a bound counts as on it."""
    at = values.get("at")
    if at is None:
        return None
    now = time.time() if now_unix is None else now_unix
    if not isinstance(at, str) or "T" not in at:
        raise BadRequest("`at` must be an RFC 3339 time with its zone, such as 2026-01-31T08:00:00Z.", param="at")
    given = read_moment(at, now, "at")
    if given > now + CLOCKS_SECONDS:
        raise BadRequest("`at` lies in the future.", param="at")
    asked = made_unix(request_id)
    if asked is not None and given < asked - CLOCKS_SECONDS:
        raise BadRequest("`at` lies before the request.", param="at")
    return min(now, max(given, asked or 0.0))


def _checked(values: Any, verifies: bool) -> tuple[str | None, Item]:
    named = values.get("request_id") if isinstance(values, dict) else None
    request_id = named[:100] if isinstance(named, str) else None
    try:
        return request_id, read_opinion(values, verifies=verifies)
    except RequestError as error:
        return request_id, error


def _checked_lines(raw: bytes, verifies: bool) -> Items:
    lines = [line for line in raw.removeprefix(b"\xef\xbb\xbf").split(b"\n") if line.strip()]
    _bounded(len(lines))
    return list(_each_line(lines, verifies))


def _each_line(lines: list[bytes], verifies: bool) -> Iterator[tuple[str | None, Item]]:
    for line in lines:
        try:
            values = parse_body(line).values
        except RequestError as error:
            yield None, error
        else:
            yield _checked(values, verifies)


def _bounded(count: int) -> None:
    if count > MOST_ITEMS:
        raise BadRequest(f"A batch may hold {MOST_ITEMS:,} items; this one has {count:,}.", param="items")
