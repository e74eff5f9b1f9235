"""The control plane opens to the admin key, or on loopback alone."""

from __future__ import annotations

from typing import Any

import pytest

from router.access.admin import COOKIE, AdminDoor, check_exposure
from router.access.patience import Patience
from router.errors import SettingsError


def scope(client: str = "127.0.0.1", **headers: str) -> dict[str, Any]:
    named = {"host": "localhost:8080", **headers}
    return {"client": (client, 1), "headers": [(n.encode(), v.encode("latin-1")) for n, v in named.items()]}


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1:1", "[::1]:8080", "[::1]", "LOCALHOST"])
async def test_without_a_key_loopback_may_enter(host: str) -> None:
    assert await AdminDoor(None).refusal(scope(host=host)) is None


@pytest.mark.parametrize(
    ("client", "host"),
    [("10.0.0.7", "localhost"), ("127.0.0.1", "evil.example"), ("127.0.0.1", "evil.example:80"), ("", "localhost"),
     ("127.0.0.1", "localhost.evil.example"), ("127.0.0.1", "127.0.0.1.evil.example:80")],
)  # fmt: skip
async def test_without_a_key_nobody_else_may(client: str, host: str) -> None:
    refusal = await AdminDoor(None).refusal(scope(client, host=host))
    assert refusal is not None
    assert refusal.status == 403


async def test_with_a_key_loopback_needs_it_too() -> None:
    door = AdminDoor("boss", Patience(0))
    assert await door.refusal(scope()) is not None
    assert await door.refusal(scope(authorization="Bearer wrong")) is not None
    assert await door.refusal(scope("10.0.0.7", host="gw.example", authorization="Bearer boss")) is None


async def test_a_session_cookie_opens_the_door_and_a_forged_one_does_not() -> None:
    door = AdminDoor("boss")
    session = door.new_session()
    assert await door.refusal(scope(cookie=f"{COOKIE}={session}")) is None
    expires, _, signature = session.partition(".")
    for forged in (f"{int(expires) + 1}.{signature}", f"{expires}.{'0' * 64}", "1.", ".", "", "x.y", "٣.x"):
        assert await door.refusal(scope(cookie=f"{COOKIE}={forged}".encode().decode("latin-1"))) is not None


async def test_a_session_of_another_key_is_worth_nothing() -> None:
    assert await AdminDoor("boss").refusal(scope(cookie=f"{COOKIE}={AdminDoor('other').new_session()}")) is not None


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "gw.example"])
def test_listening_off_loopback_needs_both_keys(host: str) -> None:
    for has_keys, has_admin in ((False, False), (True, False), (False, True)):
        with pytest.raises(SettingsError, match="--insecure"):
            check_exposure(host, has_keys=has_keys, has_admin_key=has_admin, insecure=False)
    check_exposure(host, has_keys=True, has_admin_key=True, insecure=False)
    check_exposure(host, has_keys=False, has_admin_key=False, insecure=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_loopback_needs_none(host: str) -> None:
    check_exposure(host, has_keys=False, has_admin_key=False, insecure=False)
