"""The admin key opens the pages in a browser; wrong keys, foreign forms and forged sessions do not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from http.cookies import SimpleCookie

import httpx
import pytest
from fastapi import FastAPI

from router.access.admin import COOKIE, AdminDoor
from router.access.patience import Patience
from router.dashboard.login import own_path
from tests.dashboard.conftest import HERE, Parts, app_of, browser

KEY = "correct horse battery"


@pytest.fixture
def locked(parts: Parts) -> FastAPI:
    """The dashboard with an admin key, and little patience."""
    parts.door = AdminDoor(KEY, Patience(seconds=0.01, at_once=2))
    return app_of(parts)


@pytest.fixture
async def stranger(locked: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that has not signed in."""
    async with browser(locked) as client:
        yield client


async def sign_in(client: httpx.AsyncClient, key: str = KEY, **more: str) -> httpx.Response:
    return await client.post("/login", data={"key": key, **more}, headers={"origin": HERE})


async def test_a_page_without_a_session_leads_to_the_form_and_back(stranger: httpx.AsyncClient) -> None:
    refused = await stranger.get("/dashboard/requests?since=7d&rule=a%20b")
    assert refused.status_code == 303
    form = await stranger.get(refused.headers["location"])
    assert form.status_code == 200
    wanted = "/dashboard/requests?since=7d&rule=a%20b"
    assert f'value="{wanted.replace("&", "&amp;")}"' in form.text
    opened = await sign_in(stranger, next=wanted)
    assert (opened.status_code, opened.headers["location"]) == (303, wanted)
    assert (await stranger.get(wanted)).status_code == 200


@pytest.mark.parametrize("address", ["/", "/docs", "/dashboard/requests/req_1"])
async def test_every_page_leads_there(stranger: httpx.AsyncClient, address: str) -> None:
    assert (await stranger.get(address)).headers["location"] == f"/login?next={address}"
    assert (await stranger.get("/openapi.json")).status_code == 401


async def test_machines_get_the_error_not_a_form(stranger: httpx.AsyncClient) -> None:
    answer = await stranger.get("/dashboard", headers={"accept": "application/json"})
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"
    assert (await stranger.post("/dashboard")).status_code == 401


async def test_a_bearer_key_needs_no_session(stranger: httpx.AsyncClient) -> None:
    assert (await stranger.get("/dashboard", headers={"authorization": f"Bearer {KEY}"})).status_code == 200


async def test_the_cookie_is_kept_from_scripts_other_sites_and_plain_http(locked: FastAPI) -> None:
    for scheme, secure in (("http", False), ("https", True)):
        transport = httpx.ASGITransport(locked, client=("10.0.0.9", 1))
        async with httpx.AsyncClient(transport=transport, base_url=f"{scheme}://gw.example") as client:
            answer = await client.post("/login", data={"key": KEY}, headers={"origin": f"{scheme}://gw.example"})
        cookie = SimpleCookie(answer.headers["set-cookie"])[COOKIE]
        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "strict", "/")
        assert bool(cookie["secure"]) is secure
        assert KEY not in answer.headers["set-cookie"]


@pytest.mark.parametrize(
    "key", ["", "wrong", KEY.upper(), KEY + "x", "ключ", "\udcff".encode("utf-8", "surrogatepass")]
)
async def test_a_wrong_key_opens_nothing(stranger: httpx.AsyncClient, key: str) -> None:
    answer = await sign_in(stranger, key)
    assert answer.status_code == 401
    assert "That is not the admin key." in answer.text
    assert "set-cookie" not in answer.headers
    assert (await stranger.get("/dashboard")).status_code == 303


async def test_a_wrong_key_is_not_repeated_on_the_page(stranger: httpx.AsyncClient) -> None:
    assert "almost-right" not in (await sign_in(stranger, "almost-right")).text


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:8081"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": HERE},
    ],
)
async def test_a_form_of_another_site_is_refused(stranger: httpx.AsyncClient, headers: dict[str, str]) -> None:
    answer = await stranger.post("/login", data={"key": KEY}, headers=headers)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


async def test_signing_out_ends_it(stranger: httpx.AsyncClient) -> None:
    await sign_in(stranger)
    assert "Sign out" in (await stranger.get("/dashboard")).text
    foreign = await stranger.post("/logout", headers={"origin": "https://evil.example"})
    assert "set-cookie" not in foreign.headers
    assert (await stranger.get("/dashboard")).status_code == 200
    await stranger.post("/logout", headers={"origin": HERE})
    assert (await stranger.get("/dashboard")).status_code == 303


@pytest.mark.parametrize(
    "body",
    [b"key=" + b"x" * 9000, b"", b"%%%=%%%", b"key=%FF%FE"],
)
async def test_odd_forms_are_answered_calmly(stranger: httpx.AsyncClient, body: bytes) -> None:
    headers = {"origin": HERE, "content-type": "application/x-www-form-urlencoded"}
    answer = await stranger.post("/login", content=body, headers=headers)
    assert answer.status_code == (413 if len(body) > 8192 else 401)


async def test_a_form_of_unknown_length_is_refused(stranger: httpx.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b"key=" + b"x" * 1000

    assert (await stranger.post("/login", content=endless(), headers={"origin": HERE})).status_code == 413


async def test_files_are_not_taken(stranger: httpx.AsyncClient) -> None:
    answer = await stranger.post("/login", files={"key": b"x"}, headers={"origin": HERE})
    assert answer.status_code == 400


async def test_many_wrong_keys_at_once_are_turned_away_unread(parts: Parts) -> None:
    patience = Patience(seconds=0.2, at_once=2)
    parts.door = AdminDoor(KEY, patience)
    async with browser(app_of(parts)) as client:
        wrong = [asyncio.create_task(sign_in(client, f"guess {number}")) for number in range(6)]
        statuses = sorted(answer.status_code for answer in await asyncio.gather(*wrong))
        assert statuses == [401, 401, 429, 429, 429, 429]
        assert (await sign_in(client)).status_code == 303, "afterwards the right key opens as ever"
    assert not patience.is_spent("127.0.0.1")


async def test_waiting_out_a_wrong_key_holds_nobody_else_up(parts: Parts) -> None:
    parts.door = AdminDoor(KEY, Patience(seconds=30))
    async with browser(app_of(parts)) as client:
        slow = asyncio.create_task(sign_in(client, "wrong"))
        assert (await sign_in(client)).status_code == 303
        assert not slow.done()
        slow.cancel()


@pytest.mark.parametrize(
    "wanted",
    ["https://evil.example", "//evil.example", "/\\evil.example", "/dashboard\\@evil", "javascript:alert(1)",
     "/dashboardx", "/v1/models", "", "dashboard"],
)  # fmt: skip
async def test_after_signing_in_one_stays_here(stranger: httpx.AsyncClient, wanted: str) -> None:
    assert own_path(wanted) == "/dashboard"
    assert (await sign_in(stranger, next=wanted)).headers["location"] == "/dashboard"


async def test_without_a_key_there_is_no_form(visitor: httpx.AsyncClient) -> None:
    answer = await visitor.get("/login")
    assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard")
    assert "Sign out" not in (await visitor.get("/dashboard")).text


async def test_the_form_tells_a_stranger_nothing_of_the_gateway(stranger: httpx.AsyncClient, parts: Parts) -> None:
    form = await stranger.get("/login")
    assert parts.policy.current.label not in form.text
    assert form.headers["content-security-policy"].startswith("default-src 'none'")
