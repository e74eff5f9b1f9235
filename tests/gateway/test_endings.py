"""How answers end: every ending is one row that tells the truth, whoever closes first."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from router.domain import Caller
from router.entry import Entry
from router.upstream.standin import Fault, Reply, StandIn
from tests.gateway.conftest import House
from tests.running import POLICY, chat_body, client_of, running


async def test_a_long_stream_is_stored_and_its_row_says_ok(house: House) -> None:
    house.small.script.append(Reply("many words " * 40_000, pieces=50))
    first = await house.gateway.chat("hi", stream=True)
    assert first.text.endswith("data: [DONE]\n\n")
    [row] = await house.gateway.rows(1)
    assert row["outcome"] == "ok"
    again = await house.gateway.chat("hi")
    assert again.headers["x-signalbox-cache"] == "hit"
    assert len(again.content) > 400_000


async def test_a_caller_who_hangs_up_at_done_has_had_the_whole_answer(house: House) -> None:
    house.small.script.append(Reply("all of it", fault=Fault("linger")))
    async with (
        client_of(house.gateway.url) as client,
        client.stream("POST", "/v1/chat/completions", json=chat_body("hi", stream=True)) as answer,
    ):
        async for line in answer.aiter_lines():
            if line == "data: [DONE]":
                break
    [row] = await house.gateway.rows(1)
    assert row["outcome"] == "ok"
    assert (await house.gateway.chat("hi")).headers["x-signalbox-cache"] == "hit"


async def test_feedback_is_taken_as_soon_as_done_was_read(house: House) -> None:
    house.small.script.append(Reply("all of it", fault=Fault("linger")))
    async with (
        client_of(house.gateway.url) as client,
        client.stream("POST", "/v1/chat/completions", json=chat_body("hi", stream=True)) as answer,
    ):
        async for line in answer.aiter_lines():
            if line == "data: [DONE]":
                break
        opinion = {"request_id": answer.headers["x-request-id"], "thumb": "up"}
        assert (await house.gateway.post("/v1/feedback", opinion)).status_code == 202
        told = await house.gateway.get(f"/v1/decisions/{opinion['request_id']}")
    assert [label["score"] for label in told["outcome"]["labels"]] == [1.0]


LEAVING = {
    "a stream before its first byte": (True, False, Reply("never heard", latency_seconds=30)),
    "a plain call before its answer": (False, False, Reply("never heard", latency_seconds=30)),
    "a stream in its middle": (True, True, Reply("on and on " * 50, pieces=100, gap_seconds=0.1)),
    "a stream that has gone silent": (True, True, Reply("one two three", fault=Fault("stall_after", after=4))),
    "a plain call in its middle": (False, False, Reply("half of it", fault=Fault("stall_after"))),
}


@pytest.mark.parametrize(("stream", "hears", "reply"), LEAVING.values(), ids=LEAVING)
async def test_a_caller_who_leaves_lets_the_upstream_go_within_a_second_and_is_counted(
    house: House, stream: bool, hears: bool, reply: Reply
) -> None:
    house.small.script.append(reply)
    heard = asyncio.Event()

    async def ask() -> None:
        body = chat_body("hi", stream=stream)
        async with (
            client_of(house.gateway.url, timeout=60) as client,
            client.stream("POST", "/v1/chat/completions", json=body) as answer,
        ):
            async for _ in answer.aiter_bytes():
                heard.set()

    asking = asyncio.create_task(ask())
    received = await house.small.received(1)
    if hears:
        await heard.wait()
    else:
        await asyncio.sleep(0.1)
        assert not heard.is_set()
    asking.cancel()
    await asyncio.wait_for(received.left.wait(), 1)
    [row] = await house.gateway.rows(1)
    expected = ("client_closed", 200 if hears else 499, "small")
    assert (row["outcome"], row["status"], row["model"]) == expected
    assert row["cost_usd"] > 0
    assert bool(row["output_tokens"]) is hears
    told = await house.gateway.get(f"/v1/decisions/{row['request_id']}")
    assert told["outcome"]["tokens"]["estimated"]
    assert (await house.gateway.get("/api/costs?by=model&since=1h"))["total"]["spend_usd"] == row["cost_usd"]


async def test_every_attempt_is_a_row_and_every_request_is_one(house: House) -> None:
    house.small.script.extend([Fault("status", status=503), Fault("malformed"), Fault("close_before")])
    house.large.script.extend([Reply("helps"), Fault("html")])
    for number in range(4):
        await house.gateway.chat(f"hi {number}")
    rows = await house.gateway.rows(4)
    told = [await house.gateway.get(f"/v1/decisions/{row['request_id']}") for row in rows]
    calls = len(house.small.journal) + len(house.large.journal)
    assert sum(row["attempts"] for row in rows) == calls
    failed = [attempt for one in told for attempt in one["outcome"]["attempts"]]
    assert len(failed) == 4
    assert all(attempt["cost_usd"] == 0 and attempt["outcome"] == "upstream_error" for attempt in failed)
    assert json.dumps(told)  # plain values throughout


async def test_feedback_and_questions_may_go_to_another_gateway_at_once(tmp_path: Path) -> None:
    model, ledger = StandIn("m", lambda text: f"heard {text}"), f"sqlite:///{tmp_path / 'shared.sqlite3'}"
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    async with model.serve() as url:
        policy = POLICY.format(small=url, large=url)
        async with (
            running(folders[0], policy, database_url=ledger) as one,
            running(folders[1], policy, database_url=ledger) as two,
        ):
            request_id = (await one.chat("hi")).headers["x-request-id"]
            taken = await two.post("/v1/feedback", {"request_id": request_id, "thumb": "up"})
            assert taken.status_code == 202
            asked_at_once = (await one.chat("hello")).headers["x-request-id"]
            assert (await two.get(f"/v1/decisions/{asked_at_once}"))["outcome"]["status"] == 200


async def test_a_refused_request_has_a_row_that_says_how_long_it_took(house: House) -> None:
    answer = await house.gateway.chat("hi", model="nobody")
    assert answer.status_code == 404
    [row] = await house.gateway.rows(1)
    told = await house.gateway.get(f"/v1/decisions/{row['request_id']}")
    assert (row["outcome"], row["status"], row["cost_usd"]) == ("caller_error", 404, 0)
    assert told["outcome"]["overhead_ms"] > 0


async def test_an_answer_that_broke_off_was_paid_for_and_saved_nothing(house: House) -> None:
    house.small.script.append(Reply("half of this " * 20, fault=Fault("close_after", after=3)))
    await house.gateway.chat("hi", stream=True)
    [row] = await house.gateway.rows(1)
    costs = (await house.gateway.get("/api/costs?by=model&since=1h"))["total"]
    assert row["outcome"] == "upstream_error"
    assert costs["spend_usd"] == row["cost_usd"] > 0
    assert (costs["errors"], costs["baseline_usd"]) == (1, 0)


async def test_a_caller_who_hangs_up_at_an_error_did_not_break_the_answer_off(house: House) -> None:
    for number in range(5):  # who closes first is a race
        house.small.script.append(Reply("half of this " * 20, fault=Fault("error_event", after=3)))
        async with (
            client_of(house.gateway.url) as client,
            client.stream("POST", "/v1/chat/completions", json=chat_body(f"hi {number}", stream=True)) as answer,
        ):
            async for line in answer.aiter_lines():
                if '"error"' in line:
                    break
    rows = await house.gateway.rows(5)
    assert {row["outcome"] for row in rows} == {"upstream_error"}


@pytest.mark.parametrize("caller_left", [True, False])
def test_an_answer_that_was_whole_can_no_more_be_broken_off(caller_left: bool) -> None:
    entry = Entry("req_1", Caller(), time.perf_counter())
    entry.began(200)
    [row] = entry.close()
    entry.broke_off(caller_left=caller_left)
    assert (row.outcome, row.status, row.error_code) == ("ok", 200, None)
