"""Whatever a model does, the caller gets an answer or an honest error, and the ledger adds up.

Each fault meets four callers: plain and streamed, alone and with a fallback. One gateway serves all of them; each way
to each fault has a route and a model of its own, so that no breaker of one is felt by another.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import httpx
import pytest
import pytest_asyncio

from router.upstream.standin import Fault, Reply
from tests.faults.models import Heard, Raw
from tests.faults.scene import Scene, scene
from tests.servers import free_port

pytestmark = pytest.mark.asyncio(loop_scope="module")

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


@dataclass(frozen=True)
class Place:
    """A model as the policy has it four times. model: None where nobody listens."""

    slug: str
    reach: str
    model: Heard | Raw | None
    timeouts: str = PATIENT
    retries: int = 0


@dataclass(frozen=True)
class House:
    """One gateway in front of every place; `spare` is the fallback of all."""

    scene: Scene
    places: Mapping[str, Place]
    spare: Heard

    def script(self, slug: str, *faults: Fault | Reply | None) -> None:
        """What the place does next; a place that nobody listens at is noted down as unheard."""
        model = self.places[slug].model
        if isinstance(model, Heard):
            model.script.extend(fault for fault in faults if fault is not None)
        else:
            self.scene.unheard += len(faults)

    async def ask(self, slug: str, way: str) -> httpx.Response:
        """One of the four ways to a place."""
        more = {"stream": True} if way.startswith("stream") else {}
        return await self.scene.ask(f"{slug}_{way}", f"Tell me about {way}.", **more)


def places() -> list[Place]:
    """All that the tests below need."""
    heard = [
        Place(f"{kind}{number}", reach, None if case.fault is None else Heard(case.name), case.timeouts)
        for kind, reach in (("relay", RELAY), ("litellm", LITELLM))
        for number, case in enumerate(CASES)
        if kind == "relay" or case.name in LITELLM_CODES
    ]
    bare = [Place(f"bytes{number}", RELAY, model) for number, (_, _, model, _) in enumerate(BYTES)]
    return [
        *heard,
        *bare,
        Place("limited", RELAY, Heard("limited")),
        Place("failing", RELAY, Heard("failing")),
        Place("retried", RELAY, Heard("retried"), retries=2),
    ]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """The gateway; when all tests are through, everything must be closed again."""
    spare, known = Heard("spare"), {place.slug: place for place in places()}
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(spare.serve())
        models = [f'  spare: {{tier: large, model: s, base_url: "{url}/v1", retries: 0}}']
        routes = []
        for slug, place in known.items():
            nowhere = f"http://127.0.0.1:{free_port()}"
            url = nowhere if place.model is None else await stack.enter_async_context(place.model.serve())
            reach = place.reach.format(url=url)
            for way in WAYS:
                kind = f"tier: small, {reach}, retries: {place.retries}, timeouts: {place.timeouts}"
                fallback = "[spare]" if way.endswith("led") else "[]"
                rule = f'{{name: first, when: "true", use: m_{slug}_{way}, fallback: {fallback}}}'
                models.append(f"  m_{slug}_{way}: {{{kind}}}")
                routes.append(f"  {slug}_{way}: {{rules: [{rule}]}}")
        policy = "\n".join(["version: 1", "models:", *models, "default: spare", "routes:", *routes])
        all_of_them = [spare, *(place.model for place in known.values() if place.model is not None)]
        async with scene(tmp_path_factory.mktemp("house"), policy, *all_of_them) as built:
            yield House(built, known, spare)


async def meet(
    house: House, slug: str, expected: Mapping[str, str], headers: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Goes these ways (way -> what is expected) all at once, looks at answers and rows, and adds up."""
    answers = await asyncio.gather(*(house.ask(slug, way) for way in expected))
    await house.scene.add_up()
    rows = {row["request_id"]: row for row in await house.scene.rows()}
    closed = Counter(row["parent_id"] for row in rows.values() if row["error_code"] == "upstream_unreachable")
    for (way, code), answer in zip(expected.items(), answers, strict=True):
        row = rows[answer.headers["x-request-id"]]
        again = 0 if code == "upstream_unreachable" else closed[row["request_id"]]
        look(f"{slug}_{way}", code, answer, row, headers, again)


