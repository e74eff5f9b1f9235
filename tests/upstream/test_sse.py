"""Laws of the stream tap: how bytes are split never matters, and nothing is lost that was not meant to be."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import UpstreamBroken
from router.upstream.answers import as_stream
from router.upstream.sse import MAX_EVENT_BYTES, StreamTap, ended_well, error_event, read_plain

HEAD: dict[str, Any] = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}

words = st.text(max_size=12) | st.sampled_from(
    [
        '"usage":null}\n\n',
        ',"usage":null}',
        "data: [DONE]\n\n",
        '"finish_reason":"stop"',
        "žluťoučký kůň",
        "\r\n\r\n",
        "[DONE]",
    ]
)


def event(members: dict[str, Any], end: bytes = b"\n\n") -> bytes:
    return b"data: " + orjson.dumps({**HEAD, **members}) + end


def content(text: str, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}], **more}


ends = st.sampled_from([b"\n\n", b"\r\n\r\n", b"\n\n\n", b"\r\r"])
kept_events = st.one_of(
    st.builds(lambda text, end: event(content(text), end), words, ends),
    st.builds(lambda text, end: event(content(text, usage=USAGE), end), words, ends),
    st.builds(lambda text: b": " + text.replace("\n", " ").replace("\r", " ").encode() + b"\n\n", st.text(max_size=8)),
    st.builds(lambda text: event({"choices": [], "prompt_filter_results": [text]}), words),
    st.just(event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})),
    st.just(b"data: not json\n\n"),
    st.just(b"event: ping\ndata: {}\n\n"),
    st.just(b"\n"),
)
"""Events that go through untouched, whatever was asked for."""

stripped_events = st.one_of(
    st.builds(lambda end: event({"choices": [], "usage": USAGE}, end), ends),
    st.builds(lambda text, end: event(content(text, usage=None), end), words, ends),
    st.builds(lambda text: event(content(text, usage=None, obfuscation="xY1")), words),
    st.builds(lambda text: event({"usage": None, **content(text)}), words),
    st.builds(lambda text: event(content(text, usage=None)).replace(b'"usage":null', b'"usage": null'), words),
    st.builds(lambda text: event(content(text, nested={"a": 1, "usage": None}, usage=None)), words),
)
any_events = st.lists(kept_events | stripped_events, max_size=8).map(b"".join)
tails = st.sampled_from([b"", b"data: [DONE]\n\n", b"data: [DONE]\n", b"data: [DONE]", b'data: {"cut', b"\r"])


@st.composite
def pieces(draw: st.DrawFn, streams: st.SearchStrategy[bytes]) -> list[bytes]:
    """A stream, cut anywhere: also in the middle of a character or of a line end."""
    stream = draw(streams) + draw(tails)
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    return [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


def run(parts: list[bytes], *, strip: bool = True) -> tuple[bytes, StreamTap]:
    tap = StreamTap(strip_usage=strip, collect_limit=1 << 20)
    out = b"".join(tap.feed(part) for part in parts)
    return out + tap.finish(), tap


def seen(tap: StreamTap) -> tuple[Any, ...]:
    return (tap.usage, tap.finish_reason, tap.saw_content, tap.saw_done, tap.has_tool_calls, tap.model, tap.error)


@given(pieces(any_events))
def test_how_a_stream_is_split_changes_neither_bytes_nor_findings(parts: list[bytes]) -> None:
    for strip in (True, False):
        split, tap = run(parts, strip=strip)
        whole, reference = run([b"".join(parts)], strip=strip)
        assert split == whole
        assert seen(tap) == seen(reference)


@given(st.lists(kept_events | stripped_events, min_size=1, max_size=8), st.integers(10, 60))
def test_a_long_burst_says_what_its_events_say_one_by_one(events: list[bytes], times: int) -> None:
    for strip in (True, False):
        split, tap = run(events * times, strip=strip)
        whole, reference = run([b"".join(events) * times], strip=strip)
        assert split == whole
        assert seen(tap) == seen(reference)


@given(pieces(any_events))
def test_bytes_out_equal_bytes_in_when_the_caller_asked_for_usage(parts: list[bytes]) -> None:
    out, tap = run(parts, strip=False)
    assert out == tap.collected == b"".join(parts)


@given(pieces(st.lists(kept_events, max_size=8).map(b"".join)))
def test_bytes_out_equal_bytes_in_when_there_is_nothing_to_strip(parts: list[bytes]) -> None:
    out, tap = run(parts)
    assert out == tap.collected == b"".join(parts)


@given(pieces(any_events))
def test_what_is_stripped_is_usage_alone(parts: list[bytes]) -> None:
    out, tap = run(parts)
    raw = b"".join(parts)

    def chunks(stream: bytes) -> list[Any]:
        found = []
        for line in stream.splitlines():
            try:
                found.append(orjson.loads(line.removeprefix(b"data: ")))
            except orjson.JSONDecodeError:
                found.append(line)
        return [item for item in found if item != b""]

    def without_usage(chunk: Any) -> Any:
        if isinstance(chunk, dict) and "usage" in chunk and chunk["usage"] is None:
            return {name: value for name, value in chunk.items() if name != "usage"}
        return chunk

    asked_for = [chunk for chunk in chunks(raw) if not (isinstance(chunk, dict) and _is_usage_chunk(chunk))]
    assert [without_usage(chunk) for chunk in chunks(out)] == [without_usage(chunk) for chunk in asked_for]
    assert tap.collected == raw


def _is_usage_chunk(chunk: dict[str, Any]) -> bool:
    return chunk.get("choices") == [] and bool(chunk.get("usage"))


def test_a_null_usage_at_the_end_of_a_chunk_is_cut_out_of_every_chunk_of_a_burst() -> None:
    burst = b"".join(event(content(f"word {number}", usage=None)) for number in range(50))
    assert run([burst])[0] == b"".join(event(content(f"word {number}")) for number in range(50))


def test_a_null_usage_below_the_top_stays() -> None:
    inner = event({"choices": [{"index": 0, "delta": {"content": "a", "usage": None}, "finish_reason": None}]})
    assert run([inner])[0] == inner
    lines = b'data: {"choices":[{"index":0,"delta":{"content":"a"\ndata: ,"usage":null}\ndata: }]}\n\n'
    assert run([lines])[0] == lines


def test_comments_beside_a_dropped_chunk_stay() -> None:
    out, _ = run([b": heartbeat\n" + event({"choices": [], "usage": USAGE}) + b"data: [DONE]\n\n"])
    assert out == b": heartbeat\ndata: [DONE]\n\n"


def test_the_tap_reads_usage_finish_model_and_done() -> None:
    stream = (
        event(content("hello"))
        + event({"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]})
        + event({"choices": [], "usage": {**USAGE, "prompt_tokens_details": {"cached_tokens": 5}}})
        + b"data: [DONE]\n\n"
    )
    out, tap = run([stream])
    assert tap.usage is not None
    assert (tap.usage.uncached_input, tap.usage.cache_read, tap.usage.output) == (4, 5, 4)
    assert (tap.finish_reason, tap.model, tap.saw_done, tap.choices) == ("length", "m", True, 1)
    assert b"usage" not in out


def test_roles_and_comments_are_no_content_but_tools_reasoning_and_refusals_are() -> None:
    quiet = [
        b": processing\n\n",
        event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]}),
        event({"choices": [], "prompt_filter_results": []}),
    ]
    assert not run(quiet)[1].saw_content
    for delta in ({"content": "a"}, {"tool_calls": [{"index": 0}]}, {"reasoning_content": "hm"}, {"refusal": "no"}):
        assert run([event({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})])[1].saw_content


def test_tool_calls_are_noticed_late_too() -> None:
    late = event({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 1}]}, "finish_reason": None}]})
    assert run([event(content("let me look")), late])[1].has_tool_calls
    none = event({"choices": [{"index": 0, "delta": {"content": "a", "tool_calls": None}, "finish_reason": None}]})
    assert not run([none, none])[1].has_tool_calls


def test_several_choices_are_counted() -> None:
    second = event({"choices": [{"index": 1, "delta": {"content": "b"}, "finish_reason": None}]})
    assert run([event(content("a")), second])[1].choices == 2


def test_an_error_event_is_seen_and_passed_on() -> None:
    failure = error_event({"error": {"message": "gone", "type": "x", "param": None, "code": None}})
    out, tap = run([event(content("a")), failure])
    assert tap.error is not None and tap.error["message"] == "gone"
    assert out.endswith(failure)


def test_events_are_collected_up_to_the_limit_and_then_not_at_all() -> None:
    one = event(content("a"))
    tap = StreamTap(strip_usage=True, collect_limit=2 * len(one))
    tap.feed(one + one)
    assert tap.collected == one + one
    tap.feed(one)
    assert tap.collected is None
    assert StreamTap(strip_usage=True, collect_limit=0).collected is None


def test_the_estimate_comes_near_to_four_bytes_a_token() -> None:
    text = "some words that a model may say "
    _, tap = run([event(content(text)) for _ in range(100)])
    assert tap.usage is None and tap.output_tokens_estimate == pytest.approx(100 * len(text) / 4, rel=0.1)
    assert run([b": nothing\n\n"])[1].output_tokens_estimate == 0


def test_an_event_without_end_is_not_kept_for_ever() -> None:
    tap = StreamTap(strip_usage=True, collect_limit=0)
    with pytest.raises(UpstreamBroken):
        for _ in range(MAX_EVENT_BYTES // (1 << 20) + 1):
            tap.feed(b"x" * (1 << 20))


def test_a_stream_ended_well_with_done_a_finish_or_an_error_of_its_own() -> None:
    said = event(content("a"))
    finish = event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    assert ended_well(said + b"data: [DONE]\n\n") and ended_well(said + finish)
    assert ended_well(said + error_event({"error": {"message": "gone"}}))
    assert not ended_well(said) and not ended_well(said + b'data: {"choices":[{"ind') and not ended_well(b"")


@given(st.binary(max_size=200))
def test_reading_a_plain_body_never_raises(body: bytes) -> None:
    read_plain(body)


def test_a_plain_body_is_read() -> None:
    message = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
    body = {**HEAD, "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}], "usage": USAGE}
    found = read_plain(orjson.dumps(body))
    assert found.completion == body and found.finish_reason == "tool_calls"
    assert found.usage is not None and found.usage.input == 9
    uncounted = read_plain(orjson.dumps({**body, "usage": None}))
    assert uncounted.usage is None and uncounted.output_tokens_estimate > 0
    assert read_plain(b'{"error":{"message":"no"}}').completion is None


LENIENT = {
    "half of an emoji": rb'"content":"cut \ud83d"',
    "a log probability of nothing": b'"content":"a","logprob":-Infinity',
    "a number too large": b'"content":"a","f":1E400',
    "a number too long": b'"content":"a","f":%s' % (b"9" * 60),
}
"""Members of a message that `json.loads` takes and a strict parser does not, or not exactly."""


@pytest.mark.parametrize("members", LENIENT.values(), ids=LENIENT.keys())
def test_json_that_clients_read_is_counted_but_never_encoded_anew(members: bytes) -> None:
    counted = b',"usage":' + orjson.dumps(USAGE)
    plain = b'{"choices":[{"index":0,"message":{"role":"assistant",%s},"finish_reason":"length"}]%s}'
    found = read_plain(plain % (members, counted))
    assert found.usage is not None and found.usage.output == 4 and found.finish_reason == "length"
    assert read_plain(plain % (members, b"")).output_tokens_estimate > 0
    stream = b'data: {"choices":[{"index":0,"delta":{%s},"finish_reason":"length"}]%s}\n\n' % (members, counted)
    out, tap = run([stream], strip=False)
    assert out == stream and not tap.malformed and tap.saw_content
    assert tap.usage is not None and tap.usage.output == 4


def test_an_answer_that_is_no_strict_json_is_not_handed_out_for_storing() -> None:
    assert read_plain(rb'{"choices":[{"message":{"content":"\ud83d"}}]}').completion is None


def test_what_goes_into_the_ledger_can_be_written_there() -> None:
    _, tap = run([rb'data: {"model":"\ud83d","choices":[{"finish_reason":"a\u0000b"}]}' + b"\n\n"], strip=False)
    assert (tap.model, tap.finish_reason) == ("?", "a?b")


def test_a_last_usage_of_zeros_does_not_undo_the_one_before() -> None:
    zeros = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    _, tap = run([event(content("a", usage=USAGE)), event(content("", usage=zeros))], strip=False)
    assert tap.usage is not None and (tap.usage.input, tap.usage.output) == (9, 4)


@given(st.lists(words.filter(bool), min_size=1, max_size=3))
def test_a_plain_completion_and_its_stream_say_the_same(texts: list[str]) -> None:
    choices = [
        {"index": index, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        for index, text in enumerate(texts)
    ]
    stream = as_stream({**HEAD, "object": "chat.completion", "choices": choices, "usage": USAGE})
    _, tap = run([stream], strip=False)
    assert (tap.choices, tap.finish_reason, tap.saw_done, tap.saw_content) == (len(texts), "stop", True, True)
    assert tap.usage is not None and tap.usage.output == 4
    said = [orjson.loads(line[6:]) for line in stream.splitlines() if line.startswith(b"data: {")]
    by_choice = ["".join(_said(said, index)) for index in range(len(texts))]
    assert by_choice == texts


def _said(chunks: list[dict[str, Any]], index: int) -> list[str]:
    return [
        choice["delta"].get("content") or ""
        for chunk in chunks
        for choice in chunk["choices"]
        if choice["index"] == index
    ]
