"""`/docs`: the OpenAPI document as one page a person can read. Rendered here, so it needs no script and no network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from router.dashboard.rendering import page

routes = APIRouter(include_in_schema=False)

Schema = Mapping[str, Any]

_METHODS = ("get", "post", "put", "patch", "delete")
_REF = "#/components/schemas/"


@dataclass(frozen=True, slots=True)
class Field:
    """One parameter, or one member of an object. where: `path`, `query` or `header`; empty for members."""

    name: str
    kind: str
    required: bool
    about: str
    where: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """One status an operation may answer with. schema: the name of a schema of the page, or empty."""

    status: str
    about: str
    schema: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    anchor: str
    about: str
    parameters: tuple[Field, ...]
    body: str
    example: str
    answers: tuple[Answer, ...]


@routes.get("/docs")
async def reference(request: Request) -> Response:
    """The reference page, made from what `/openapi.json` says."""
    document = request.app.openapi()
    groups: dict[str, list[Operation]] = {}
    for tag, operation in operations(document):
        groups.setdefault(tag, []).append(operation)
    schemas = {name: fields_of(schema) for name, schema in sorted(_schemas(document).items())}
    return page(
        request,
        "reference.html",
        about=document["info"].get("description", ""),
        groups=groups,
        schemas=schemas,
        notes={name: schema.get("description", "") for name, schema in _schemas(document).items()},
    )


def operations(document: Schema) -> Iterator[tuple[str, Operation]]:
    """Every operation with the group it stands in, in the order of the document."""
    for path, methods in document.get("paths", {}).items():
        for method in _METHODS:
            if (found := methods.get(method)) is not None:
                yield (found.get("tags") or ["other"])[0], _operation(document, method, path, found)


def fields_of(schema: Schema) -> tuple[Field, ...]:
    """The members of an object's schema."""
    required = set(schema.get("required", ()))
    return tuple(
        Field(name, kind_of(member), name in required, member.get("description", ""))
        for name, member in schema.get("properties", {}).items()
    )


def kind_of(schema: Schema) -> str:
    """A schema's type in a few words: `string`, `array of Message`, `"hit" | "miss"`, `integer or null`."""
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(_REF)
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(kind_of(one) for one in schema[several]))
    if "const" in schema:
        return _json(schema["const"])
    if "enum" in schema:
        return " | ".join(_json(value) for value in schema["enum"])
    kind = schema.get("type", "any")
    if isinstance(kind, list):
        return " or ".join(kind)
    if kind == "array":
        return f"array of {kind_of(schema.get('items', {}))}"
    members = schema.get("additionalProperties")
    if kind == "object" and isinstance(members, Mapping) and members:
        return f"object of {kind_of(members)}"
    return str(kind)


def _operation(document: Schema, method: str, path: str, found: Schema) -> Operation:
    body = _content(found.get("requestBody", {}))
    name = kind_of(body) if body else ""
    return Operation(
        method=method,
        path=path,
        anchor=f"{method}{path}".replace("/", "-").translate({ord(sign): None for sign in "{}"}),
        about=found.get("description") or found.get("summary", ""),
        parameters=tuple(
            Field(
                given["name"],
                kind_of(given.get("schema", {})),
                given.get("required", False),
                given.get("description", ""),
                given["in"],
            )
            for given in found.get("parameters", ())
        ),
        body=name,
        example=_example(body, _schemas(document).get(name, {})),
        answers=tuple(
            Answer(status, answer.get("description", ""), _named(document, kind_of(_content(answer))))
            for status, answer in sorted(found.get("responses", {}).items())
        ),
    )


def _content(holder: Schema) -> Schema:
    content = holder.get("content", {})
    schema: Schema = content.get("application/json", {}).get("schema", {})
    return schema


def _named(document: Schema, kind: str) -> str:
    return kind if kind in _schemas(document) else ""


def _example(body: Schema, schema: Schema) -> str:
    example = schema.get("example", body.get("example", next(iter(schema.get("examples", ())), None)))
    return "" if example is None else orjson.dumps(example, option=orjson.OPT_INDENT_2).decode()


def _schemas(document: Schema) -> Mapping[str, Schema]:
    schemas: Mapping[str, Schema] = document.get("components", {}).get("schemas", {})
    return schemas


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
