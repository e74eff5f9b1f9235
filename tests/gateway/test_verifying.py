"""Answers held against the form that was asked for and against what the caller expects; through the running gateway."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from router.access.keys import Key, digest, write_keys_file
from router.ledger.store import SqlStore
from router.ledger.tables import labels
from router.upstream.standin import Reply, StandIn, ToolCall
from tests.running import POLICY, Running, chat_body, running

ASK = "What is the capital of France?"
PERSON = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON}}
LARGER = {"type": "json_schema", "json_schema": {"name": "p", "schema": {**PERSON, "minProperties": 2}}}
TOOL = {"type": "function", "function": {"name": "grow", "parameters": PERSON}}
WRONG_CALL = Reply("", tool_calls=(ToolCall("grow", {"age": "old"}),))
RIGHT_CALL = Reply("", tool_calls=(ToolCall("grow", {"age": 7}),))


@pytest.fixture
def model() -> StandIn:
    return StandIn("m", lambda text: "Paris")


@pytest.fixture
async def gateway(tmp_path: Path, model: StandIn) -> AsyncIterator[Running]:
    async with model.serve() as url:
        async with running(tmp_path, POLICY.format(small=url, large=url)) as served:
            yield served


async def labels_after(gateway: Running, *request_ids: str) -> list[list[tuple[str, str, float]]]:
    """What labels the requests have once all checks were made: a look takes a second."""
    await gateway.rows(len(request_ids))  # answers are offered for their checks right after their rows
    deadline = time.monotonic() + 10
    while gateway.gateway.verifier.waiting:
        assert time.monotonic() < deadline, "nobody looked at the answers"
        await asyncio.sleep(0.05)
    found = []
    for request_id in request_ids:
        story = await gateway.get(f"/api/requests/{request_id}")
        found.append([(label["key"], label["source"], label["score"]) for label in story["labels"]])
    return found


async def asked(gateway: Running, text: str = ASK, **more: Any) -> str:
    answer = await gateway.chat(text, **more)
    assert answer.status_code == 200, answer.text
    return answer.headers["x-request-id"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("reply", "more", "wrong"),
    [
        ("no JSON", {"response_format": {"type": "json_object"}}, True),
        ("[1]", {"response_format": {"type": "json_object"}}, True),
        ('{"age": 7}', {"response_format": {"type": "json_object"}}, False),
        ("of one year", {"response_format": LARGER}, True),  # the stand-in fills in what is named
        ("of one year", {"response_format": SCHEMA}, False),
        (WRONG_CALL, {"tools": [TOOL]}, True),
        (RIGHT_CALL, {"tools": [TOOL]}, False),
        ("just words", {"tools": [TOOL]}, False),
        (Reply("just words", tool_calls=()), {"tools": [TOOL], "tool_choice": "required"}, True),
        (Reply('{"age": ', finish="length"), {"response_format": SCHEMA}, False),
    ],
)
async def test_an_answer_of_the_wrong_form_is_labelled_by_the_gateway_and_one_of_the_right_form_is_not(
    gateway: Running, model: StandIn, reply: Any, more: dict[str, Any], wrong: bool, stream: bool
) -> None:
    model.script.append(reply if isinstance(reply, Reply) else Reply(reply))
    request_id = await asked(gateway, stream=stream, **more)
    [labels] = await labels_after(gateway, request_id)
    structural = [label for label in labels if label[1] == "verifier"]
    assert structural == ([("gateway:structure", "verifier", 0.0)] if wrong else [])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("reply", "expected", "score"),
    [
        ("Paris", {"": "Paris"}, 1.0),
        ("It is Paris.", {"": "Paris"}, 0.0),
        ("It is paris.", {".contains": "Paris"}, 1.0),
        ("It is Lyon.", {".contains": "Paris"}, 0.0),
        ("Call 555-1234", {".regex": r"\d{3}-\d{4}"}, 1.0),
        ("Call me", {".regex": r"\d{3}-\d{4}"}, 0.0),
        ("0b0e0a3c-1d2e-4f5a-8b9c-0d1e2f3a4b5c", {".regex": r"^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$"}, 1.0),
        ("The answer is 3.1416.", {".number": "3.14159 +- 0.001"}, 1.0),
        ("The answer is 3.2.", {".number": "3.14159 ± 0.001"}, 0.0),
        ("No idea.", {".number": "42"}, 0.0),
        ("The answer is B", {".choice": "b"}, 1.0),
        ("The answer is C", {".choice": "B"}, 0.0),
        ("Paris, or 555-1234", {".contains": "paris", ".regex": r"\d{4}"}, 1.0),
        ("Paris", {".contains": "paris", ".regex": r"\d{4}"}, 0.0),
    ],
)
async def test_an_answer_is_held_against_what_its_caller_expects(
    gateway: Running, model: StandIn, reply: str, expected: dict[str, str], score: float, stream: bool
) -> None:
    model.script.append(Reply(reply))
    metadata = {f"signalbox.expect{name}": value for name, value in expected.items()}
    request_id = await asked(gateway, stream=stream, metadata=metadata)
    assert await labels_after(gateway, request_id) == [[("gateway:expect", "verifier", score)]]


async def test_what_cannot_be_made_out_is_no_label(gateway: Running, model: StandIn) -> None:
    model.script += [Reply("3 of 4, or 7 perhaps 8"), Reply("Perhaps."), Reply("a" * 5000)]
    slow = {"signalbox.expect.regex": r"(a+)+(a+)+(a+)+$b"}
    number = await asked(gateway, metadata={"signalbox.expect.number": "3"})
    choice = await asked(gateway, "Which one?", metadata={"signalbox.expect.choice": "B"})
    regex = await asked(gateway, "Say a", metadata=slow)
    assert await labels_after(gateway, number, choice, regex) == [[], [], []]


async def test_nothing_of_what_is_expected_goes_upstream_and_the_rest_stays_as_it_was(
    gateway: Running, model: StandIn
) -> None:
    whole = (
        b'{ "model" : "small",  "metadata": {"signalbox.expect":"Paris"}, "messages":[{"role":"user", '
        b'"content":"Caf\\u00e9?"}],"user" :"me" }'
    )
    assert (await gateway.post("/v1/chat/completions", whole)).status_code == 200
    wanted = whole.replace(b',  "metadata": {"signalbox.expect":"Paris"}', b"").replace(b'"small"', b'"standin-small"')
    assert model.journal[-1].body == wanted
    beside = {"signalbox.expect": "Paris", "team": "blue"}
    await asked(gateway, "and with more?", metadata=beside)
    assert orjson.loads(model.journal[-1].body)["metadata"] == {"team": "blue"}
    beside_bytes = whole.replace(b'"Paris"}', b'"Paris", "n" :[1.10,1e2 , 1e999], "signalbox.expect.choice" : "B"}')
    assert (await gateway.post("/v1/chat/completions", beside_bytes)).status_code == 200
    assert b'"metadata": { "n" :[1.10,1e2 , 1e999]}, "messages"' in model.journal[-1].body
    await asked(gateway, "and without?", metadata={"team": "red"})
    assert orjson.loads(model.journal[-1].body)["metadata"] == {"team": "red"}


@pytest.mark.parametrize(
    "metadata",
    [
        {"signalbox.expect.mood": "good"},
        {"signalbox.expected": "B"},
        {"signalbox.expect": 7},
        {"signalbox.expect": " "},
        {"signalbox.expect": "x" * 513},
        {"signalbox.expect.number": "many"},
        {"signalbox.expect.number": "1 +- -1"},
        {"signalbox.expect.choice": "Z"},
        {"signalbox.expect.regex": "(open"},
        {"signalbox.expect.regex": "(?:ab){9999999}"},
        {"signalbox.expect.regex": "(" * 8 + "a" + "{100})" * 8},
        {"signalbox.expect.regex": "(" * 40 + "a" + "{2,})" * 40},
        {"signalbox.expect.regex": "(?ix)a{9 9 9}"},
    ],
)
async def test_an_expectation_that_makes_no_sense_is_refused_before_anything_is_spent(
    gateway: Running, model: StandIn, metadata: dict[str, Any]
) -> None:
    answer = await gateway.chat(ASK, metadata=metadata)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "metadata")
    assert not model.journal


async def test_private_asks_are_not_looked_at(gateway: Running, model: StandIn) -> None:
    mail = "Write to anna.example@example.org, as JSON"
    request_id = await asked(gateway, mail, response_format={"type": "json_object"})
    expecting = await asked(gateway, mail + "!", metadata={"signalbox.expect": "Paris"})
    assert await labels_after(gateway, request_id, expecting) == [[], []]


async def test_nothing_of_answer_or_expectation_is_kept(gateway: Running, model: StandIn) -> None:
    model.script.append(Reply("zanzibar"))
    request_id = await asked(
        gateway, "secret?", response_format={"type": "json_object"}, metadata={"signalbox.expect": "yokohama"}
    )
    [labels] = await labels_after(gateway, request_id)
    assert len(labels) == 2
    story = (await gateway.get(f"/api/requests/{request_id}"))["labels"]
    assert "zanzibar" not in str(story) and "yokohama" not in str(story)
    assert {label["comment"] for label in story} == {"the answer is not JSON", "not as expected: exact"}


async def test_labels_of_the_last_answers_are_written_before_the_gateway_stops(tmp_path: Path, model: StandIn) -> None:
    async with model.serve() as url:
        async with running(tmp_path, POLICY.format(small=url, large=url)) as gateway:
            for number in range(3):
                await asked(gateway, f"{ASK} {number}", metadata={"signalbox.expect": "Paris"})
            url_of_store = gateway.gateway.settings.store_url
    store = SqlStore(url_of_store)
    [found] = await store.rows(sa.select(sa.func.count().label("n")).select_from(labels))
    await store.aclose()
    assert found["n"] == 3


async def test_a_key_without_the_tag_expects_as_a_user_and_a_later_thumb_wins(tmp_path: Path, model: StandIn) -> None:
    file = tmp_path / "keys.yaml"
    keys = [Key("web", "acme", digest("web")), Key("tests", "acme", digest("tests"), ("verifier",))]
    write_keys_file(file, keys)
    async with model.serve() as url:
        async with running(tmp_path, POLICY.format(small=url, large=url), keys_file=file) as gateway:
            ids = []
            for number, key in enumerate(("web", "tests", "web")):
                body = chat_body(f"{ASK} {number}", metadata={"signalbox.expect": "Lyon"})
                answer = await gateway.post("/v1/chat/completions", body, authorization=f"Bearer {key}")
                ids.append(answer.headers["x-request-id"])
            thumb = {"request_id": ids[2], "thumb": "up"}
            assert (await gateway.post("/v1/feedback", thumb, authorization="Bearer web")).status_code == 202
            assert await labels_after(gateway, *ids) == [
                [("web", "user", 0.0)],
                [("gateway:expect", "verifier", 0.0)],
                [("web", "user", 1.0)],
            ]
