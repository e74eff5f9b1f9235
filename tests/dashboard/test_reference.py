"""The reference page says what the OpenAPI document says, and loads nothing."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from fastapi import FastAPI, Query
from pydantic import BaseModel, Field

from router.dashboard.reference import kind_of
from tests.dashboard.conftest import Parts, app_of, browser
from tests.dashboard.reading import Page


class Part(BaseModel):
    """A part of a whole."""

    name: str = Field(description="What `it` is <called>.")
    share: float | None = None


class Whole(BaseModel):
    """All of it."""

    parts: list[Part]
    kind: Literal["a", "b"]
    counts: dict[str, int]
    model_config = {"json_schema_extra": {"example": {"kind": "a", "parts": [], "counts": {}}}}


@pytest.fixture
def app(parts: Parts) -> FastAPI:
    """The dashboard beside two routes worth a reference."""
    app = app_of(parts)

    @app.post(
        "/v1/things/{name}", response_model=Whole, tags=["things"], responses={404: {"description": "No `name`."}}
    )
    async def make(name: str, body: Whole, size: Annotated[int, Query(description="How <big>.")] = 1) -> None:
        """Makes a thing."""

    @app.get("/healthz")
    async def healthz() -> None:
        """Says yes."""

    return app


async def test_every_operation_and_schema_of_the_document_is_on_the_page(app: FastAPI) -> None:
    async with browser(app) as visitor:
        page = Page((await visitor.get("/docs")).text)
    document = app.openapi()
    assert document["paths"].keys() == {"/v1/things/{name}", "/healthz"}, "pages describe no pages"
    for path in document["paths"]:
        assert path in page.text
    ids = {named.get("id") for _, named in page.tags}
    assert {f"schema-{name}" for name in document["components"]["schemas"]} <= ids
    assert {link[1:] for link in page.links if link.startswith("#")} <= ids, "no link leads nowhere"
    for words in ("Makes a thing.", "How <big>.", "What it is <called>.", "No name .", "A part of a whole.",
                  "array of Part", '"a" | "b"', "object of integer", "number or null", "size query",
                  "name path"):  # fmt: skip
        assert words in page.text, words
    assert not page.scripts


@pytest.mark.parametrize(
    ("schema", "words"),
    [({}, "any"), ({"type": ["string", "null"]}, "string or null"), ({"const": 1}, "1"),
     ({"type": "array"}, "array of any"), ({"allOf": [{"$ref": "#/components/schemas/X"}]}, "X"),
     ({"type": "object", "additionalProperties": True}, "object")],
)  # fmt: skip
def test_kinds_in_words(schema: dict[str, object], words: str) -> None:
    assert kind_of(schema) == words
