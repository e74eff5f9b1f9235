"""The data plane beside chat: models, dry-run decisions, and the story of one's own requests."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from router.api.chat import chat_request, read_body, read_headers
from router.api.schemas import ChatBody, ErrorBody, Explanation, Model, ModelList, Story
from router.domain import Caller
from router.errors import ModelNotFound, NotFound
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


@routes.get("/v1/decisions/{request_id}", response_model=Story, responses=PROBLEMS)
async def decision(request_id: str, request: Request) -> JSONResponse:
    """Why one of the caller's own requests went where it went, and what came of it."""
    caller = caller_of(request)
    story = await gateway_of(request).story(request_id, caller.tenant)
    if story is None:
        raise NotFound(f"There is no request `{request_id}` of yours.", param="request_id")
    return JSONResponse(story)


def _models(gateway: Gateway) -> list[Model]:
    policy, created = gateway.policy.current, int(gateway.started_unix)
    named: list[tuple[str, str]] = [(name, "signalbox-route") for name in policy.routes]
    named += [(name, "signalbox-model") for name in policy.models]
    return [Model(id=name, created=created, owned_by=owner) for name, owner in named]
