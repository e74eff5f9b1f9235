"""What crosses `/v1/feedback`, as schemas for `/openapi.json`; bodies are read by hand in `router.api.feedback`."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

MOST_ITEMS: Final = 10_000
"""Opinions in one body; its bytes are bounded as all bodies are."""

_ONE: dict[str, Any] = {"request_id": "req_0193c1f2a7b0c5a1f0e2d3c4b5a69788", "thumb": "up"}


class Feedback(BaseModel):
    """One opinion of one answer. Give either `score` or `thumb`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": _ONE,
            "oneOf": [
                {"properties": {"score": {"type": "number"}, "thumb": {"type": "null"}}, "required": ["score"]},
                {"properties": {"score": {"type": "null"}, "thumb": {"type": "string"}}, "required": ["thumb"]},
            ],
        },
    )

    request_id: str = Field(min_length=1)
    score: float | None = Field(None, ge=0, le=1, description="Quality, 0 to 1.")
    thumb: Literal["up", "down"] | None = None
    comment: str | None = Field(None, max_length=4000)
    source: Literal["user", "verifier"] = Field(
        "user",
        description="`verifier`: a program's check; for keys with the tag `verifier`, or where there are no keys.",
    )
    at: str | None = Field(
        None,
        description="When it was given, where that was earlier: RFC 3339 with its zone, between the request and now.",
        examples=["2026-01-31T08:00:00Z"],
    )


class FeedbackBatch(BaseModel):
    """Many opinions. Each item is as the single form, and is checked and answered by itself."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"items": [_ONE]}})

    items: list[Any] = Field(max_length=MOST_ITEMS)


class FeedbackList(RootModel[list[Any]]):
    """Many opinions, as a bare list."""

    root: list[Any] = Field(max_length=MOST_ITEMS)


class FeedbackBody(RootModel[Feedback | FeedbackBatch | FeedbackList]):
    """One opinion, or many."""


class Accepted(BaseModel):
    """Feedback was taken."""

    status: Literal["accepted"] = "accepted"


class ItemVerdict(BaseModel):
    """What became of one item of a batch; `code`, `param` and `message` as in an error, null where it was accepted."""

    index: int = Field(description="Its place in the body, from 0.")
    request_id: str | None
    status: Literal["accepted", "refused"]
    code: str | None
    param: str | None
    message: str | None


class BatchVerdicts(BaseModel):
    """A batch was read. Items that were refused can be sent again by themselves; accepted ones too, without harm."""

    object: Literal["list"] = "list"
    accepted: int
    refused: int
    items: list[ItemVerdict]
