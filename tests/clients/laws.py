"""What must hold for each exchange through the gateway: the same bytes, but for the fields that docs/http.md names.

The two changes of the request are made here in another way than the gateway makes them, so that they check each other.
Every function returns the faults it found, as sentences.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.clients.answers import Answer
from tests.clients.replay import named_in
from tests.clients.wire import Exchange

_MODEL = re.compile(rb'("model"\s*:\s*)"[^"]*"')
_OPTIONS = re.compile(rb'("stream_options"\s*:\s*)(\{[^{}]*\}|null)')
_HEADERS_UP = {
    "accept",
    "accept-encoding",
    "authorization",
    "content-length",
    "content-type",
    "host",
    "user-agent",
    "x-request-id",
}


def is_stream(body: bytes) -> bool:
    """Whether this request asks for a stream."""
    return json.loads(body).get("stream") is True


def asked_for_usage(body: bytes) -> bool:
    """Whether this request wants the usage of its stream."""
    return (json.loads(body).get("stream_options") or {}).get("include_usage") is True


def expected_request(body: bytes, model: str) -> bytes:
    """What of the caller's body has to arrive: another model, and for streams the usage asked for."""
    body, found = _MODEL.subn(rb'\g<1>"%b"' % model.encode(), body)
    assert found == 1, "a body with one member `model` was expected"
    if not is_stream(body) or asked_for_usage(body):
        return body
    body, found = _OPTIONS.subn(rb'\g<1>{"include_usage":true}', body)
    closing = body.rindex(b"}")
    return body if found else body[:closing].rstrip() + b',"stream_options":{"include_usage":true}' + body[closing:]


def expected_answer(answer: Answer, body: bytes) -> bytes:
    """What a caller who sent `body` has to receive, whoever it was sent to."""
    if is_stream(body) and answer.status == 200:
        return b"".join(answer.stream(usage=asked_for_usage(body)))
    assert answer.plain is not None
    return answer.plain


def faults_of_answer(seen: Exchange, answers: Mapping[str, Answer], *, left: bool = False) -> Iterator[str]:
    """The answer, as a caller received it, against what the upstream says to such a request.

    left: whether this caller hangs up in the middle; then what there is has to be the beginning.
    """
    answer = answers[named_in(seen.request.body) or ""]
    expected, got = expected_answer(answer, seen.request.body), seen.answer.body
    if got != expected and not (left and got and expected.startswith(got)):
        yield f"answer bytes differ {_where(expected, got)}"
    if seen.answer.head != str(answer.status):
        yield f"status {seen.answer.head} instead of {answer.status}"
    streams = is_stream(seen.request.body) and answer.status == 200
    content_type = "text/event-stream; charset=utf-8" if streams else "application/json"
    if seen.answer.headers.get("content-type") != content_type:
        yield f"content-type {seen.answer.headers.get('content-type')} instead of {content_type}"


def faults_of_relay(near: Exchange, far: Exchange | None, *, model: str, key: str) -> Iterator[str]:
    """The request, as the upstream received it, against what the caller sent. key: the upstream's own."""
    if far is None:
        yield "the upstream was not asked"
        return
    expected, got = expected_request(near.request.body, model), far.request.body
    if got != expected:
        yield f"request bytes differ {_where(expected, got)}"
    if strange := sorted(set(far.request.headers) - _HEADERS_UP):
        yield f"request headers went on: {', '.join(strange)}"
    if far.request.headers.get("authorization") != f"Bearer {key}":
        yield "the upstream was not shown its own key"


def faults_of_reading(result: Any, *, fails: bool) -> Iterator[str]:
    """Whether a client read the answer at all. fails: whether it has to raise."""
    parsed = result["parsed"]
    raised = isinstance(parsed, dict) and "raised" in parsed
    if raised != fails:
        yield f"raised {parsed}" if raised else "did not raise"


def faults_of_results(direct: object, through: object) -> Iterator[str]:
    """What a client made of the same answer both times."""
    if direct != through:
        before, after = (json.dumps(result, sort_keys=True).encode() for result in (direct, through))
        yield f"results differ {_where(before, after)}"


def _where(expected: bytes, got: bytes) -> str:
    """Where two byte strings part, with a little of both."""
    at = next((at for at, (one, other) in enumerate(zip(expected, got, strict=False)) if one != other), -1)
    at = min(len(expected), len(got)) if at < 0 else at
    start = max(0, at - 60)
    return f"at byte {at}: expected {expected[start : at + 80]!r}, got {got[start : at + 80]!r}"
