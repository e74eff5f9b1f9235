"""`GET /api/risk`: how far every rule with a `max_risk` is from its proof. Worked out in `router.learning.proving`."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from router.gateway import Gateway
from router.learning.proving import risk_rows
from router.ledger.window import timestamp

routes = APIRouter()

_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class RiskRow(BaseModel):
    """One rule with a `max_risk`. Figures are null where audits were not looked at yet with this policy and judge."""

    policy: str
    route: str
    rule: str
    judge: str
    baseline: str
    max_risk: float
    proven: bool = Field(description="While false the baseline serves.")
    bound: float | None = Field(description="Of the mean quality lost against the baseline, from above, at 95%.")
    pairs: int = Field(description="Audited requests that the bound is of.")
    lost: float | None = Field(description="Mean quality lost in these; below 0 where the rule gained.")
    more: int | None = Field(
        description="About how many more pairs would prove it, were they like these; null where they never would."
    )
    left_out: int = Field(description="Audited requests of the rule that cannot say.")
    since: str | None = Field(description="From when on requests count.")


class RiskBody(BaseModel):
    """Every rule with a `max_risk`, in the order of the policy; the canary's and the shadow's behind it."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "looked": "2026-01-31T08:00:00.000Z",
                "stands": True,
                "rows": [
                    {
                        "policy": "default@0123456789ab",
                        "route": "auto",
                        "rule": "keep the promise",
                        "judge": "fast@0123456789ab",
                        "baseline": "large",
                        "max_risk": 0.02,
                        "proven": False,
                        "bound": 0.081,
                        "pairs": 140,
                        "lost": 0.004,
                        "more": 900,
                        "left_out": 3,
                        "since": "2026-01-24T12:30:00.000Z",
                    }
                ],
            }
        }
    )

    looked: str | None = Field(description="When the ledger was last looked at; null before the first time.")
    stands: bool = Field(description="Whether that was lately enough; where not, nothing is proven.")
    rows: list[RiskRow]


@routes.get("/risk", response_model=RiskBody)
async def risk(request: Request) -> JSONResponse:
    """How far each rule with a `max_risk` is from its proof, by this process's last look."""
    gateway: Gateway = request.app.state.gateway
    proofs, judge = gateway.proving.proofs, gateway.judge
    rows = [
        row for policy in gateway.policy.in_use for row in risk_rows(policy, judge.name, proofs.of(policy, judge.name))
    ]
    looked = proofs.looked_unix
    document = {"looked": None if looked is None else timestamp(looked), "stands": proofs.stand, "rows": rows}
    return JSONResponse(document, headers=_HEADERS)
