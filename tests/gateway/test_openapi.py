"""The OpenAPI document covers what is served, the hand-mounted chat route too."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway.conftest import House


@pytest.fixture
async def document(house: House) -> dict[str, Any]:
    return await house.gateway.get("/openapi.json")


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*(references(value) for value in node.values()))
    if isinstance(node, list):
        return set().union(*(references(item) for item in node))
    return set()


async def test_every_route_of_both_planes_is_described(document: dict[str, Any]) -> None:
    described = {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item}
    assert described >= {
        "POST /v1/chat/completions",
        "GET /v1/models",
        "GET /v1/models/{name}",
        "POST /v1/route",
        "POST /v1/feedback",
        "GET /v1/decisions/{request_id}",
        "GET /api/costs",
        "GET /api/drift",
        "GET /api/curve",
        "GET /api/limits",
        "GET /api/misroutes",
        "GET /api/quality",
        "GET /api/reliability",
        "GET /api/versions",
        "GET /api/requests",
        "GET /healthz",
        "GET /readyz",
        "GET /metrics",
    }


async def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert {ref.removeprefix("#/components/schemas/") for ref in references(document)} <= set(schemas)


async def test_bodies_and_errors_have_schemas(document: dict[str, Any]) -> None:
    for path in ("/v1/chat/completions", "/v1/route", "/v1/feedback"):
        operation = document["paths"][path]["post"]
        assert "$ref" in operation["requestBody"]["content"]["application/json"]["schema"]
        assert "ErrorBody" in str(operation["responses"]["400"])
