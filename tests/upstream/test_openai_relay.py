"""What the relay promises beyond the contract: bytes untouched, the key from the policy alone, odd servers borne."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import orjson
import pytest
from msgspec import structs

from router.domain import ModelSpec, Timeouts
from router.errors import (
    UpstreamBroken,
    UpstreamClosed,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamRefusedKey,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from router.upstream.answers import read_whole
from router.upstream.contract import Call
from router.upstream.openai_relay import OpenAIRelay
from router.upstream.refusals import PASSED_ON, refusal, retry_after
from router.upstream.sse import read_plain
from router.upstream.standin import Fault, Reply
from tests.upstream.conftest import KEY, House, heard, whole

ROLE = b'data: {"id":"1","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
WORD = b'data: {"id":"1","model":"m","choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'
STOP = b'data: {"id":"1","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"
SSE = b"content-type: text/event-stream\r\n"


@contextlib.asynccontextmanager
async def server(*pieces: bytes, gap: float = 0.0, heads: list[bytes] | None = None) -> AsyncIterator[ModelSpec]:
    """A server that answers anything with these bytes, a pause between them, and closes; as a model.

    heads: what it was sent, head by head.
    """

    serving: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            if heads is not None:
                heads.append(head)
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(gap)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        port = listening.sockets[0].getsockname()[1]
        yield ModelSpec("small", "small", "m", base_url=f"http://127.0.0.1:{port}/v1", timeouts=Timeouts(2, 2, 2, 5))
    finally:
        listening.close()
        await asyncio.gather(*(task for task in serving if task is not None))
        await listening.wait_closed()


@contextlib.asynccontextmanager
async def a_relay() -> AsyncIterator[OpenAIRelay]:
    relay = OpenAIRelay()
    try:
        yield relay
    finally:
        await relay.aclose()


def ok(headers: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\n" + headers + b"connection: close\r\n\r\n" + body


def call(model: ModelSpec, *, stream: bool, headers: Mapping[str, str] | None = None) -> Call:
    return Call(model, b'{"model":"m"}', stream, "req_1", headers or {})


async def answered(*pieces: bytes, stream: bool = True) -> bytes:
    async with server(*pieces) as model, a_relay() as relay:
        answer = await relay.open(call(model, stream=stream))
        try:
            return await whole(answer)
        finally:
            await answer.aclose()


async def test_a_stream_whose_last_blank_line_comes_late_is_over_all_the_same() -> None:
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in (ok(SSE, ROLE + WORD + STOP), DONE[:-1], b"\n"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.1)
        await over.wait()  # the response never ends
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
        model = ModelSpec("small", "small", "m", base_url=url, timeouts=Timeouts(2, 2, idle=60, total=60))
        async with a_relay() as relay:
            answer = await relay.open(call(model, stream=True))
            assert await asyncio.wait_for(whole(answer), 10) == ROLE + WORD + STOP + DONE
            await answer.aclose()
    finally:
        over.set()
        listening.close()
        await listening.wait_closed()


async def test_bytes_out_are_the_bytes_given(relay: House) -> None:
    body = '{ "model" : "m", "messages":[{"role":"user","content":"žluť \\u00e9"}] , "seed": 123456789012345678901 }'
    answer = await relay.upstream.open(Call(relay.model, body.encode(), False, "req_1", {}))
    await answer.aclose()
    assert relay.standin.journal[0].body == body.encode()


async def test_a_body_of_many_megabytes_goes_out_whole(relay: House) -> None:
    body = orjson.dumps({"model": "m", "messages": [{"role": "user", "content": "x" * 5_000_000}]})
    answer = await relay.upstream.open(Call(relay.model, body, False, "req_1", {}))
    await answer.aclose()
    assert relay.standin.journal[0].body == body


async def test_the_key_is_the_models_whatever_headers_come_along(relay: House) -> None:
    told = {"openai-beta": "assistants=v2", "authorization": "Bearer sk-callers"}
    answer = await relay.upstream.open(structs.replace(relay.call(), headers=told))
    await answer.aclose()
    received = relay.standin.journal[0].headers
    assert received["authorization"] == f"Bearer {KEY}"
    assert received["openai-beta"] == "assistants=v2"
    assert received["x-request-id"] == "req_1" and received["accept-encoding"] == "identity"
    assert "cookie" not in received


async def test_the_callers_400_is_passed_on_byte_for_byte(relay: House) -> None:
    body = b'{"error": {"message": "no",   "type":null}, "x": 1}'
    head = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nset-cookie: a=b\r\nserver: s\r\n"
    async with server(head + b"connection: close\r\n\r\n" + body) as model:
        answer = await relay.upstream.open(call(model, stream=True))
        assert (answer.status, await whole(answer)) == (400, body)
        assert answer.headers == {"content-type": "application/json"}


async def test_only_listed_headers_come_back() -> None:
    extra = b"set-cookie: a=b\r\nx-ratelimit-remaining-tokens: 5\r\nserver: s\r\nopenai-processing-ms: 12\r\n"
    async with server(ok(SSE + extra, WORD + DONE)) as model, a_relay() as relay:
        answer = await relay.open(call(model, stream=True))
        assert answer.headers == {"content-type": "text/event-stream", "openai-processing-ms": "12"}
        await answer.aclose()


async def test_cookies_are_not_kept_for_the_next_caller() -> None:
    heads: list[bytes] = []
    given = ok(b"set-cookie: session=first\r\n", b'{"choices":[]}')
    async with server(given, heads=heads) as model, a_relay() as relay:
        for _ in range(2):
            await (await relay.open(call(model, stream=False))).aclose()
    assert len(heads) == 2 and not any(b"cookie" in head.lower() for head in heads)


async def test_heartbeats_and_the_role_come_with_the_first_content_in_order() -> None:
    stream = b": processing\n\n" + ROLE + b": still\n\n" + WORD + STOP + DONE
    pieces = [ok(SSE, b": processing\n\n"), ROLE, b": still\n\n", WORD, STOP, DONE]
    async with server(*pieces, gap=0.01) as model, a_relay() as relay:
        answer = await relay.open(call(model, stream=True))
        chunks = [chunk async for chunk in answer.chunks()]
        await answer.aclose()
    assert b"".join(chunks) == stream
    assert chunks[0].startswith(b": processing\n\n" + ROLE) and b"hi" in chunks[0]


async def test_heartbeats_do_not_put_off_first_token() -> None:
    async with server(ok(SSE, b""), *[b": wait\n\n"] * 100, gap=0.02) as model, a_relay() as relay:
        model = replace(model, timeouts=Timeouts(first_token=0.2))
        with pytest.raises(UpstreamTimeout, match="first_token"):
            await relay.open(call(model, stream=True))


async def test_an_event_cut_anywhere_comes_out_whole() -> None:
    stream = ROLE + WORD.replace(b"hi", "ě".encode()) + STOP + DONE
    pieces = [stream[number : number + 1] for number in range(len(stream))]
    assert await answered(ok(SSE, b""), *pieces) == stream


@pytest.mark.parametrize("kind", [b"", b"content-type: text/plain\r\n", b"content-type: application/json\r\n"])
async def test_a_stream_under_another_content_type_is_still_a_stream(kind: bytes) -> None:
    async with server(ok(kind, ROLE + WORD + STOP + DONE)) as model, a_relay() as relay:
        answer = await relay.open(call(model, stream=True))
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert await whole(answer) == ROLE + WORD + STOP + DONE
        await answer.aclose()


async def test_a_stream_that_ends_well_without_content_is_an_answer() -> None:
    assert await answered(ok(SSE, ROLE + DONE)) == ROLE + DONE
    assert await answered(ok(SSE, ROLE + STOP)) == ROLE + STOP


async def test_an_upstream_that_ignores_stream_is_made_into_one(relay: House) -> None:
    relay.standin.script.append(Fault("plain"))
    answer = await relay.open("hello", stream=True)
    tap, chunks = heard(await whole(answer))
    assert answer.streamed and answer.headers["content-type"].startswith("text/event-stream")
    assert tap.finish_reason == "stop" and tap.saw_done and tap.usage is not None
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": "You said: hello", "refusal": None}


BROKEN_STREAMS = {
    "nothing": b"",
    "only a role": ROLE,
    "an error before content": ROLE + b'data: {"error":{"message":"no","type":"x"}}\n\n',
    "an error as JSON": b'{"error":{"message":"no"}}',
    "JSON that is no completion": b'{"detail":"Not here"}',
    "HTML": b"<html><body>Bad gateway</body></html>",
    "events that are not JSON": b"data: <oops>\n\n",
}


@pytest.mark.parametrize("body", BROKEN_STREAMS.values(), ids=BROKEN_STREAMS.keys())
async def test_a_200_without_a_stream_in_it_is_broken(body: bytes) -> None:
    with pytest.raises(UpstreamBroken):
        await answered(ok(SSE, body))


async def test_an_error_in_a_200_that_is_a_rate_limit_is_one() -> None:
    with pytest.raises(UpstreamRateLimited):
        await answered(ok(SSE, b'data: {"error":{"message":"slow down","code":429}}\n\n'))


@pytest.mark.parametrize(
    "body", [b"[]", b'"text"', b'{"error":{"message":"no"}}', b'{"detail":1}', b"", b'{"choices":']
)
async def test_a_200_without_a_completion_in_it_is_broken(body: bytes) -> None:
    with pytest.raises(UpstreamBroken):
        await answered(ok(b"content-type: application/json\r\n", body), stream=False)


@pytest.mark.parametrize("words", [rb'"cut \ud83d"', b'"a","logprob":NaN'])
async def test_a_plain_answer_that_clients_can_read_is_relayed_though_it_is_no_strict_json(words: bytes) -> None:
    body = b'\xef\xbb\xbf{"choices":[{"index":0,"message":{"role":"assistant","content":%s}}]}' % words
    assert await answered(ok(b"", body), stream=False) == body
    with pytest.raises(UpstreamBroken):
        await answered(ok(b"", body))


async def test_a_stream_may_begin_with_half_of_an_emoji() -> None:
    halves = [b'data: {"choices":[{"index":0,"delta":{"content":"\\u%s"}}]}\n\n' % half for half in (b"d83d", b"de00")]
    sent = b"".join([*halves, STOP, DONE])
    assert await answered(ok(SSE, sent)) == sent


async def test_a_null_error_is_none() -> None:
    body = b'{"choices":[],"error":null}'
    assert await answered(ok(b"", body), stream=False) == body


async def test_a_truncated_plain_answer_is_broken_even_where_it_says_how_long_it_is() -> None:
    with pytest.raises(UpstreamBroken):
        await answered(ok(b"content-length: 100\r\n", b'{"choices":[]}'), stream=False)


async def test_something_else_than_http_is_broken_or_unreachable() -> None:
    with pytest.raises(UpstreamBroken):
        await answered(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")


async def test_an_error_event_after_content_is_the_streams_own_end(relay: House) -> None:
    relay.standin.script.append(Fault("error_event", after=3))
    tap, _ = heard(await relay.read(stream=True))
    assert tap.error is not None and not tap.saw_done


async def test_total_binds_a_reader_who_is_slow_too(relay: House) -> None:
    relay.with_timeouts(total=0.3, idle=0.1)
    relay.standin.script.append(Reply("word " * 1000, pieces=1000, gap_seconds=0.02))
    answer = await relay.open(stream=True)
    with pytest.raises(UpstreamTimeout, match="total"):
        async for _ in answer.chunks():
            await asyncio.sleep(0.15)  # longer than idle: our own slowness is not the upstream's


async def test_base_urls_are_joined_as_operators_write_them(relay: House) -> None:
    plain = relay.model.base_url or ""
    for url in (plain, plain + "/", plain.replace("http://", "http://someone:secret@"), plain + "?api-version=1"):
        answer = await relay.upstream.open(structs.replace(relay.call(), model=replace(relay.model, base_url=url)))
        await answer.aclose()
    assert {entry.path for entry in relay.standin.journal} == {"/v1/chat/completions"}


@pytest.mark.parametrize("url", ["not a url", "ftp://example.com/v1", "http://", "http://[::1/v1"])
async def test_a_base_url_that_cannot_be_used_is_said_to_be_so(url: str) -> None:
    model = ModelSpec("small", "small", "m", base_url=url, api_key=KEY)
    async with a_relay() as relay:
        with pytest.raises(UpstreamBroken, match="base_url of model `small` cannot be used"):
            await relay.open(call(model, stream=False))


async def test_a_key_that_no_header_can_hold_is_not_told_to_anybody() -> None:
    model = ModelSpec("small", "small", "m", base_url="http://127.0.0.1:9/v1", api_key="sk-a\nb")
    async with a_relay() as relay:
        with pytest.raises(UpstreamRefusedKey) as raised:
            await relay.open(call(model, stream=False))
    assert "sk-a" not in repr(raised.value)


async def test_a_plain_answer_that_goes_silent_runs_into_idle(relay: House) -> None:
    relay.with_timeouts(idle=0.2)
    relay.standin.script.append(Fault("stall_after"))
    with pytest.raises(UpstreamTimeout, match="idle"):
        await relay.open()
    await asyncio.wait_for((await relay.standin.received()).left.wait(), 1.0)


async def test_a_plain_answer_that_comes_slowly_is_not_silent() -> None:
    body = b'{"choices":[' + b" " * 20 + b"]}"
    pieces = [ok(b"content-length: %d\r\n" % len(body), b""), *(body[at : at + 2] for at in range(0, len(body), 2))]
    async with server(*pieces, gap=0.03) as model, a_relay() as relay:
        model = replace(model, timeouts=Timeouts(2, 5, idle=0.25, total=5))
        answer = await relay.open(call(model, stream=False))
        assert await whole(answer) == body


async def test_a_head_that_comes_early_does_not_begin_the_silence() -> None:
    async with server(ok(b"content-length: 14\r\n", b""), b'{"choices":[]}', gap=0.3) as model, a_relay() as relay:
        model = replace(model, timeouts=Timeouts(2, 5, idle=0.1, total=5))
        answer = await relay.open(call(model, stream=False))
        assert await whole(answer) == b'{"choices":[]}'


async def test_a_refusal_does_not_cost_the_connection(relay: House) -> None:
    for status in (429, 500, 401, 400):
        relay.standin.script.append(Fault("status", status))
        with contextlib.suppress(UpstreamError):
            await relay.read()
    await relay.read()
    assert len({entry.connection for entry in relay.standin.journal}) == 1


async def test_once_a_kept_connection_turned_out_closed_the_others_are_not_tried(relay: House) -> None:
    await asyncio.gather(*(relay.read() for _ in range(5)))
    relay.standin.script.append(Fault("close_before"))
    with pytest.raises(UpstreamClosed):
        await relay.open()
    await relay.read()
    assert [entry.connection for entry in relay.standin.journal][-1] == 6


async def test_what_a_plain_answer_says_is_parsed_already(relay: House) -> None:
    answer = await relay.open("hello")
    body, seen = await read_whole(answer)
    assert seen == read_plain(body) == read_plain(await whole(answer)) and seen.completion and seen.usage is not None


async def test_a_relay_that_was_closed_opens_again_when_it_is_asked(relay: House) -> None:
    await relay.read()
    await relay.upstream.aclose()
    await relay.read()
    assert len({entry.connection for entry in relay.standin.journal}) == 2


async def test_closing_the_relay_breaks_off_what_is_still_read(relay: House) -> None:
    relay.standin.script.append(Reply("word " * 1000, pieces=1000, gap_seconds=0.02))
    answer = await relay.open(stream=True)
    await relay.upstream.aclose()
    with pytest.raises(UpstreamBroken):
        await whole(answer)


async def test_closing_the_relay_is_not_taken_for_a_closed_kept_connection(relay: House) -> None:
    await relay.read()
    relay.standin.script.append(Fault("hang"))
    waiting = asyncio.create_task(relay.upstream.open(relay.call()))
    await relay.standin.received(2)
    await relay.upstream.aclose()
    with pytest.raises(UpstreamUnreachable) as raised:
        await waiting
    assert not isinstance(raised.value, UpstreamClosed), "it would be asked again at once"


MODEL = ModelSpec("small", "small", "m")


@pytest.mark.parametrize("status", sorted(set(range(201, 600)) - PASSED_ON))
def test_every_other_status_is_one_of_our_errors(status: int) -> None:
    error = refusal(MODEL, status, {"retry-after": "3"})
    assert error.retry_next and f"answered {status}" in error.message
    assert isinstance(error, UpstreamRefusedKey) == (status in (401, 402, 403, 407))
    assert isinstance(error, UpstreamRateLimited) == (status == 429)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "99999999"}, 86400.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers: Mapping[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_retry_after_may_be_a_date() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert retry_after({"retry-after": soon}) == pytest.approx(60, abs=5)


async def test_a_connection_that_takes_too_long_is_the_connect_timeout() -> None:
    with socket.socket() as full, contextlib.ExitStack() as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):  # those that fill its queue; whoever comes then is not even refused
            ahead = waiting.enter_context(socket.socket())
            ahead.setblocking(False)
            ahead.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}/secret"
        async with a_relay() as relay:
            for times, told in (
                (Timeouts(connect=0.1), "connect timeout of 0.1 s"),
                (Timeouts(connect=5, first_token=0.1), "first_token timeout of 0.1 s"),
                (Timeouts(connect=5, total=0.1), "total timeout of 0.1 s"),
            ):
                model = replace(MODEL, base_url=url, timeouts=times)
                with pytest.raises(UpstreamTimeout, match=told) as raised:
                    await relay.open(call(model, stream=True))
                assert "secret" not in raised.value.message
