"""A canary of the judge behind a real gateway: its share of the conversations, until the watch takes it back."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from router.ledger.contract import NewLabel
from router.ledger.registry import Registry
from router.ledger.store import SqlStore
from tests.gateway.conftest import House
from tests.learning.traffic import EVERYDAY, FIRST_REQUESTS, SHIPPED_NAME, TECHNICAL, another, ask

PATIENCE_SECONDS = 30.0
ASKED = 120


async def signalbox(house: House, *arguments: str) -> asyncio.subprocess.Process:
    """A command beside the gateway, on its ledger."""
    url = house.gateway.gateway.settings.store_url
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SIGNALBOX_")}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "router.cli", *arguments),
        env={**kept, "SIGNALBOX_DATABASE_URL": url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def done(house: House, *arguments: str) -> tuple[int | None, str, str]:
    """(exit code, stdout, stderr) of a command."""
    process = await signalbox(house, *arguments)
    out, err = await asyncio.wait_for(process.communicate(), 120)
    return process.returncode, out.decode(), err.decode()


async def judges(house: House, texts: list[str], seed: int = 0) -> dict[str, str]:
    """Who judged each of these, by the ledger. seed: another one, and no answer comes from the cache."""
    asked = {text: (await house.gateway.chat(text, seed=seed)).headers["x-request-id"] for text in texts}
    rows = {row["request_id"]: row for row in await house.gateway.rows(1)}
    deadline = time.monotonic() + 10
    while not set(asked.values()) <= set(rows):
        assert time.monotonic() < deadline
        rows = {row["request_id"]: row for row in await house.gateway.rows(1)}
    told = {text: await house.gateway.get(f"/api/requests/{name}") for text, name in asked.items()}
    return {text: story["classifier"] for text, story in told.items()}


async def until_canary(house: House, there: bool) -> float:
    """Seconds until the running gateway has a canary, or none any more."""
    began = time.monotonic()
    while (house.gateway.gateway.judge.canary is not None) is not there:
        assert time.monotonic() - began < PATIENCE_SECONDS
        await asyncio.sleep(0.05)
    return time.monotonic() - began


async def test_a_bad_canary_judges_its_share_until_the_watch_rolls_it_back(house: House, tmp_path: Path) -> None:
    store = SqlStore(house.gateway.gateway.settings.store_url)
    packed, name = another(tmp_path / "candidate")
    sha256 = await Registry(store).save(packed, {})
    code, out, _ = await done(house, "promote", sha256[:12], "--share", "0.5", "--json")
    assert code == 0 and json.loads(out) == {"current": None, "canary": sha256, "share": 0.5}
    await until_canary(house, True)

    texts = [f"question number {number}" for number in range(ASKED)]
    first = await judges(house, texts)
    assert set(first.values()) == {SHIPPED_NAME, name}
    assert 0.3 * ASKED < Counter(first.values())[name] < 0.7 * ASKED
    some = texts[:10]
    assert await judges(house, some, seed=1) == {text: first[text] for text in some}
    explained = await house.gateway.post(
        "/v1/route", {"model": "auto", "messages": [{"role": "user", "content": texts[0]}]}
    )
    assert explained.json()["assessment"]["classifier"] == first[texts[0]]

    rows = [await house.gateway.get(f"/api/requests/{row['request_id']}") for row in await house.gateway.rows(ASKED)]
    given = [NewLabel(row["request_id"], "audit", "judge", 0.0 if row["classifier"] == name else 1.0) for row in rows]
    await store.add_labels(rows[0]["tenant"], given)
    code, out, err = await done(house, "watch", "--once", "--json")
    turn = json.loads(out)
    assert (code, turn["did"]) == (1, "rolled back"), err
    assert await until_canary(house, False) < PATIENCE_SECONDS
    assert set((await judges(house, some, seed=2)).values()) == {SHIPPED_NAME}
    code, out, _ = await done(house, "history", "--json")
    newest = json.loads(out)[0]
    assert (newest["action"], newest["by"], newest["reason"]) == ("rollback", "watch", turn["reason"])
    assert "(audits)" in newest["reason"]
    await store.aclose()


async def test_drift_of_real_rows_comes_to_the_api_and_the_metrics(house: House) -> None:
    store, now = SqlStore(house.gateway.gateway.settings.store_url), time.time()
    assert await house.gateway.get("/api/drift") == {"reference": None, "newest": None, "history": []}
    await ask(store, EVERYDAY, FIRST_REQUESTS, since=now - 3 * 86_400, until=now - 2 * 86_400)
    await ask(store, TECHNICAL, 500, since=now - 3_600, seed=1)
    code, out, err = await done(house, "watch", "--once")
    assert code == 1 and "DRIFT" in out, err
    document: dict[str, Any] = await house.gateway.get("/api/drift")
    assert document["newest"]["alarm"] and "tasks" in document["history"][0]["alarms"]
    assert [part["name"] for part in document["newest"]["parts"]] == ["features", "tasks", "score", "labels", "gain"]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while "tasks" not in house.gateway.gateway.drift.alarms:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    await store.aclose()


async def test_two_watches_exclude_each_other_and_each_ends_when_it_is_told(house: House) -> None:
    first = await signalbox(house, "watch", "--every", "1h", "--json")
    assert first.stdout is not None
    told = json.loads(await asyncio.wait_for(first.stdout.readline(), 60))
    assert told["judge"] == SHIPPED_NAME
    code, _, err = await done(house, "watch", "--once")
    assert code == 3 and "another watch is running" in err
    second = await signalbox(house, "watch", "--json")
    assert second.stderr is not None and second.stdout is not None
    while b"another watch" not in (line := await asyncio.wait_for(second.stderr.readline(), 60)):
        assert line
    first.send_signal(signal.SIGTERM)
    _, said = await asyncio.wait_for(first.communicate(), 30)
    assert first.returncode == 0 and b"Traceback" not in said
    assert json.loads(await asyncio.wait_for(second.stdout.readline(), 30))["judge"] == SHIPPED_NAME
    second.send_signal(signal.SIGTERM)
    await asyncio.wait_for(second.communicate(), 30)
    assert second.returncode == 0


async def test_a_span_that_is_none_and_a_share_that_is_none_are_refused(house: House, tmp_path: Path) -> None:
    code, _, err = await done(house, "watch", "--every", "soon")
    assert code == 2 and "`every` must be a span" in err
    store = SqlStore(house.gateway.gateway.settings.store_url)
    sha256 = await Registry(store).save(another(tmp_path / "candidate")[0], {})
    code, _, err = await done(house, "promote", sha256, "--share", "1.5")
    assert code == 2 and "above 0 and below 1" in err
    assert await Registry(store).history() == ()
    await store.aclose()
