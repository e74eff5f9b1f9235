"""What every upstream promises, proven on both against the stand-in."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import orjson
import pytest

from router.errors import (
    UpstreamBroken,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamRefusedKey,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from router.upstream.sse import read_plain
from router.upstream.standin import Fault, Reply
from tests.upstream.conftest import KEY, SECRET_WORDS, House, heard, whole

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["city", "people"],
    "additionalProperties": False,
}


async def test_a_plain_answer_is_a_completion_with_usage(house: House) -> None:
    answer = await house.open("hello")
    seen = read_plain(await whole(answer))
    assert (answer.status, answer.streamed) == (200, False)
    assert answer.headers["content-type"].startswith("application/json")
    assert seen.completion is not None and len(seen.completion["choices"]) == 1 and seen.finish_reason == "stop"
    assert seen.usage is not None and seen.usage.cache_read == 2 and seen.usage.output == 4


async def test_a_streamed_answer_says_its_role_once_and_its_usage_at_the_end(house: House) -> None:
    answer = await house.open("hello", stream=True)
    stream = await whole(answer)
    tap, chunks = heard(stream)
    assert answer.streamed and answer.headers["content-type"].startswith("text/event-stream")
    assert stream.endswith(b"data: [DONE]\n\n")
    assert [chunk["choices"][0]["delta"].get("role") for chunk in chunks if chunk["choices"]].count("assistant") == 1
    text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk["choices"])
    assert text == "You said: hello"
    assert chunks[-1]["choices"] == [] and tap.usage is not None and tap.usage.cache_read == 2
    assert tap.finish_reason == "stop" and len({(chunk["id"], chunk["model"]) for chunk in chunks}) == 1


async def test_stream_and_plain_answer_bill_the_same(house: House) -> None:
    plain = read_plain(await house.read("count me")).usage
    tap, _ = heard(await house.read("count me", stream=True))
    assert plain == tap.usage


async def test_a_tool_is_called_plainly(house: House) -> None:
    body = orjson.loads(await house.read("please use get_weather", tools=[WEATHER]))
    (choice,) = body["choices"]
    (call,) = choice["message"]["tool_calls"]
    assert choice["finish_reason"] == "tool_calls" and choice["message"]["content"] is None
    assert call["function"]["name"] == "get_weather" and json.loads(call["function"]["arguments"])["city"]


async def test_a_tool_call_is_streamed_in_fragments(house: House) -> None:
    tap, chunks = heard(await house.read("please use get_weather", stream=True, tools=[WEATHER]))
    fragments = [
        call for chunk in chunks for choice in chunk["choices"] for call in choice["delta"].get("tool_calls", ())
    ]
    assert tap.has_tool_calls and tap.finish_reason == "tool_calls"
    assert [call["function"].get("name") for call in fragments if call.get("id")] == ["get_weather"]
    assert json.loads("".join(call["function"]["arguments"] for call in fragments))["city"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_schema_is_satisfied(house: House, stream: bool) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "city", "schema": CITY, "strict": True}}
    body = await house.read("which city", stream=stream, response_format=wanted)
    if stream:
        text = "".join(choice["delta"].get("content") or "" for chunk in heard(body)[1] for choice in chunk["choices"])
    else:
        text = orjson.loads(body)["choices"][0]["message"]["content"]
    assert set(json.loads(text)) == {"city", "people"}


BEFORE_CONTENT = [
    (Fault("status", 401), UpstreamRefusedKey),
    (Fault("status", 403), UpstreamRefusedKey),
    (Fault("status", 429, retry_after="7"), UpstreamRateLimited),
    (Fault("status", 500), UpstreamBroken),
    (Fault("status", 503), UpstreamBroken),
    (Fault("malformed"), UpstreamError),
    (Fault("html"), UpstreamError),
    (Fault("close_before"), UpstreamError),
    (Fault("close_after", after=1), UpstreamError),
    (Fault("error_event", after=1), UpstreamError),
    (Fault("redirect"), UpstreamError),
]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(("fault", "expected"), BEFORE_CONTENT, ids=lambda value: str(getattr(value, "kind", "")))
async def test_what_fails_before_content_raises_so_that_another_may_be_asked(
    house: House, fault: Fault, expected: type[UpstreamError], stream: bool
) -> None:
    house.standin.script.append(fault)
    with pytest.raises(expected) as raised:
        await house.open(stream=stream)
    assert raised.value.retry_next
    assert len(house.standin.journal) == 1, "nobody but the plan retries"
    if fault.retry_after:
        assert raised.value.retry_after == 7
    told = f"{raised.value!s} {raised.value!r} {raised.value.body()} {house.model!r}"
    assert KEY not in told and SECRET_WORDS not in told
    assert house.model.name in str(raised.value)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_an_upstream_that_does_not_answer_runs_into_first_token(house: House, stream: bool) -> None:
    house.with_timeouts(first_token=0.2)
    house.standin.script.append(Fault("hang"))
    with pytest.raises(UpstreamTimeout, match="first_token"):
        await house.open(stream=stream)
    await asyncio.wait_for((await house.standin.received()).left.wait(), 1.0)


async def test_a_plain_answer_may_take_longer_than_the_default_for_first_tokens(house: House) -> None:
    house.with_timeouts(first_token=60.0, total=0.2)
    house.standin.script.append(Fault("hang"))
    with pytest.raises(UpstreamTimeout, match="total"):
        await house.open()


async def test_a_stream_that_goes_silent_runs_into_idle(house: House) -> None:
    house.with_timeouts(idle=0.2)
    house.standin.script.append(Fault("stall_after", after=4))
    answer = await house.open(stream=True)
    with pytest.raises(UpstreamTimeout, match="idle"):
        await whole(answer)
    await asyncio.wait_for((await house.standin.received()).left.wait(), 1.0)


async def test_a_stream_that_never_ends_runs_into_total(house: House) -> None:
    house.with_timeouts(total=0.5, idle=10.0)
    house.standin.script.append(Reply("word " * 1000, pieces=1000, gap_seconds=0.02))
    answer = await house.open(stream=True)
    with pytest.raises(UpstreamTimeout, match="total"):
        await whole(answer)


async def test_a_stream_that_breaks_off_after_content_raises_out_of_its_chunks(house: House) -> None:
    house.standin.script.append(Fault("close_after", after=4))
    answer = await house.open(stream=True)
    read = b""
    with pytest.raises(UpstreamBroken):
        async for chunk in answer.chunks():
            read += chunk
    assert b"You" in read and b"[DONE]" not in read


async def test_a_stream_without_its_last_event_is_complete(house: House) -> None:
    house.standin.script.append(Fault("no_done"))
    tap, _ = heard(await house.read(stream=True))
    assert tap.finish_reason == "stop"


async def test_a_stream_that_is_over_but_not_ended_is_over(house: House) -> None:
    house.standin.script.append(Fault("linger"))
    tap, _ = heard(await asyncio.wait_for(house.read(stream=True), 5.0))
    assert tap.saw_done


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("status", [400, 404, 422])
async def test_the_callers_mistakes_come_back_as_answers(house: House, status: int, stream: bool) -> None:
    house.standin.script.append(Fault("status", status))
    answer = await house.open(stream=stream)
    error = orjson.loads(await whole(answer))["error"]
    assert answer.status == status and not answer.streamed
    assert error == {
        "message": "This fault was asked for.",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }


async def test_a_wrong_key_is_ours_to_mend(house: House) -> None:
    house.model = replace(house.model, api_key="sk-wrong")
    with pytest.raises(UpstreamRefusedKey) as raised:
        await house.open()
    assert "sk-wrong" not in str(raised.value)


async def test_nobody_listening_is_an_upstream_error(house: House) -> None:
    house.model = replace(house.model, base_url="http://127.0.0.1:9/v1")
    with pytest.raises(UpstreamError) as raised:
        await house.open()
    assert isinstance(raised.value, UpstreamUnreachable | UpstreamBroken) and raised.value.retry_same


async def test_closing_before_the_end_stops_the_upstream_within_a_second(house: House) -> None:
    house.standin.script.append(Reply("word " * 200, pieces=200, gap_seconds=0.05))
    answer = await house.open(stream=True)
    async for _ in answer.chunks():
        break
    await answer.aclose()
    entry = await house.standin.received()
    await asyncio.wait_for(entry.left.wait(), 1.0)
    await entry.ended.wait()
    assert 0 < entry.output_tokens < 100, "what was not produced is not billed"
    await answer.aclose()


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_a_caller_who_leaves_while_the_upstream_thinks_stops_it_within_a_second(
    house: House, stream: bool
) -> None:
    house.standin.script.append(Fault("hang"))
    journey = asyncio.create_task(house.upstream.open(house.call(stream=stream)))
    entry = await house.standin.received()
    journey.cancel()
    with pytest.raises(asyncio.CancelledError):
        await journey
    await asyncio.wait_for(entry.left.wait(), 1.0)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_a_connection_is_used_again_after_the_end(house: House, stream: bool) -> None:
    for _ in range(3):
        await house.read(stream=stream)
    assert len({entry.connection for entry in house.standin.journal}) == 1


async def test_nothing_is_left_behind(house: House) -> None:
    before = asyncio.all_tasks()
    for fault in (None, Fault("close_after", after=4), Fault("status", 500), Fault("linger")):
        if fault is not None:
            house.standin.script.append(fault)
        for stream in (False, True):
            try:
                await house.read(stream=stream)
            except UpstreamError:
                continue
    await house.upstream.aclose()
    async with asyncio.timeout(2.0):
        while house.standin.open_connections or asyncio.all_tasks() - before:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_fifty_at_once_get_their_own_answers(house: House) -> None:
    questions = [f"number {number} please" for number in range(50)]
    bodies = await asyncio.gather(*(house.read(question) for question in questions))
    said = [orjson.loads(body)["choices"][0]["message"]["content"] for body in bodies]
    assert said == [f"You said: {question}" for question in questions]
