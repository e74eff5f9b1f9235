"""`GET /api/drift`: whether traffic is still like what the judge was trained on, as `signalbox watch` last saw it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from router.api.parameters import ledger_in_reach, store_of
from router.ledger.drift_report import MOST, drift_document
from router.ledger.findings import Findings

routes = APIRouter()

_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
_ARTEFACT = "5f0c2b7d9e1a4c68b3d7f2a1905e8c44d6b1a7e3f8092c5d4e6b7a8f9c0d1e2f"
_PART: dict[str, Any] = {"name": "tasks", "n": 4210, "moved": 0.41, "p": 1e-12, "alarm": True, "top": []}
_AT = "2026-01-31T08:00:00.000Z"


class DriftReference(BaseModel):
    """What traffic is measured against."""

    artefact: str = Field(description="The sha256 of the artefact that judges, or `tier@digest` of one that ships.")
    origin: Literal["training", "first requests"] = Field(
        description="The requests it was trained on, or the first ones it judged where it was not trained here."
    )
    n: int = Field(description="Of how many requests it is made.")


class DriftPart(BaseModel):
    """What became of one part."""

    name: Literal["features", "tasks", "score", "labels", "gain"]
    n: int = Field(description="Values of the window. Below 100, on either side, nothing is said of a part.")
    moved: float | None = Field(
        description="features, tasks, score: population stability index, less what chance makes of it. "
        "labels, gain: difference of the means."
    )
    p: float | None = Field(description="Chance of as much, or more, without any drift.")
    alarm: bool
    top: list[tuple[int, float]] = Field(description="The features that moved most, by number, with their indices.")


class DriftLook(BaseModel):
    """One look of `signalbox watch`."""

    at: str
    alarm: bool = Field(description="Whether any part moved beyond chance, and enough to matter.")
    alarms: list[str] = Field(description="The parts that did.")


class NewestLook(DriftLook):
    """The last look, part by part."""

    parts: list[DriftPart]


class DriftBody(BaseModel):
    """Drift of the traffic. `newest` is null, and `history` empty, where `signalbox watch` has not looked yet."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "reference": {"artefact": _ARTEFACT, "origin": "training", "n": 18200},
                "newest": {"at": _AT, "alarm": True, "alarms": ["tasks"], "parts": [_PART]},
                "history": [{"at": _AT, "alarm": True, "alarms": ["tasks"]}],
            }
        }
    )

    reference: DriftReference | None
    newest: NewestLook | None
    history: list[DriftLook] = Field(description="The last looks, the newest first, `newest` among them.")


@routes.get("/drift", response_model=DriftBody)
async def drift(
    request: Request,
    most: Annotated[int, Query(ge=1, le=MOST, description="How many looks of the past at most.")] = 100,
) -> JSONResponse:
    """Features, tasks, scores, labels and gain of the last window of time against what the judge was trained on."""
    with ledger_in_reach():
        document = await drift_document(Findings(store_of(request)), most)
    return JSONResponse(document, headers=_HEADERS)
