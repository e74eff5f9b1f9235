"""Every page, whatever became of it, comes under the same strict headers; files and documents are kept by nobody."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from router.access.admin import COOKIE, AdminDoor
from router.access.patience import Patience
from router.ledger.store import SqlStore
from router.policy.reload import PolicyWatcher
from tests.dashboard.conftest import HERE, Parts, Served, app_of, browser
from tests.dashboard.rows import served
from tests.dashboard.test_pages import SPAN, at_noon

EXPECTED = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


def assert_strict(answer: httpx.Response) -> None:
    """A page, under all the headers, that allows nothing inline."""
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert {name: answer.headers.get(name) for name in EXPECTED} == EXPECTED
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == policy["form-action"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert all(word == "'self'" or word.startswith("'sha256-") for word in policy["style-src"].split())
    assert "unsafe" not in str(policy)


@pytest.mark.parametrize(
    ("address", "status"),
    [
        (f"/dashboard?{SPAN}", 200), ("/dashboard?since=1h", 200), ("/dashboard?since=nonsense", 400),
        (f"/dashboard/requests?{SPAN}", 200), ("/dashboard/requests?cursor=x", 400), ("/dashboard/requests/REQ", 200),
        ("/dashboard/requests/nobody", 404), ("/dashboard/nothing/at/all", 404), ("/dashboard/tail", 200),
        ("/dashboard/tail?after=x", 400), ("/docs", 200),
    ],
)  # fmt: skip
async def test_every_page_has_the_headers(
    visitor: httpx.AsyncClient, store: SqlStore, address: str, status: int
) -> None:
    row = at_noon([served(1, 0)])[0]
    await store.write([row])
    answer = await visitor.get(address.replace("REQ", row.request_id))
    assert answer.status_code == status
    assert_strict(answer)


async def test_the_page_of_a_lost_ledger_has_them_too(
    tmp_path: Path, policy_named: Callable[[str], PolicyWatcher]
) -> None:
    away = SqlStore(f"sqlite:///{tmp_path / 'never_opened.sqlite3'}")
    async with browser(app_of(Parts(away, policy_named("default")))) as visitor:
        for address in ("/dashboard", "/dashboard/requests", "/dashboard/tail"):
            answer = await visitor.get(address)
            assert answer.status_code == 503
            assert_strict(answer)
    await away.aclose()


@pytest.fixture
async def stranger(parts: Parts) -> AsyncIterator[httpx.AsyncClient]:
    """A browser before a locked door."""
    parts.door = AdminDoor("boss", Patience(seconds=0.01))
    async with browser(app_of(parts)) as client:
        yield client


async def test_the_form_to_sign_in_has_them_however_it_ends(stranger: httpx.AsyncClient) -> None:
    assert_strict(await stranger.get("/login"))
    for key, origin, status in (("wrong", HERE, 401), ("boss", "https://evil.example", 403), ("x" * 9000, HERE, 413)):
        answer = await stranger.post("/login", data={"key": key}, headers={"origin": origin})
        assert answer.status_code == status
        assert_strict(answer)


async def test_redirects_of_the_door_are_kept_by_nobody(stranger: httpx.AsyncClient) -> None:
    opened = await stranger.post("/login", data={"key": "boss"}, headers={"origin": HERE})
    left = await stranger.post("/logout", headers={"origin": HERE})
    assert {answer.headers["cache-control"] for answer in (opened, left)} == {"no-store"}


async def test_behind_a_proxy_that_speaks_https_the_cookie_is_for_https_alone(stranger: httpx.AsyncClient) -> None:
    for proto, secure in (("https", True), ("http", False), ("", False)):
        headers = {"origin": HERE, "x-forwarded-proto": proto}
        answer = await stranger.post("/login", data={"key": "boss"}, headers=headers)
        parts = answer.headers["set-cookie"].split("; ")
        assert parts[0].startswith(f"{COOKIE}=")
        assert ("Secure" in parts) is secure
        assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(parts)


def test_documents_and_files_of_the_real_gateway_are_kept_by_nobody(served_day: Served) -> None:
    addresses = ("costs", "requests", "summary", "tail", "export/costs", "export/requests")
    with httpx.Client(base_url=served_day.url, trust_env=False) as client:
        for address in addresses:
            answer = client.get(f"/api/{address}")
            assert answer.status_code == 200
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/dashboard/tail", "/api/tail", "/api/export/costs", "/api/export/requests"])
async def test_what_follows_and_what_is_saved_ask_for_the_same_key(stranger: httpx.AsyncClient, path: str) -> None:
    assert (await stranger.get(path, headers={"accept": "*/*"})).status_code == 401
