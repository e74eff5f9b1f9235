"""A stream and the plain answer it stands for turn into each other; what is not understood is left alone."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import openai
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.cache.forms import assemble, replay, storable

from .answers import chunk, plain, said, sse

FINISH = chunk(said(finish="stop"))
USAGE = chunk(usage={"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11})


def assembled(*chunks: dict[str, Any], **how: Any) -> dict[str, Any] | None:
    body = assemble(sse(*chunks, **how))
    return None if body is None else orjson.loads(body)


def content(text: str, **changes: Any) -> dict[str, Any]:
    return chunk(said({"content": text}), **changes)


def test_a_stream_becomes_the_plain_answer_it_stands_for() -> None:
    role = chunk(said({"role": "assistant", "content": "", "refusal": None}))
    assert assembled(role, content("Par"), content("is."), FINISH, USAGE) == plain("Paris.")


def test_service_tier_fingerprint_and_other_fields_of_the_top_are_kept() -> None:
    tier = {"service_tier": "default", "system_fingerprint": "fp_9", "provider": "Somebody"}
    answer = assembled(content("a", **tier), FINISH | tier)
    assert answer is not None
    assert {name: answer[name] for name in tier} == tier


def test_reasoning_and_unknown_text_is_joined_beside_the_content() -> None:
    thought = [chunk(said({"reasoning_content": text, "mood": text.upper()})) for text in ("so", " then")]
    answer = assembled(*thought, content("Yes"), FINISH)
    assert answer is not None
    message = answer["choices"][0]["message"]
    expected = {"role": "assistant", "content": "Yes", "refusal": None}
    assert message == expected | {"reasoning_content": "so then", "mood": "SO THEN"}


def test_log_probabilities_are_joined() -> None:
    def token(text: str) -> dict[str, Any]:
        return chunk(said({"content": text}, logprobs={"content": [{"token": text, "logprob": -0.5}], "refusal": None}))

    answer = assembled(token("a"), token("b"), FINISH)
    assert answer is not None
    assert [each["token"] for each in answer["choices"][0]["logprobs"]["content"]] == ["a", "b"]


def test_padding_that_hides_lengths_is_left_out() -> None:
    answer = assembled(content("a", obfuscation="xx", p="abc"), content("b", obfuscation="y", p="ab"), FINISH)
    assert answer is not None
    assert not {"obfuscation", "p"} & set(answer)


def test_the_last_of_several_usages_counts() -> None:
    answer = assembled(content("a", usage={"total_tokens": 1}), content("b", usage={"total_tokens": 2}), FINISH)
    assert answer is not None
    assert answer["usage"] == {"total_tokens": 2}


def test_azures_opening_and_content_filters_are_understood() -> None:
    opening = {"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": [{"n": 0}]}
    filtered = said({"content": "a"}, content_filter_results={"hate": {"filtered": False, "severity": "safe"}})
    finish = said(finish="stop", content_filter_results={})
    answer = assembled(opening, chunk(filtered), chunk(finish))
    assert answer is not None
    assert answer["id"] == "chatcmpl-1"
    assert answer["prompt_filter_results"] == [{"n": 0}]
    assert answer["choices"][0]["content_filter_results"]["hate"]["severity"] == "safe"


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_every_line_end_that_the_standard_allows_is_read(end: bytes) -> None:
    assert assembled(content("a"), FINISH, end=end) == assembled(content("a"), FINISH)


def test_comments_and_other_fields_are_passed_over_and_data_may_span_lines() -> None:
    events = b": ping\n\nid: 7\nretry: 5\ndata:" + orjson.dumps(content("a")).replace(
        b',"choices', b'\ndata: ,"choices'
    )
    assert assemble(events + b"\n\n" + sse(FINISH)) == assemble(sse(content("a"), FINISH))


TOOL = {"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}


@pytest.mark.parametrize(
    ("what", "events"),
    [
        ("nothing at all", b""),
        ("no end", sse(content("a"), FINISH, done=False)),
        ("broken off inside an event", sse(content("a"), FINISH)[:-2]),
        ("no finish", sse(content("a"))),
        ("truncated by length", sse(content("a"), chunk(said(finish="length")))),
        ("stopped by a filter", sse(content("a"), chunk(said(finish="content_filter")))),
        ("finished twice, differently", sse(content("a"), FINISH, chunk(said(finish="length")))),
        ("words after the finish", sse(content("a"), FINISH, content("b"))),
        ("events after the end", sse(content("a"), FINISH) + sse(content("b"))),
        ("tool calls", sse(chunk(said(TOOL)), chunk(said(finish="stop")))),
        ("a function call", sse(chunk(said({"function_call": {"name": "f"}})), FINISH)),
        ("audio", sse(chunk(said({"audio": {"id": "a"}})), FINISH)),
        ("citations", sse(chunk(said({"content": "a", "annotations": [{"type": "url_citation"}]})), FINISH)),
        ("a number in a delta", sse(chunk(said({"content": "a", "score": 1})), FINISH)),
        ("another role", sse(chunk(said({"role": "tool", "content": "a"})), FINISH)),
        ("two choices in one chunk", sse(chunk(said({"content": "a"}), said({"content": "b"}, index=1)), FINISH)),
        ("a second choice", sse(content("a"), chunk(said({"content": "b"}, index=1)), FINISH)),
        ("an error in a chunk", sse(content("a"), {"error": {"message": "overloaded"}}, FINISH)),
        ("an error beside choices", sse(content("a"), chunk(said(), error={"message": "x"}), FINISH)),
        ("an event with a name", b"event: error\n" + sse(content("a"), FINISH)),
        ("other kinds of object", sse(content("a") | {"object": "text_completion"}, FINISH)),
        ("fields that contradict", sse(content("a", service_tier="flex"), FINISH | {"service_tier": "default"})),
        ("not JSON", b"data: {]\n\n" + sse(content("a"), FINISH)),
        ("not an object", b"data: 1\n\n" + sse(content("a"), FINISH)),
        ("not Unicode", b'data: {"object":"\xff"}\n\n' + sse(content("a"), FINISH)),
        ("half a character", b'data: {"a":"\\ud83d"}\n\n' + sse(content("a"), FINISH)),
        ("HTML", b"<html><body>502 Bad Gateway</body></html>"),
        ("no id", sse(content("a") | {"id": None}, FINISH | {"id": None})),
        ("logprobs of another shape", sse(chunk(said({"content": "a"}, logprobs={"content": 1})), FINISH)),
        ("logprobs that are no object", sse(chunk(said({"content": "a"}, logprobs=[1])), FINISH)),
    ],
)
def test_a_stream_that_is_not_understood_whole_is_not_turned(what: str, events: bytes) -> None:
    assert assemble(events) is None, what


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_make_assembling_fail(events: bytes) -> None:
    assert assemble(b"data: " + events) is None


@given(st.lists(st.sampled_from([b"data: ", b"\n\n", b"[DONE]", b"{}", b'{"choices":[]}', sse(FINISH)]), max_size=8))
def test_no_order_of_pieces_makes_assembling_fail(pieces: list[bytes]) -> None:
    body = assemble(b"".join(pieces))
    assert body is None or orjson.loads(body)["object"] == "chat.completion"


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("tool calls", plain(message=TOOL)),
        ("tool calls and finish", plain(None, message=TOOL, choice={"finish_reason": "tool_calls"})),
        ("a function call", plain(message={"function_call": {"name": "f", "arguments": ""}})),
        ("two choices", plain(choices=[plain()["choices"][0]] * 2)),
        ("no choices", plain(choices=[])),
        ("an error", {"error": {"message": "no"}}),
        ("an error beside the choices", plain(error={"message": "no"})),
        ("a truncation", plain(choice={"finish_reason": "length"})),
        ("a filter", plain(choice={"finish_reason": "content_filter"})),
        ("no finish", plain(choice={"finish_reason": None})),
        ("empty content", plain("")),
        ("blank content", plain(" \n")),
        ("no content", plain(None)),
        ("content in parts", plain(message={"content": [{"type": "text", "text": "hi"}]})),
        ("a refusal", plain(message={"refusal": "I will not."})),
        ("citations", plain(message={"annotations": [{"type": "url_citation"}]})),
        ("audio", plain(message={"audio": {"id": "a"}})),
        ("another role", plain(message={"role": "user"})),
        ("another object", plain(object="text_completion")),
        ("a lone second choice", plain(choice={"index": 1})),
        ("no message", plain(choice={"message": None})),
    ],
)
def test_an_answer_that_should_not_be_given_twice_is_not_storable(what: str, body: dict[str, Any]) -> None:
    assert not storable(body), what
    assert not storable(orjson.dumps(body)), what


def test_a_finished_answer_in_words_is_storable_only_with_status_200() -> None:
    body = plain(message={"annotations": [], "tool_calls": None, "reasoning_content": "hm"})
    assert storable(body)
    assert storable(orjson.dumps(body), 200)
    assert not any(storable(body, status) for status in (201, 206, 400, 429, 500, 502))


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b'"x"', b"\xff"])
def test_what_is_no_answer_is_not_storable(body: bytes) -> None:
    assert not storable(body)


texts = st.text(min_size=1, max_size=300).filter(str.strip)
flat = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5)
usages = st.none() | st.fixed_dictionaries({"prompt_tokens": st.integers(0, 9), "total_tokens": st.integers(0, 9)})
messages = st.dictionaries(st.sampled_from(["reasoning_content", "reasoning", "note"]), texts, max_size=2)
tokens = st.lists(st.fixed_dictionaries({"token": st.text(max_size=3), "logprob": st.floats(-9, 0)}), max_size=4)
logprobs = st.none() | st.fixed_dictionaries({"content": tokens, "refusal": st.none()})
extras = st.dictionaries(st.sampled_from(["service_tier", "system_fingerprint", "timings", "provider"]), flat)


@given(texts, messages, logprobs, extras, usages, st.booleans())
def test_what_is_replayed_assembles_to_the_same_answer(
    text: str, message: dict[str, Any], logs: Any, more: dict[str, Any], usage: Any, include_usage: bool
) -> None:
    body = plain(text, message=message, choice={"logprobs": logs}, **more)
    body["usage"] = usage
    again = assemble(replay(orjson.dumps(body), include_usage))
    if usage is None or not include_usage:
        del body["usage"]
    assert again is not None
    assert orjson.loads(again) == body
    assert storable(body) and storable(again)


@given(st.lists(st.text(max_size=9), max_size=9), st.lists(st.text(max_size=9), max_size=3))
def test_what_is_assembled_replays_to_a_stream_that_says_the_same(words: list[str], thoughts: list[str]) -> None:
    thought = [chunk(said({"reasoning_content": text})) for text in thoughts]
    body = assemble(sse(*thought, *map(content, words), FINISH, USAGE))
    assert body is not None
    assert assemble(replay(body, True)) == body


def events_of(stream: bytes) -> list[dict[str, Any]]:
    events = stream.decode().split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    return [orjson.loads(event.removeprefix("data: ")) for event in events[:-2]]


@given(st.text(min_size=1, max_size=4000))
def test_content_is_replayed_in_whole_characters_and_few_pieces(text: str) -> None:
    events = events_of(replay(orjson.dumps(plain(text)), False))
    deltas = [event["choices"][0]["delta"] for event in events]
    assert "".join(delta.get("content") or "" for delta in deltas) == text
    assert len(events) <= 66
    assert [index for index, delta in enumerate(deltas) if "role" in delta] == [0]
    assert [event["choices"][0]["finish_reason"] for event in events] == [None] * (len(events) - 1) + ["stop"]
    assert {(event["id"], event["created"], event["model"]) for event in events} == {
        ("chatcmpl-1", 1700000000, "gpt-x")
    }


def test_usage_is_replayed_only_where_it_was_asked_for() -> None:
    body = orjson.dumps(plain())
    assert not any("usage" in event for event in events_of(replay(body, False)))
    *others, last = events_of(replay(body, True))
    assert (last["choices"], last["usage"]) == ([], plain()["usage"])
    assert all(event["usage"] is None for event in others)


def client_of(body: bytes, kind: str) -> openai.AsyncOpenAI:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=body, headers={"content-type": kind})

    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return openai.AsyncOpenAI(api_key="k", base_url="http://gateway.test/v1", http_client=http, max_retries=0)


BODY = plain("Grüße aus 東京 😀", message={"reasoning_content": "kurz"})
ASKED: Any = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}


async def test_openais_client_reads_a_replayed_stream() -> None:
    async with client_of(replay(orjson.dumps(BODY), True), "text/event-stream") as client:
        chunks = [each async for each in await client.chat.completions.create(stream=True, **ASKED)]
    assert "".join(each.choices[0].delta.content or "" for each in chunks[:-1]) == "Grüße aus 東京 😀"
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None and chunks[-1].usage.total_tokens == 11


async def test_openais_stream_helper_puts_a_replayed_stream_together() -> None:
    async with (
        client_of(replay(orjson.dumps(BODY), True), "text/event-stream") as client,
        client.chat.completions.stream(**ASKED) as stream,
    ):
        completion = await stream.get_final_completion()
    assert completion.choices[0].message.content == "Grüße aus 東京 😀"
    assert completion.usage is not None and completion.usage.total_tokens == 11


async def test_openais_client_reads_an_assembled_answer() -> None:
    body = assemble(sse(content("Par"), content("is."), FINISH, USAGE))
    assert body is not None
    async with client_of(body, "application/json") as client:
        completion = await asyncio.wait_for(client.chat.completions.create(**ASKED), 10)
    assert completion.choices[0].message.content == "Paris."
    assert completion.choices[0].finish_reason == "stop"
    assert completion.model_dump(mode="json", exclude_unset=True) == plain("Paris.")
