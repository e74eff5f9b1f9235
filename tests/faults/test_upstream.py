"""Whatever a model does, the caller gets an answer or an honest error, and the ledger adds up.

Each fault meets four callers: plain and streamed, alone and with a fallback.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

import httpx
import pytest

from router.upstream.standin import Fault, Reply
from tests.faults.models import Heard, Raw
from tests.faults.scene import Model, Scene, scene
from tests.servers import free_port

STATUS = {
    "upstream_unreachable": 502,
    "upstream_broken": 502,
    "upstream_auth": 502,
    "upstream_timeout": 504,
    "rate_limit_exceeded": 429,
}
FINE = "fine"
BREAKS = "breaks off"
"""After content: the stream ends with an error event, and nobody else is asked."""

PATIENT = "{connect: 20, first_token: 20, idle: 20, total: 40}"
SOON = "{connect: 20, first_token: 0.3, idle: 0.3, total: 40}"
NO_PAUSE = "{connect: 20, first_token: 20, idle: 0.3, total: 3}"

WAYS = ("plain_alone", "plain_led", "stream_alone", "stream_led")

RELAY = 'model: m, base_url: "{url}/v1"'
LITELLM = 'provider: litellm, model: "anthropic/claude-sonnet-4-5", api_key: sk-x, base_url: "{url}"'


@dataclass(frozen=True)
class Case:
    """One fault, and what comes of it for a plain answer and for a streamed one: FINE, BREAKS, or an error's code.

    fault: None where nobody listens. headers: of the error.
    """

    name: str
    fault: Fault | Reply | None
    plain: str
    stream: str
    timeouts: str = PATIENT
    headers: Mapping[str, str] = field(default_factory=dict)


def both(name: str, fault: Fault | Reply | None, expected: str, timeouts: str = PATIENT, **headers: str) -> Case:
    """The same for plain and for streamed answers."""
    return Case(name, fault, expected, expected, timeouts, {key.replace("_", "-"): headers[key] for key in headers})


CASES = [
    both("refuses", None, "upstream_unreachable"),
    both("hangs", Fault("hang"), "upstream_timeout", SOON),
    both("limits the rate", Fault("status", 429, retry_after="7"), "rate_limit_exceeded", retry_after="7"),
    both("limits the rate, not saying for how long", Fault("status", 429), "rate_limit_exceeded", retry_after="1"),
    both("answers 500", Fault("status", 500), "upstream_broken"),
    both("answers 503", Fault("status", 503), "upstream_broken"),
    both("refuses the key", Fault("status", 401), "upstream_auth"),
    both("sends malformed JSON", Fault("malformed"), "upstream_broken"),
    both("sends a web page", Fault("html"), "upstream_broken"),
    both("redirects", Fault("redirect"), "upstream_broken"),
    both("closes before the first byte", Fault("close_before"), "upstream_unreachable"),
    both("closes before content", Fault("close_after", after=1), "upstream_broken"),
    Case("closes after content", Fault("close_after", after=4), "upstream_broken", BREAKS),
    both("goes silent before content", Fault("stall_after", after=1), "upstream_timeout", SOON),
    Case("goes silent after content", Fault("stall_after", after=4), "upstream_timeout", BREAKS, NO_PAUSE),
    both("reports an error before content", Fault("error_event", after=1), "upstream_broken"),
    Case("reports an error after content", Fault("error_event", after=4), "upstream_broken", BREAKS),
    both("ignores that a stream was asked for", Fault("plain"), FINE),
    both("forgets the last event", Fault("no_done"), FINE),
    both("does not end its response", Fault("linger"), FINE),
    both("sends slowly", Reply("word " * 8, pieces=8, latency_seconds=0.2, gap_seconds=0.05), FINE),
]

LITELLM_CODES = {
    "refuses": ("upstream_broken", "upstream_broken"),
    "hangs": ("upstream_timeout", "upstream_timeout"),
    "limits the rate": ("rate_limit_exceeded", "rate_limit_exceeded"),
    "answers 500": ("upstream_broken", "upstream_broken"),
    "sends malformed JSON": ("upstream_unreachable", "upstream_broken"),
    "sends a web page": ("upstream_unreachable", "upstream_broken"),
    "redirects": ("upstream_unreachable", "upstream_unreachable"),
    "closes before the first byte": ("upstream_broken", "upstream_broken"),
    "closes after content": ("upstream_broken", BREAKS),
    "goes silent after content": ("upstream_timeout", BREAKS),
    "reports an error after content": ("upstream_unreachable", BREAKS),
}
"""litellm tells apart less, and some of it the other way round: both are 502 to the caller."""


@asynccontextmanager
async def four_ways(folder: Path, reach: str, timeouts: str, *models: Model, retries: int = 0) -> AsyncIterator[Scene]:
    """A gateway with a route and a model of its own for each way, so that no fault leaves a mark on the next one.

    The last of `models` is `spare`, the fallback.
    """
    spare = models[-1]
    assert isinstance(spare, Heard)
    async with spare.serve() as url:
        policy = ["version: 1", "models:"]
        kind = f"tier: small, {reach}, retries: {retries}, timeouts: {timeouts}"
        policy += [f"  m_{way}: {{{kind}}}" for way in WAYS]
        policy += [f'  spare: {{tier: large, model: s, base_url: "{url}/v1", retries: 0}}', "default: spare", "routes:"]
        for way in WAYS:
            fallback = "[spare]" if way.endswith("led") else "[]"
            rule = f'{{name: first, when: "true", use: m_{way}, fallback: {fallback}}}'
            policy.append(f"  {way}: {{rules: [{rule}]}}")
        async with scene(folder, "\n".join(policy), *models) as built:
            yield built


async def check(scene: Scene, way: str, expected: str, headers: Mapping[str, str] = MappingProxyType({})) -> None:
    """Asks one way, and looks at the answer and at its row."""
    streams = way.startswith("stream")
    answer = await scene.ask(way, f"Tell me about {way}.", **({"stream": True} if streams else {}))
    row = await scene.row_of(answer)
    rescued = expected not in (FINE, BREAKS) and way.endswith("led")
    if expected == FINE or rescued:
        assert (answer.status_code, row["status"], row["outcome"]) == (200, 200, "ok"), answer.text
        assert answer.headers["x-signalbox-model"] == ("spare" if rescued else f"m_{way}")
        assert said(answer), answer.text
    elif expected == BREAKS:
        assert (answer.status_code, row["outcome"], row["fault"]) == (200, "upstream_error", "upstream")
        assert "error" in json.loads(answer.text.strip().split("\n\n")[-1].removeprefix("data: ")), answer.text
        assert "[DONE]" not in answer.text
        assert row["output"] > 0
    else:
        assert (answer.status_code, row["status"]) == (STATUS[expected], STATUS[expected]), answer.text
        assert answer.json()["error"]["code"] == row["error_code"] == expected, answer.text
        assert answer.headers["x-signalbox-fault"] == row["fault"] == "upstream"
        assert {name: answer.headers.get(name) for name in headers} == headers
    assert row["attempts"] == (2 if rescued else 1)


def said(answer: httpx.Response) -> str:
    """What a completion says, plain or streamed."""
    if answer.headers["content-type"].startswith("application/json"):
        return str(answer.json()["choices"][0]["message"]["content"])
    events = [line[6:] for line in answer.text.splitlines() if line.startswith("data: {")]
    deltas = [choice["delta"] for event in events for choice in json.loads(event)["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_model_that(tmp_path: Path, case: Case) -> None:
    await fail_four_ways(tmp_path, case, RELAY)


@pytest.mark.parametrize("case", [case for case in CASES if case.name in LITELLM_CODES], ids=lambda case: case.name)
async def test_a_provider_behind_litellm_that(tmp_path: Path, case: Case) -> None:
    plain, stream = LITELLM_CODES[case.name]
    await fail_four_ways(tmp_path, replace(case, plain=plain, stream=stream), LITELLM)


async def fail_four_ways(folder: Path, case: Case, reach: str) -> None:
    model, spare = Heard("m"), Heard("spare")
    async with model.serve() as url:
        place = url if case.fault is not None else f"http://127.0.0.1:{free_port()}"
        async with four_ways(folder, reach.format(url=place), case.timeouts, model, spare) as scene:
            for way in WAYS:
                if case.fault is not None:
                    model.script.append(case.fault)
                else:
                    scene.unheard += 1
                await check(scene, way, case.stream if way.startswith("stream") else case.plain, case.headers)
            assert not model.script


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
WORD = b'data: {"id":"1","model":"m","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":null}]}\n\n'
STOP = b'data: {"id":"1","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"
JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
GOOD = (
    b'{"id":"1","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant",'
    b'"content":"hi"},"finish_reason":"stop"}]}'
)


def chunked(*pieces: bytes) -> bytes:
    """A response's head and body in chunks, with its proper end."""
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return HEAD + b"transfer-encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"