def look(
    route: str,
    expected: str,
    answer: httpx.Response,
    row: Mapping[str, Any],
    headers: Mapping[str, str],
    again: int,
) -> None:
    """Compares an answer and its row with what is expected of a route.

    again: attempts on a kept connection that the server closed just then; each is made once more.
    """
    rescued = expected not in (FINE, BREAKS) and route.endswith("led")
    if expected == FINE or rescued:
        assert (answer.status_code, row["status"], row["outcome"]) == (200, 200, "ok"), answer.text
        assert answer.headers["x-signalbox-model"] == ("spare" if rescued else f"m_{route}")
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
    assert row["attempts"] == (2 if rescued else 1) + again


def said(answer: httpx.Response) -> str:
    """What a completion says, plain or streamed."""
    if answer.headers["content-type"].startswith("application/json"):
        return str(answer.json()["choices"][0]["message"]["content"])
    events = [line[6:] for line in answer.text.splitlines() if line.startswith("data: {")]
    deltas = [choice["delta"] for event in events for choice in json.loads(event)["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_model_that(house: House, case: Case) -> None:
    slug = f"relay{CASES.index(case)}"
    house.script(slug, *[case.fault] * len(WAYS))
    await meet(house, slug, four_ways(case.plain, case.stream), case.headers)


@pytest.mark.parametrize("case", [case for case in CASES if case.name in LITELLM_CODES], ids=lambda case: case.name)
async def test_a_provider_behind_litellm_that(house: House, case: Case) -> None:
    slug = f"litellm{CASES.index(case)}"
    house.script(slug, *[case.fault] * len(WAYS))
    await meet(house, slug, four_ways(*LITELLM_CODES[case.name]), case.headers)


def four_ways(plain: str, stream: str) -> dict[str, str]:
    return {way: stream if way.startswith("stream") else plain for way in WAYS}


@pytest.mark.parametrize("number", range(len(BYTES)), ids=[f"{name}, {kind}" for kind, name, _, _ in BYTES])
async def test_a_server_that(house: House, number: int) -> None:
    kind, _, _, expected = BYTES[number]
    await meet(house, f"bytes{number}", {f"{kind}_alone": expected, f"{kind}_led": expected})


@pytest.mark.parametrize("way", ["plain_led", "stream_led"])
async def test_where_every_model_limits_the_rate_the_caller_hears_when_to_come_back(house: House, way: str) -> None:
    house.script("limited", Fault("status", 429, retry_after="30"))
    house.spare.script.append(Fault("status", 429, retry_after="0.01"))
    answer = await house.ask("limited", way)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert (await house.scene.row_of(answer))["attempts"] == 2
    await house.scene.add_up()


@pytest.mark.parametrize(("way", "faults"), [("plain_alone", 2), ("stream_alone", 1), ("plain_led", 3)])
async def test_a_retry_is_an_attempt_of_its_own(house: House, way: str, faults: int) -> None:
    house.script("retried", *[Fault("status", 500)] * faults)
    answer = await house.ask("retried", way)
    assert answer.status_code == 200
    assert answer.headers["x-signalbox-model"] == ("spare" if faults == 3 else f"m_retried_{way}")
    assert (await house.scene.row_of(answer))["attempts"] == faults + 1
    await house.scene.add_up()


async def test_a_model_that_keeps_failing_is_passed_by(house: House) -> None:
    model = house.places["failing"].model
    house.script("failing", *[Fault("status", 500)] * 5)
    for _ in range(10):
        assert (await house.ask("failing", "plain_led")).headers["x-signalbox-model"] == "spare"
    assert model is not None
    assert model.calls == 5
    await house.scene.add_up()
