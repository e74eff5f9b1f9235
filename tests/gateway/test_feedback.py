"""Feedback in bulk, late, early, and from those who may and may not speak as verifiers; through the running gateway."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from router.access.keys import Key, digest, write_keys_file
from router.ledger.window import timestamp
from router.upstream.standin import Reply, StandIn
from tests.gateway.conftest import House
from tests.running import POLICY, Running, chat_body, client_of, running

EASY = "What is the capital of France?"
NDJSON = {"content-type": "application/x-ndjson"}


async def asked(gateway: Running, count: int = 1, **headers: str) -> list[str]:
    """Ids of requests that were answered just now."""
    answers = [
        await gateway.post("/v1/chat/completions", chat_body(f"{EASY} {n} {time.time_ns()}"), **headers)
        for n in range(count)
    ]
    assert all(answer.status_code == 200 for answer in answers)
    return [answer.headers["x-request-id"] for answer in answers]


async def labels_of(gateway: Running, request_id: str) -> list[tuple[str, float]]:
    deadline = time.monotonic() + 5
    while True:
        async with client_of(gateway.url) as client:
            answer = await client.get(f"/api/requests/{request_id}")
        if answer.status_code == 200:
            return [(label["source"], label["score"]) for label in answer.json()["labels"]]
        assert time.monotonic() < deadline, answer.text
        await asyncio.sleep(0.05)


async def batch(gateway: Running, items: Any, **headers: str) -> dict[str, Any]:
    answer = await gateway.post("/v1/feedback", items, **headers)
    assert answer.status_code == 202, answer.text
    document: dict[str, Any] = answer.json()
    return document


def codes(document: dict[str, Any]) -> list[tuple[str, str | None, str | None]]:
    return [(item["status"], item["code"], item["param"]) for item in document["items"]]


async def test_one_opinion_is_answered_as_ever(house: House) -> None:
    [request_id] = await asked(house.gateway)
    answer = await house.gateway.post("/v1/feedback", {"request_id": request_id, "thumb": "up"})
    assert (answer.status_code, answer.content) == (202, b'{"status":"accepted"}')


@pytest.mark.parametrize("form", ["list", "items", "lines"])
async def test_a_bad_item_does_not_cost_its_neighbours_theirs(house: House, form: str) -> None:
    first, second = await asked(house.gateway, 2)
    unknown = "req_" + "0" * 32
    items: list[Any] = [
        {"request_id": first, "thumb": "up"},
        {"request_id": unknown, "thumb": "up"},
        {"request_id": first, "score": 2},
        {"request_id": first, "thumb": "up", "mood": "good"},
        {"thumb": "up"},
        7,
        {"request_id": second, "score": 0.25, "comment": "hm"},
    ]
    if form == "lines":
        lines = "\n".join(json.dumps(item) for item in items) + "\n\n"
        document = await batch(house.gateway, lines.encode(), **NDJSON)
    else:
        document = await batch(house.gateway, items if form == "list" else {"items": items})
    refused = [(code, param) for status, code, param in codes(document) if status == "refused"]
    assert (document["accepted"], document["refused"]) == (2, 5)
    assert refused == [
        ("not_found", "request_id"),
        ("invalid_request", "score"),
        ("invalid_request", "mood"),
        ("invalid_request", "request_id"),
        ("invalid_json" if form == "lines" else "invalid_request", None),
    ]
    assert [item["index"] for item in document["items"]] == list(range(7))
    assert document["items"][1]["request_id"] == unknown
    assert await labels_of(house.gateway, first) == [("user", 1.0)]
    assert await labels_of(house.gateway, second) == [("user", 0.25)]


async def test_a_line_that_is_no_json_is_refused_alone(house: House) -> None:
    [request_id] = await asked(house.gateway)
    lines = b'{"request_id": \r\n{"request_id": "%b", "thumb": "down"}\r\n\xff\n' % request_id.encode()
    document = await batch(house.gateway, lines, **NDJSON)
    assert [status for status, _, _ in codes(document)] == ["refused", "accepted", "refused"]
    assert await labels_of(house.gateway, request_id) == [("user", 0.0)]


async def test_the_second_thumb_replaces_the_first_within_a_batch_and_after_it(house: House) -> None:
    [request_id] = await asked(house.gateway)
    twice = [{"request_id": request_id, "thumb": thumb} for thumb in ("up", "down")]
    assert (await batch(house.gateway, twice))["accepted"] == 2
    assert await labels_of(house.gateway, request_id) == [("user", 0.0)]
    for _ in range(2):
        assert (await batch(house.gateway, [{"request_id": request_id, "score": 0.75}]))["accepted"] == 1
        assert await labels_of(house.gateway, request_id) == [("user", 0.75)]


async def test_ten_thousand_opinions_fit_into_a_body_and_one_more_does_not(house: House) -> None:
    known = await asked(house.gateway, 2)
    items = [{"request_id": f"req_{n:032x}", "thumb": "up"} for n in range(9_998)]
    items += [{"request_id": request_id, "thumb": "up"} for request_id in known]
    document = await batch(house.gateway, items)
    assert (document["accepted"], len(document["items"])) == (2, 10_000)
    for body, headers in (
        ([*items, items[0]], {}),
        ("\n".join(json.dumps(item) for item in [*items, items[0]]).encode(), NDJSON),
    ):
        answer = await house.gateway.post("/v1/feedback", body, **headers)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "items")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"items": {}}, "items"),
        ({"items": [], "thumb": "up"}, "thumb"),
        (b"[", None),
        (b'[],"items":[]', "items"),
        (b'[],"more":[]', None),
    ],
)
async def test_a_batch_that_cannot_be_read_is_refused_whole(house: House, body: Any, param: str | None) -> None:
    answer = await house.gateway.post("/v1/feedback", body)
    assert answer.status_code == 400
    assert param is None or answer.json()["error"]["param"] == param


async def test_a_number_that_no_float_holds_is_refused_alone(house: House) -> None:
    [request_id] = await asked(house.gateway)
    lines = [
        f'{{"request_id": "{request_id}", "score": {score}}}' for score in ("9" * 400, "1e999", "-" + "9" * 400, "1")
    ]
    document = await batch(house.gateway, "\n".join(lines).encode(), **NDJSON)
    assert [param for _, _, param in codes(document)] == ["score", "score", "score", None]
    alone = await house.gateway.post("/v1/feedback", lines[0].encode())
    assert alone.status_code == 400 and await labels_of(house.gateway, request_id) == [("user", 1.0)]


async def test_an_empty_batch_is_nothing_to_complain_of(house: House) -> None:
    assert codes(await batch(house.gateway, [])) == []
    assert codes(await batch(house.gateway, b"", **NDJSON)) == []


async def test_an_opinion_may_say_when_it_was_given_and_an_older_one_changes_nothing(house: House) -> None:
    [request_id] = await asked(house.gateway)
    await asyncio.sleep(0.05)
    early, late = time.time() - 0.04, time.time()
    for at, thumb in ((late, "up"), (early, "down")):
        given = {"request_id": request_id, "thumb": thumb, "at": timestamp(at)}
        assert (await house.gateway.post("/v1/feedback", given)).status_code == 202
    assert await labels_of(house.gateway, request_id) == [("user", 1.0)]
    given = {"request_id": request_id, "thumb": "down"}  # of now
    assert (await house.gateway.post("/v1/feedback", given)).status_code == 202
    assert await labels_of(house.gateway, request_id) == [("user", 0.0)]


@pytest.mark.parametrize("at", ["tomorrow", "7d", "2020-01-31", 5, "2020-01-31T08:00:00Z", "2999-01-31T08:00:00Z"])
async def test_a_time_before_the_request_or_in_the_future_is_refused(house: House, at: Any) -> None:
    [request_id] = await asked(house.gateway)
    answer = await house.gateway.post("/v1/feedback", {"request_id": request_id, "thumb": "up", "at": at})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "at")
    assert await labels_of(house.gateway, request_id) == []


async def test_feedback_given_while_the_answer_still_comes_is_kept(tmp_path: Path) -> None:
    slow = StandIn("slow", lambda text: Reply("some words that take their time to come", gap_seconds=0.2))
    async with slow.serve() as url:
        async with running(tmp_path, POLICY.format(small=url, large=url)) as gateway:
            async with client_of(gateway.url, timeout=30) as client:
                async with client.stream("POST", "/v1/chat/completions", json=chat_body(EASY, stream=True)) as answer:
                    request_id = answer.headers["x-request-id"]
                    began = time.monotonic()
                    document = await batch(gateway, [{"request_id": request_id, "thumb": "up"}])
                    assert document["accepted"] == 1 and time.monotonic() - began < 1
                    await answer.aread()
            assert await labels_of(gateway, request_id) == [("user", 1.0)]


KEYS = {"web": ("acme", ()), "tests": ("acme", ("verifier",)), "other": ("umbrella", ())}


async def post(gateway: Running, key: str, body: Any) -> httpx.Response:
    return await gateway.post("/v1/feedback", body, authorization=f"Bearer {key}")


async def test_only_own_requests_and_only_tagged_keys_as_verifiers(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    write_keys_file(file, [Key(name, tenant, digest(name), tags) for name, (tenant, tags) in KEYS.items()])
    model = StandIn("m", lambda text: "fine")
    async with model.serve() as url:
        async with running(tmp_path, POLICY.format(small=url, large=url), keys_file=file) as gateway:
            own, theirs = await asked(gateway, 2, authorization="Bearer web")
            [foreign] = await asked(gateway, 1, authorization="Bearer other")
            up = [{"request_id": name, "thumb": "up"} for name in (own, foreign, theirs)]
            assert [code for _, code, _ in codes((await post(gateway, "web", up)).json())] == [None, "not_found", None]

            verified = {"request_id": own, "score": 0, "source": "verifier"}
            refused = await post(gateway, "web", verified)
            assert (refused.status_code, refused.json()["error"]["param"]) == (403, "source")
            mixed = (await post(gateway, "web", [verified, {"request_id": own, "score": 0.5}])).json()
            assert codes(mixed) == [("refused", "forbidden", "source"), ("accepted", None, None)]
            assert (await post(gateway, "tests", verified)).status_code == 202
            assert (await post(gateway, "tests", [{**verified, "request_id": foreign}])).json()["refused"] == 1
            assert sorted(await labels_of(gateway, own)) == [("user", 0.5), ("verifier", 0.0)]
            assert await labels_of(gateway, foreign) == []