def letters(text: bytes) -> list[bytes]:
    """Two bytes at a time."""
    return [text[at : at + 2] for at in range(0, len(text), 2)]


STREAMED_BYTES = {
    "ends in the middle of an event": (Raw(chunked(WORD, WORD[:40])), BREAKS),
    "ends after content without a finish": (Raw(chunked(WORD, WORD)), BREAKS),
    "ends before content": (Raw(chunked(b": hello\n\n")), "upstream_broken"),
    "calls a web page a stream": (Raw(chunked(b"<!doctype html><p>busy</p>")), "upstream_broken"),
    "sends nothing with a 200": (Raw(chunked()), "upstream_broken"),
    "sends two bytes at a time": (Raw(*letters(chunked(WORD, STOP, DONE)), gap=0.001), FINE),
    "cuts a chunk short": (Raw(chunked(WORD)[:-7], reset=True), BREAKS),
    "throws the connection away after its head": (Raw(HEAD + b"\r\n", gap=0.05, reset=True), "upstream_broken"),
    "sends chunks that are none": (Raw(HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\nzz"), "upstream_broken"),
}
PLAIN_BYTES = {
    "promises more than it sends": (Raw(JSON + b"content-length: 9999\r\n\r\n" + GOOD), "upstream_broken"),
    "compresses what is not": (
        Raw(JSON + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(GOOD) + GOOD),
        "upstream_broken",
    ),
    "sends nothing": (Raw(JSON + b"content-length: 0\r\n\r\n"), "upstream_broken"),
    "answers 204": (Raw(b"HTTP/1.1 204 No Content\r\n\r\n"), "upstream_broken"),
    "sends JSON that is no completion": (Raw(JSON + b'content-length: 11\r\n\r\n{"ok":true}'), "upstream_broken"),
    "does not speak HTTP": (Raw(b"220 mail.example.com ESMTP\r\n"), "upstream_broken"),
    "sends a head without end": (Raw(b"HTTP/1.1 200 OK\r\n" + b"x-a: " + b"a" * 100_000), "upstream_broken"),
    "sends two bytes at a time": (Raw(*letters(JSON + b"content-length: %d\r\n\r\n" % len(GOOD) + GOOD)), FINE),
}
BYTES = [("stream", name, *rest) for name, rest in STREAMED_BYTES.items()]
BYTES += [("plain", name, *rest) for name, rest in PLAIN_BYTES.items()]


@pytest.mark.parametrize(
    ("kind", "model", "expected"),
    [case[:1] + case[2:] for case in BYTES],
    ids=[f"{case[1]}, {case[0]}" for case in BYTES],
)
async def test_a_server_that(tmp_path: Path, kind: str, model: Raw, expected: str) -> None:
    async with model.serve() as url, four_ways(tmp_path, RELAY.format(url=url), PATIENT, model, Heard("s")) as scene:
        await check(scene, f"{kind}_alone", expected)
        await check(scene, f"{kind}_led", expected)


async def test_where_every_model_limits_the_rate_the_caller_hears_when_to_come_back(tmp_path: Path) -> None:
    model, spare = Heard("m"), Heard("spare")
    async with model.serve() as url, four_ways(tmp_path, RELAY.format(url=url), PATIENT, model, spare) as scene:
        for way in ("plain_led", "stream_led"):
            model.script.append(Fault("status", 429, retry_after="30"))
            spare.script.append(Fault("status", 429, retry_after="0.2"))
            answer = await scene.ask(way, "hi", stream=way.startswith("stream"))
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
            assert (await scene.row_of(answer))["attempts"] == 2


async def test_a_retry_is_an_attempt_of_its_own(tmp_path: Path) -> None:
    model, spare = Heard("m"), Heard("spare")
    reach = RELAY.format(url="{url}")
    async with model.serve() as url:
        async with four_ways(tmp_path, reach.format(url=url), PATIENT, model, spare, retries=2) as scene:
            for way, faults in (("plain_alone", 2), ("stream_alone", 1), ("plain_led", 3), ("stream_led", 3)):
                model.script.extend([Fault("status", 500)] * faults)
                answer = await scene.ask(way, "hi", stream=way.startswith("stream"))
                assert answer.status_code == 200
                assert answer.headers["x-signalbox-model"] == ("spare" if faults == 3 else f"m_{way}")
                assert (await scene.row_of(answer))["attempts"] == faults + 1


async def test_a_model_that_keeps_failing_is_passed_by_and_comes_back(tmp_path: Path) -> None:
    model, spare = Heard("m"), Heard("spare")
    async with model.serve() as url, four_ways(tmp_path, RELAY.format(url=url), PATIENT, model, spare) as scene:
        model.script.extend([Fault("status", 500)] * 5)
        for number in range(10):
            assert (await scene.ask("plain_led", f"number {number}")).headers["x-signalbox-model"] == "spare"
        assert model.calls == 5
        refused = await scene.ask("plain_alone", "this one is well")
        assert refused.status_code == 200
