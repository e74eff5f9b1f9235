"""The OpenAPI document: what FastAPI knows of its own routes, and the chat route that it does not serve itself."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from router.api.data_plane import PROBLEMS, body_of
from router.api.feedback_schemas import Feedback, FeedbackBatch, FeedbackBody, FeedbackList
from router.api.schemas import ChatBody, Completion, ErrorBody, Message, StreamOptions

described = APIRouter(tags=["data plane"])
"""Routes that are only described here; who serves them is `router.app`'s to say."""

_CHAT_ANSWERS: dict[int | str, dict[str, Any]] = {
    **PROBLEMS,
    200: {
        "description": "The upstream's answer, byte for byte; a stream of server-sent events with `stream: true`.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
    429: {"model": ErrorBody, "description": "Every model that may serve is over its limit; see `retry-after`."},
    502: {"model": ErrorBody, "description": "Every model that may serve failed."},
    503: {"model": ErrorBody, "description": "Stopping, or nothing healthy; see `retry-after`."},
    504: {"model": ErrorBody, "description": "The upstream took too long."},
}

_READ_BY_HAND: tuple[type[BaseModel], ...] = (
    ChatBody,
    Feedback,
    FeedbackBatch,
    FeedbackBody,
    FeedbackList,
    Message,
    StreamOptions,
)


@described.post(
    "/v1/chat/completions", response_model=Completion, responses=_CHAT_ANSWERS, openapi_extra=body_of(ChatBody)
)
async def chat_completions() -> None:
    """Answers a chat request through the route or model that `model` names."""


def describe(app: FastAPI) -> None:
    """Makes `/openapi.json` cover every route of the data and control planes."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=[*described.routes, *app.routes],
            )
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            for operation in (operation for path in document["paths"].values() for operation in path.values()):
                operation["responses"].pop("422", None)  # FastAPI's own; ours is a 400
            for model in _READ_BY_HAND:
                schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
                schema.pop("$defs", None)
                schemas.setdefault(model.__name__, schema)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
