"""The data plane beside chat: models, dry-run decisions, feedback, and the story of one's own requests."""

from __future__ import annotations

import math
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from router.api.chat import chat_request, read_body, read_headers
from router.api.schemas import Accepted, ChatBody, ErrorBody, Explanation, Feedback, Model, ModelList, Story
from router.body import parse_body
from router.domain import Caller
from router.errors import BadRequest, ModelNotFound, NotFound
from router.gateway import Gateway

routes = APIRouter(tags=["data plane"])


PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorBody, "description": "The body makes no sense; `param` says where."},
    401: {"model": ErrorBody, "description": "No key, or an unknown one."},
    404: {"model": ErrorBody, "description": "No such thing, or not yours."},
    413: {"model": ErrorBody, "description": "The body is larger than 10 MB."},
    503: {"model": ErrorBody, "description": "What is needed is out of reach; see `retry-after`."},
}


def body_of(model: type[BaseModel]) -> dict[str, Any]:
    """The request body for the OpenAPI document of a route that reads its body by hand."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def gateway_of(request: Request) -> Gateway:
    """The gateway that answers this request."""
    gateway: Gateway = request.app.state.gateway
    return gateway


def caller_of(request: Request) -> Caller:
    """The caller behind the request's key. Raises NotAuthenticated."""
    return gateway_of(request).keys.caller(request.headers.get("authorization"))


@routes.get("/v1/models", response_model=ModelList, responses=PROBLEMS)
async def list_models(request: Request) -> ModelList:
    """Routes first, then models."""
    caller_of(request)
    return ModelList(data=_models(gateway_of(request)))


@routes.get("/v1/models/{name:path}", response_model=Model, responses=PROBLEMS)
async def get_model(name: str, request: Request) -> Model:
    """One route or model by name."""
    caller_of(request)
    for model in _models(gateway_of(request)):
        if model.id == name:
            return model
    raise ModelNotFound(f"There is no model or route `{name}` here.", param="model")


@routes.post("/v1/route", response_model=Explanation, responses=PROBLEMS, openapi_extra=body_of(ChatBody))
async def route(request: Request) -> JSONResponse:
    """What would happen to a chat body, and why; nothing is called, cached or recorded."""
    caller = caller_of(request)
    headers = read_headers(request.scope["headers"])
    headers.pop("authorization", None)
    raw = await read_body(headers, request.receive)
    chat = chat_request(request.scope["request_id"], raw, headers)
    return JSONResponse(await gateway_of(request).pipeline.explain(chat, caller))


@routes.post(
    "/v1/feedback", status_code=202, response_model=Accepted, responses=PROBLEMS, openapi_extra=body_of(Feedback)
)
async def feedback(request: Request) -> Accepted:
    """Takes a caller's opinion of one of their own answers, as a label for learning."""
    caller = caller_of(request)
    given = read_feedback(await read_body(read_headers(request.scope["headers"]), request.receive))
    score = given.score if given.score is not None else float(given.thumb == "up")
    if not await gateway_of(request).label(caller, given.request_id, given.source, score, given.comment):
        raise NotFound(f"There is no request `{given.request_id}` of yours.", param="request_id")
    return Accepted()


@routes.get("/v1/decisions/{request_id}", response_model=Story, responses=PROBLEMS)
async def decision(request_id: str, request: Request) -> JSONResponse:
    """Why one of the caller's own requests went where it went, and what came of it."""
    caller = caller_of(request)
    story = await gateway_of(request).story(request_id, caller.tenant)
    if story is None:
        raise NotFound(f"There is no request `{request_id}` of yours.", param="request_id")
    return JSONResponse(story)


def read_feedback(raw: bytes) -> Feedback:
    """Checks a feedback body. Raises BadRequest with `param`."""
    values = parse_body(raw).values
    known = Feedback.model_fields
    for name in values:
        if name not in known:
            raise BadRequest(f"`{name}` is not a part of feedback; known are {', '.join(known)}.", param=name)
    request_id = values.get("request_id")
    if not isinstance(request_id, str) or not request_id:
        raise BadRequest("`request_id` must be the x-request-id of an answer.", param="request_id")
    score, thumb = values.get("score"), values.get("thumb")
    if (score is None) == (thumb is None):
        raise BadRequest("Give either `score` (0 to 1) or `thumb` (up or down).", param="score")
    if score is not None and (
        isinstance(score, bool) or not isinstance(score, int | float) or not (math.isfinite(score) and 0 <= score <= 1)
    ):
        raise BadRequest("`score` must be a number from 0 to 1.", param="score")
    if thumb not in (None, "up", "down"):
        raise BadRequest("`thumb` must be `up` or `down`.", param="thumb")
    comment = values.get("comment")
    if comment is not None and (not isinstance(comment, str) or len(comment) > 4000):
        raise BadRequest("`comment` must be a string of at most 4,000 characters.", param="comment")
    source = values.get("source") or "user"
    if source not in ("user", "verifier"):
        raise BadRequest("`source` must be `user` or `verifier`.", param="source")
    return Feedback(request_id=request_id, score=score, thumb=thumb, comment=comment, source=source)


def _models(gateway: Gateway) -> list[Model]:
    policy, created = gateway.policy.current, int(gateway.started_unix)
    named: list[tuple[str, str]] = [(name, "signalbox-route") for name in policy.routes]
    named += [(name, "signalbox-model") for name in policy.models]
    return [Model(id=name, created=created, owned_by=owner) for name, owner in named]
