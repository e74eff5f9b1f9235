"""`GET /api/limits`: how full every limit of the policy is. Counts are kept in `router.limits`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from router.gateway import Gateway
from router.limits.report import report

routes = APIRouter()

_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class MinuteUse(BaseModel):
    """What the last minute used; null where the limit has no such bound."""

    requests: int | None
    requests_most: int | None
    tokens: int | None
    tokens_most: int | None


class MoneyUse(BaseModel):
    """What a day or month of the UTC calendar used."""

    spent_usd: float
    reserved_usd: float = Field(description="Of requests under way, at the most that they may cost.")
    most_usd: float


class LimitUse(BaseModel):
    """One limit for one subject: a key (`tenant/key`), a tenant, a route, a model, or `all`."""

    limit: str
    per: Literal["key", "tenant", "route", "model", "all"]
    subject: str
    full: float = Field(description="How full its fullest bound is, 0..1.")
    minute: MinuteUse
    day: MoneyUse | None
    month: MoneyUse | None


class LimitsBody(BaseModel):
    """All limits of the policy in use, the fullest first."""

    policy: str
    state: Literal["ok", "degraded", "off"] = Field(
        description="`degraded`: Redis is away, and these are this process's own counts. `off`: no limits."
    )
    total: int
    rows: list[LimitUse]


@routes.get("/limits", response_model=LimitsBody)
async def limits(
    request: Request,
    per: Annotated[Literal["key", "tenant", "route", "model", "all"] | None, Query()] = None,
    most: Annotated[int, Query(ge=1, le=1000, description="How many rows at most.")] = 200,
) -> JSONResponse:
    """How full each limit is for every key, tenant, route and model that is known, the fullest first."""
    gateway: Gateway = request.app.state.gateway
    return JSONResponse(await limits_document(gateway, per, most), headers=_HEADERS)


async def limits_document(gateway: Gateway, per: str | None = None, most: int = 200) -> dict[str, Any]:
    """The answer's document."""
    policy = gateway.policy.current
    rows = await report(gateway.limits.store, policy, gateway.keys.callers) if policy.limits else []
    rows = [row for row in rows if per is None or row["per"] == per]
    return {
        "policy": policy.label,
        "state": gateway.limits.store.state if policy.limits else "off",
        "total": len(rows),
        "rows": rows[:most],
    }
