"""Bad input gets the documented error, never a 500, and the good thing in use serves on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from router.app import create_app
from router.settings import Settings
from router.upstream.standin import StandIn
from tests.gateway.conftest import House, make_house
from tests.running import POLICY, chat_body, client_of, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

HI = [{"role": "user", "content": "hi"}]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """One for all: nothing bad may leave anything behind."""
    async with make_house(tmp_path_factory.mktemp("house")) as made:
        yield made


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        (b"", 400, "invalid_json", None),
        (b"{", 400, "invalid_json", None),
        (b"[]", 400, "invalid_json", None),
        (b'{"model":"auto","model":"auto"}', 400, "duplicate_key", "model"),
        (b'{"model":"auto","messages":NaN}', 400, "invalid_json", "messages"),
        (b'{"model":"auto","messages":[{"role":"user","content":"\\ud800"}]}', 400, "invalid_json", "messages"),
        ({}, 400, "invalid_request", "model"),
        ({"model": 7, "messages": HI}, 400, "invalid_request", "model"),
        ({"model": "auto"}, 400, "invalid_request", "messages"),
        ({"model": "auto", "messages": []}, 400, "invalid_request", "messages"),
        ({"model": "auto", "messages": "hi"}, 400, "invalid_request", "messages"),
        ({"model": "auto", "messages": ["hi"]}, 400, "invalid_request", "messages[0]"),
        ({"model": "auto", "messages": [{"role": "king"}]}, 400, "invalid_request", "messages[0].role"),
        ({"model": "auto", "messages": [{"role": ["user"]}]}, 400, "invalid_request", "messages[0].role"),
        (
            {"model": "auto", "messages": [{"role": "user", "content": 1}]},
            400,
            "invalid_request",
            "messages[0].content",
        ),
        ({"model": "auto", "messages": HI, "stream": "yes"}, 400, "invalid_request", "stream"),
        ({"model": "auto", "messages": HI, "max_tokens": 0}, 400, "invalid_request", "max_tokens"),
        ({"model": "auto", "messages": HI, "max_tokens": 1.5}, 400, "invalid_request", "max_tokens"),
        ({"model": "auto", "messages": HI, "max_tokens": 10**400}, 400, "invalid_request", "max_tokens"),
        ({"model": "auto", "messages": HI, "n": True}, 400, "invalid_request", "n"),
        ({"model": "auto", "messages": HI, "tools": {}}, 400, "invalid_request", "tools"),
        ({"model": "auto", "messages": HI, "response_format": "json"}, 400, "invalid_request", "response_format"),
        ({"model": "auto", "messages": HI, "stream_options": {}}, 400, "invalid_request", "stream_options"),
        ({"model": "autoo", "messages": HI}, 404, "model_not_found", "model"),
    ],
)
async def test_a_wrong_body_is_refused_with_the_member_to_blame(
    house: House, body: Any, status: int, code: str, param: str | None
) -> None:
    called = len(house.small.journal) + len(house.large.journal)
    for path in ("/v1/chat/completions", "/v1/route"):
        answer = await house.gateway.post(path, body)
        assert answer.status_code == status, answer.text
        error = answer.json()["error"]
        assert (error["code"], error["param"]) == (code, param)
        assert error["message"]
        assert answer.headers["x-signalbox-fault"] == "caller"
    assert len(house.small.journal) + len(house.large.journal) == called


async def test_eleven_megabytes_are_too_many(house: House) -> None:
    answer = await house.gateway.post("/v1/chat/completions", b'{"x":"' + b"x" * 11_000_000 + b'"}')
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


async def test_odd_members_that_are_not_ours_to_judge_pass(house: House) -> None:
    odd = {"temperature": None, "tools": None, "stream_options": None, "future_field": {"a": [1]}, "stop": 7}
    assert (await house.gateway.chat("hi", **odd)).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/v1", "/v1/", "/v1/embeddings", "/v1/chat", "/v1/chat/completions/x", "/nothing", "/v1/chat/completions/",
     "/v1/route/", "/v1/feedback/", "/api/costs/"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_is_not_there_is_a_404_in_openais_shape(house: House, method: str, path: str) -> None:
    async with client_of(house.gateway.url) as client:
        answer = await client.request(method, path, json=chat_body("hi"))
    assert answer.status_code == 404
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


async def test_a_wrong_method_is_a_405_in_openais_shape(house: House) -> None:
    async with client_of(house.gateway.url) as client:
        answer = await client.get("/v1/chat/completions")
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "request_id"),
        ({"request_id": 1, "thumb": "up"}, "request_id"),
        ({"request_id": "x"}, "score"),
        ({"request_id": "x", "score": 0.5, "thumb": "up"}, "score"),
        ({"request_id": "x", "score": 1.5}, "score"),
        ({"request_id": "x", "score": True}, "score"),
        ({"request_id": "x", "thumb": "sideways"}, "thumb"),
        ({"request_id": "x", "thumb": ["up"]}, "thumb"),
        ({"request_id": "x", "thumb": "up", "source": "judge"}, "source"),
        ({"request_id": "x", "thumb": "up", "source": ["user"]}, "source"),
        ({"request_id": "x", "thumb": "up", "comment": 1}, "comment"),
        ({"request_id": "x", "thumb": "up", "mood": "good"}, "mood"),
    ],
)
async def test_wrong_feedback_is_refused(house: House, body: Any, param: str) -> None:
    answer = await house.gateway.post("/v1/feedback", body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


async def test_feedback_on_an_unknown_request_is_a_404(house: House) -> None:
    answer = await house.gateway.post("/v1/feedback", {"request_id": "req_unknown", "thumb": "up"})
    assert answer.status_code == 404


@pytest.mark.parametrize("query", ["since=yesterday", "by=mood", "since=7d&until=nonsense"])
async def test_wrong_report_queries_are_refused(house: House, query: str) -> None:
    async with client_of(house.gateway.url) as client:
        answer = await client.get(f"/api/costs?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"]["param"]


async def test_keys_are_asked_for_and_tenants_see_only_their_own(tmp_path: Path) -> None:
    model = StandIn("m", lambda text: "fine")
    async with model.serve() as url:
        policy = POLICY.format(small=url, large=url)
        async with running(tmp_path, policy, api_keys="acme:one,beta:two") as gateway:
            for key, status in (("", 401), ("Bearer wrong", 401), ("Bearer one", 200)):
                answer = await gateway.post("/v1/chat/completions", chat_body("hi"), authorization=key)
                assert answer.status_code == status
            assert (
                "authorization" not in model.journal[0].headers
                or "one" not in model.journal[0].headers["authorization"]
            )
            request_id = answer.headers["x-request-id"]
            await gateway.rows(1)
            opinion = {"request_id": request_id, "thumb": "up"}
            for key, status in (("Bearer two", 404), ("Bearer one", 202)):
                assert (await gateway.post("/v1/feedback", opinion, authorization=key)).status_code == status
            async with client_of(gateway.url) as client:
                for key, status in (("Bearer two", 404), ("Bearer one", 200)):
                    story = await client.get(f"/v1/decisions/{request_id}", headers={"authorization": key})
                    assert story.status_code == status
            other = await gateway.post("/v1/chat/completions", chat_body("hi"), authorization="Bearer two")
            assert other.headers["x-signalbox-cache"] == "miss"


async def test_the_admin_key_guards_the_control_plane_alone(tmp_path: Path) -> None:
    model = StandIn("m", lambda text: "fine")
    async with model.serve() as url:
        async with running(tmp_path, POLICY.format(small=url, large=url), admin_key="boss") as gateway:
            async with client_of(gateway.url) as client:
                for path in ("/api/costs", "/metrics", "/openapi.json", "/docs"):
                    assert (await client.get(path)).status_code in (401, 303), path
                    allowed = await client.get(path, headers={"authorization": "Bearer boss"})
                    assert allowed.status_code == 200, path
                assert (await client.get("/healthz")).status_code == 200
                assert (await client.get("/readyz")).status_code == 200
            assert (await gateway.chat("hi")).status_code == 200


async def test_a_host_that_is_not_loopback_is_kept_off_the_open_control_plane(house: House) -> None:
    async with client_of(house.gateway.url) as client:
        answer = await client.get("/api/costs", headers={"host": "rebound.example"})
    assert answer.status_code == 403


async def test_a_broken_policy_is_refused_and_the_old_one_serves_on(house: House) -> None:
    path = house.gateway.folder / "policy.yaml"
    good = path.read_text()
    before = (await house.gateway.get("/readyz"))["policy"]
    path.write_text(good.replace("use: large", "use: lrage"))
    assert await state(house, "degraded")
    assert (await house.gateway.chat("hi")).headers["x-signalbox-policy"] == before
    path.write_text(good.replace("ttl: 1h", "ttl: 2h"))
    assert await state(house, "ok")
    assert (await house.gateway.chat("hi")).headers["x-signalbox-policy"] != before


async def state(house: House, wanted: str) -> bool:
    deadline = time.monotonic() + 5
    while (await house.gateway.get("/readyz"))["status"] != wanted:
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.1)
    return True


async def test_an_id_that_is_none_of_ours_is_not_looked_for(house: House) -> None:
    for odd in ("%00", "x" * 3000, "req_%F0%9F%90%8D"):
        async with client_of(house.gateway.url) as client:
            assert (await client.get(f"/v1/decisions/{odd}")).status_code == 404
    assert (await house.gateway.post("/v1/feedback", {"request_id": "\0", "thumb": "up"})).status_code == 404


async def test_a_405_names_the_methods_that_are_allowed(house: House) -> None:
    async with client_of(house.gateway.url) as client:
        answer = await client.delete("/v1/chat/completions")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_even_an_unforeseen_failure_has_a_request_id_and_openais_shape(tmp_path: Path) -> None:
    def broken() -> None:
        raise RuntimeError("unforeseen")

    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY.format(small="http://127.0.0.1:1", large="http://127.0.0.1:1"))
    app = create_app(Settings(policy=policy, data_dir=tmp_path))
    app.get("/v1/broken")(broken)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.get("/v1/broken")
    assert answer.status_code == 500
    assert answer.headers["x-request-id"].startswith("req_")
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert "unforeseen" not in answer.text
