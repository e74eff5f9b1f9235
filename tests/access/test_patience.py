"""Guessing the admin key is slow at every door, costs bounded memory, and keeps no other address out."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from router.access.admin import COOKIE, AdminDoor
from router.access.patience import Patience
from router.upstream.standin import StandIn
from tests.access.test_admin import scope
from tests.running import POLICY, running

BOSS = {"authorization": "Bearer boss"}


def guess(door: AdminDoor, key: str, client: str = "127.0.0.1") -> asyncio.Task[str]:
    """What a bearer key comes to: `in`, or the error's status."""

    async def tried() -> str:
        refusal = await door.refusal(scope(client, authorization=f"Bearer {key}"))
        return "in" if refusal is None else str(refusal.status)

    return asyncio.create_task(tried())


async def test_wrong_bearer_keys_wait_and_further_ones_of_that_address_go_unread() -> None:
    door = AdminDoor("boss", Patience(seconds=0.2, at_once=2))
    wrong = [guess(door, f"guess {number}") for number in range(50)]
    await asyncio.sleep(0.05)
    assert sorted(task.done() for task in wrong) == [False] * 2 + [True] * 48
    assert await guess(door, "boss") == "429", "not even a right one is told from wrong ones meanwhile"
    assert sorted(await asyncio.gather(*wrong)) == ["401"] * 2 + ["429"] * 48
    assert await guess(door, "boss") == "in"


async def test_who_shows_no_key_or_a_session_never_waits() -> None:
    door = AdminDoor("boss", Patience(seconds=30, at_once=1))
    wrong = guess(door, "wrong")
    await asyncio.sleep(0)
    assert await door.refusal(scope(cookie=f"{COOKIE}={door.new_session()}", authorization="Bearer wrong")) is None
    refusal = await door.refusal(scope())
    assert refusal is not None
    assert refusal.status == 401
    wrong.cancel()


@pytest.mark.parametrize("own", ["10.0.0.2", "::1", "2001:db8:1:2::1", "", "10.0.0.256"])
async def test_a_right_key_is_not_kept_out_by_the_wrong_ones_of_others(own: str) -> None:
    patience = Patience(seconds=30, at_once=1, addresses_most=20)
    door = AdminDoor("boss", patience)
    others = [guess(door, "wrong", f"10.1.0.{number}") for number in range(200)]
    others += [guess(door, "wrong", f"2001:db8:1:1::{number}") for number in range(200)]
    await asyncio.sleep(0.05)
    assert patience.addresses == 20, "memory is bounded"
    assert await guess(door, "boss", own) == "in"
    assert await guess(door, "wrong", own) == "429", "there is no room left to wait in"
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    assert not patience.addresses


async def test_one_host_has_one_address_however_many_it_may_choose_from() -> None:
    patience = Patience(seconds=30, at_once=1)
    door = AdminDoor("boss", patience)
    first = guess(door, "wrong", "2001:db8:1:1::1")
    await asyncio.sleep(0)
    assert await guess(door, "wrong", "2001:db8:1:1:ffff::2%eth0") == "429"
    assert patience.is_spent("2001:db8:1:1::9")
    assert not patience.is_spent("2001:db8:1:2::1")
    first.cancel()
    mapped = guess(door, "wrong", "::ffff:10.0.0.1")
    await asyncio.sleep(0)
    assert await guess(door, "wrong", "10.0.0.1") == "429"
    mapped.cancel()


async def test_both_doors_of_a_running_gateway_share_one_account(tmp_path: Path) -> None:
    model = StandIn("m", lambda text: "fine")
    async with model.serve() as url:
        async with running(tmp_path, POLICY.format(small=url, large=url), admin_key="boss") as gateway:
            async with httpx.AsyncClient(base_url=gateway.url) as client:
                origin = {"origin": gateway.url}
                tries = [client.get("/api/costs", headers={"authorization": f"Bearer {n}"}) for n in range(6)]
                tries += [client.post("/login", data={"key": str(n)}, headers=origin) for n in range(6)]
                statuses = sorted(answer.status_code for answer in await asyncio.gather(*tries))
                assert statuses == [401] * 3 + [429] * 9
                assert (await client.get("/api/costs", headers=BOSS)).status_code == 200
                assert (await client.post("/login", data={"key": "boss"}, headers=origin)).status_code == 303
