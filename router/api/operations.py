"""What the people and machines that run the gateway ask it: is it alive, is it ready, how is it doing."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from router.api.schemas import ErrorBody
from router.gateway import Gateway

routes = APIRouter(tags=["operations"])


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """Whether the gateway can serve, and which of its parts are well."""

    status: Literal["ok", "degraded", "starting", "draining"]
    policy: str = Field(examples=["default@3f9a1c02b7de"])
    classifier: str = Field(examples=["fast@9c41d2e07a55"])
    redis: Literal["ok", "degraded", "off"]
    limits: Literal["ok", "degraded", "off"]
    database: Literal["ok", "degraded"]
    notes: list[str] | None = Field(None, description="What is wrong with a canary or shadow policy; else left out.")


@routes.get("/healthz", response_model=Alive)
async def healthz() -> Alive:
    """200 while the process answers at all."""
    return Alive()


@routes.get(
    "/readyz", response_model=Ready, responses={503: {"model": Ready, "description": "Not yet, or not any more."}}
)
async def readyz(request: Request) -> JSONResponse:
    """200 while the gateway can serve, 503 at start and while draining. Lost parts make it `degraded`, not down."""
    gateway: Gateway = request.app.state.gateway
    state = gateway.readiness()
    return JSONResponse(state, status_code=503 if state["status"] in ("starting", "draining") else 200)


@routes.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
        401: {"model": ErrorBody, "description": "No admin key, or a wrong one."},
        429: {"model": ErrorBody, "description": "Too many wrong admin keys at once from one address."},
        403: {"model": ErrorBody, "description": "The control plane is not open to this caller."},
    },
)
async def metrics(request: Request) -> Response:
    """Prometheus text."""
    gateway: Gateway = request.app.state.gateway
    return Response(gateway.telemetry.page(), media_type="text/plain; version=0.0.4; charset=utf-8")
