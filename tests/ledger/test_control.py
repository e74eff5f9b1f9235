"""`/api` over real HTTP messages: documents that fit their own schemas, and errors in OpenAI's shape."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from router.api import control, drift, ledger_schemas, loop_schemas, risk
from router.api.ledger_schemas import CostReportBody, RequestPageBody, RequestStoryBody, SummaryBody
from router.errors import RequestError
from router.ledger.contract import Store
from router.ledger.store import SqlStore

from .outcomes import a_full_outcome, an_outcome


def application(store: Store) -> FastAPI:
    app = FastAPI()
    app.state.gateway = SimpleNamespace(store=store)
    app.include_router(control.routes)

    async def answer(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestError)
        return JSONResponse(error.body(), error.status)

    app.add_exception_handler(RequestError, answer)
    return app


@pytest.fixture
async def http(store: SqlStore) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(application(store))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


async def get(http: httpx.AsyncClient, path: str, **params: Any) -> dict[str, Any]:
    answer = await http.get(path, params=params)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def test_costs_are_answered_by_anything_and_add_up(http: httpx.AsyncClient, store: SqlStore) -> None:
    await store.write([an_outcome(model="small"), an_outcome(model="large", cost_nano=None), an_outcome(route=None)])
    for by in "model route rule tenant key task day hour".split():
        document = await get(http, "/api/costs", since="24h", by=by)
        CostReportBody.model_validate(document, strict=True, extra="forbid")
        assert document["by"] == by
        assert sum(row["requests"] for row in document["rows"]) == document["total"]["requests"] == 3
        assert document["total"]["unpriced"] == 1
    assert {row["key"] for row in (await get(http, "/api/costs", by="route"))["rows"]} == {"auto", None}


async def test_requests_are_listed_filtered_and_paged(http: httpx.AsyncClient, store: SqlStore) -> None:
    await store.write([an_outcome(model="small") for _ in range(5)])
    await store.write([an_outcome(model="large", status=502, outcome="upstream_error")])
    page = await get(http, "/api/requests", model="small", limit=3)
    RequestPageBody.model_validate(page, strict=True, extra="forbid")
    rest = await get(http, "/api/requests", model="small", limit=3, cursor=page["next"])
    assert (page["total"], len(page["rows"]), len(rest["rows"]), rest["next"]) == (5, 3, 2, None)
    assert not {row["request_id"] for row in page["rows"]} & {row["request_id"] for row in rest["rows"]}
    assert (await get(http, "/api/requests", status=502, outcome="upstream_error", cursor=""))["total"] == 1


async def test_one_request_is_told_whole(http: httpx.AsyncClient, store: SqlStore) -> None:
    given = a_full_outcome(purpose="chat", parent_id=None)
    await store.write([given, an_outcome(purpose="attempt", parent_id=given.request_id), Bare])
    await store.add_label(given.request_id, "acme", "web", "user", 1.0)
    document = await get(http, f"/api/requests/{given.request_id}")
    RequestStoryBody.model_validate(document, strict=True, extra="forbid")
    assert document["features"] == {"digest": "f00d", "dimensions": 3}
    assert document["rules"][1] == {"name": "hard", "matched": True, "why": "üß 問"}
    assert (len(document["inner"]), len(document["labels"])) == (1, 1)
    RequestStoryBody.model_validate(await get(http, "/api/requests/bare"), strict=True, extra="forbid")


Bare = an_outcome(request_id="bare", route=None, model=None, cost_nano=None, baseline_nano=None)


async def test_the_summary_has_tiles_and_a_line_for_each_model(http: httpx.AsyncClient, store: SqlStore) -> None:
    await store.write([an_outcome(model="small"), an_outcome(model="large", cache="hit")])
    for step in ("day", "hour"):
        document = await get(http, "/api/summary", step=step)
        SummaryBody.model_validate(document, strict=True, extra="forbid")
        assert (document["requests"], document["cache_share"]) == (2, 0.5)
        assert {point["model"] for point in document["spend"]} == {"small", "large"}


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("/api/costs?since=yesterday", "since"),
        ("/api/costs?until=7", "until"),
        ("/api/costs?since=1h&until=2h", "since"),
        ("/api/summary?since=x", "since"),
        ("/api/requests?cursor=x", "cursor"),
    ],
)
async def test_a_parameter_that_makes_no_sense_is_named(http: httpx.AsyncClient, path: str, param: str) -> None:
    answer = await http.get(path)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["param"]) == (400, "invalid_request_error", param)


async def test_an_unknown_request_is_not_found(http: httpx.AsyncClient) -> None:
    answer = await http.get("/api/requests/req_unknown")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize("path", ["/api/costs", "/api/requests", "/api/requests/x", "/api/summary", "/api/labels"])
async def test_a_lost_database_is_said_not_broken(path: str) -> None:
    store = SqlStore("postgresql://nobody@127.0.0.1:1/nothing")
    transport = httpx.ASGITransport(application(store))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        answer = await client.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "ledger_away")
    await store.aclose()


def test_every_route_is_described_with_a_schema_and_an_example() -> None:
    document = application(SqlStore("sqlite:///unused")).openapi()
    files = {"/api/export/costs", "/api/export/requests"}
    documents = {"/api/costs", "/api/requests", "/api/requests/{request_id}", "/api/summary", "/api/tail"}
    documents |= {"/api/shadow", "/api/labels", "/api/drift", "/api/risk"}
    documents |= {"/api/versions", "/api/quality", "/api/reliability", "/api/misroutes", "/api/curve"}
    assert set(document["paths"]) == documents | files | {"/api/limits"}
    for path in (document["paths"][name] for name in documents):
        schema = path["get"]["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].split("/")[-1]
        assert document["components"]["schemas"][schema]["example"]
        [model] = [
            getattr(file, schema) for file in (ledger_schemas, loop_schemas, drift, risk) if hasattr(file, schema)
        ]
        example = model.model_config["json_schema_extra"]["example"]
        model.model_validate(example, strict=True, extra="forbid")
