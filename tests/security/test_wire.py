"""What may come over a raw socket, each case by name: the answer's status, or the end of the connection.

A real `signalbox serve` process with an API key and an admin key stands behind the socket; one hidden request to the
control plane, or a model called by something that is no request of ours, would be seen here.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from router.upstream.standin import StandIn
from tests.running import POLICY
from tests.security.process import Process, serving, standing

BODY = b'{"model":"auto","messages":[{"role":"user","content":"hi"}]}'
CHUNKED = b"Transfer-Encoding: chunked\r\n"
IN_CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
HOST = b"Host: 127.0.0.1\r\n"
COSTS = b"GET /api/costs HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def post(
    more: bytes = b"",
    body: bytes = BODY,
    *,
    length: bytes | None = None,
    host: bytes = HOST,
    version: bytes = b"HTTP/1.1",
) -> bytes:
    """A chat request with a known key. more: further header lines. length: instead of the right Content-Length."""
    length = b"Content-Length: %d\r\n" % len(body) if length is None else length
    key = b"Authorization: Bearer one\r\n"
    return b"POST /v1/chat/completions " + version + b"\r\n" + host + key + length + more + b"\r\n" + body


def chunked(body: bytes, more: bytes = CHUNKED) -> bytes:
    return post(more, body, length=b"")


def get(target: bytes, more: bytes = HOST) -> bytes:
    return b"GET " + target + b" HTTP/1.1\r\n" + more + b"\r\n"


MALFORMED = ("400 invalid_http", "closed")
UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
WEBSOCKET = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)

CASES: dict[str, tuple[bytes, tuple[str, ...]]] = {
    # Framing: where a request ends is said once, in one way.
    "a plain request": (post(), ("200",)),
    "length and chunks": (post(CHUNKED, IN_CHUNKS), MALFORMED),
    "chunks and length": (post(body=IN_CHUNKS, length=CHUNKED + b"Content-Length: 5\r\n"), MALFORMED),
    "a request hidden behind length and chunks": (post(CHUNKED, b"0\r\n\r\n" + COSTS), MALFORMED),
    "transfer-encoding xchunked": (chunked(BODY, b"Transfer-Encoding: xchunked\r\n"), MALFORMED),
    "transfer-encoding identity": (post(b"Transfer-Encoding: identity\r\n"), MALFORMED),
    "chunked is not the last coding": (chunked(IN_CHUNKS, b"Transfer-Encoding: chunked, identity\r\n"), MALFORMED),
    "chunked twice": (chunked(IN_CHUNKS, CHUNKED + CHUNKED), MALFORMED),
    "a space before transfer-encoding's colon": (chunked(IN_CHUNKS, b"Transfer-Encoding : chunked\r\n"), MALFORMED),
    "a vertical tab before chunked": (chunked(IN_CHUNKS, b"Transfer-Encoding: \x0bchunked\r\n"), MALFORMED),
    "a tab before chunked": (chunked(IN_CHUNKS, b"Transfer-Encoding:\tchunked\r\n"), ("200",)),
    "two lengths that differ": (post(b"Content-Length: 5\r\n"), MALFORMED),
    "two lengths that agree": (post(b"Content-Length: %d\r\n" % len(BODY)), MALFORMED),
    "a list of lengths": (post(length=b"Content-Length: 60, 60\r\n"), MALFORMED),
    "a negative length": (post(length=b"Content-Length: -1\r\n"), MALFORMED),
    "a signed length": (post(length=b"Content-Length: +60\r\n"), MALFORMED),
    "a hexadecimal length": (post(length=b"Content-Length: 0x3c\r\n"), MALFORMED),
    "an empty length": (post(length=b"Content-Length: \r\n"), MALFORMED),
    "a length past 64 bits": (post(length=b"Content-Length: 99999999999999999999999\r\n"), MALFORMED),
    "a length with a space in it": (post(length=b"Content-Length: 6 0\r\n"), MALFORMED),
    "a gigabyte announced": (post(length=b"Content-Length: 1000000000\r\n"), ("413 body_too_large",)),
    "no length at all": (post(length=b""), ("400 invalid_json", "closed")),
    # Chunks.
    "chunks": (chunked(IN_CHUNKS), ("200",)),
    "chunks with extensions": (chunked(IN_CHUNKS.replace(b"\r\n", b";a=b\r\n", 1)), ("200",)),
    "a chunk of no size": (chunked(b"zz\r\n"), MALFORMED),
    "a chunk of negative size": (chunked(b"-5\r\nhello\r\n0\r\n\r\n"), MALFORMED),
    "a chunk of 0x size": (chunked(b"0x5\r\nhello\r\n0\r\n\r\n"), MALFORMED),
    "a chunk larger than 64 bits": (chunked(b"fffffffffffffffff\r\n"), MALFORMED),
    "chunks ended by bare line feeds": (chunked(IN_CHUNKS.replace(b"\r\n", b"\n")), MALFORMED),
    "trailers do not become headers": (
        chunked(IN_CHUNKS[:-2] + b"Authorization: Bearer wrong\r\nHost: evil.example\r\n\r\n"),
        ("200",),
    ),
    "eleven megabytes in chunks": (
        chunked((b"%x\r\n" % 100_000 + b" " * 100_000 + b"\r\n") * 110),
        ("413 body_too_large",),
    ),
    "a compressed body": (post(b"Content-Encoding: gzip\r\n"), ("400 unsupported_encoding",)),
    "a compressed body in capitals": (post(b"Content-Encoding: GZIP\r\n"), ("400 unsupported_encoding",)),
    # Heads.
    "no host": (post(host=b""), ("400 missing_host",)),
    "an empty host": (post(host=b"Host: \r\n"), ("400 missing_host",)),
    "two hosts": (post(host=HOST + b"Host: evil.example\r\n"), ("400 invalid_host",)),
    "the same host twice": (post(host=HOST + HOST), ("400 invalid_host",)),
    "a host that is none": (post(host=b"Host: a b/../c\r\n"), ("400 invalid_host",)),
    "bare line feeds": (post().replace(b"\r\n", b"\n"), MALFORMED),
    "one bare line feed": (post(b"X: a\n"), MALFORMED),
    "a bare carriage return": (post(b"X: a\rb\r\n"), MALFORMED),
    "a null byte": (post(b"X: a\0b\r\n"), MALFORMED),
    "a folded header": (post(b"X: a\r\n b\r\n"), MALFORMED),
    "a space before a colon": (post(b"X : a\r\n"), MALFORMED),
    "a header without a colon": (post(b"Xa\r\n"), MALFORMED),
    "a header without a name": (post(b": a\r\n"), MALFORMED),
    "a name that is not ASCII": (post("Ж: a\r\n".encode()), MALFORMED),
    "a value that is not ASCII": (post("X: Ж\r\n".encode()), ("200",)),
    "a header of 70 KB": (post(b"X: " + b"a" * 70_000 + b"\r\n"), ("431 head_too_large", "closed")),
    "a header of 5 MB": (post(b"X: " + b"a" * 5_000_000 + b"\r\n"), ("431 head_too_large", "closed")),
    "10,000 headers": (
        post(b"".join(b"X-%d: a\r\n" % number for number in range(10_000))),
        ("431 head_too_large", "closed"),
    ),
    "201 headers": (post(b"X: a\r\n" * 201), ("431 head_too_large", "closed")),
    "an address of 70 KB": (get(b"/v1/models?" + b"a" * 70_000), ("431 head_too_large", "closed")),
    "two keys": (post(b"Authorization: Bearer wrong\r\n"), ("401 invalid_api_key",)),
    "two keys, the other way": (
        post(b"Authorization: Bearer one\r\n").replace(b"Bearer one", b"Bearer wrong", 1),
        ("401 invalid_api_key",),
    ),
    # Start lines and versions.
    "HTTP/1.0": (post(version=b"HTTP/1.0"), ("200", "closed")),
    "HTTP/1.0 with chunks": (post(CHUNKED, IN_CHUNKS, length=b"", version=b"HTTP/1.0"), ("200", "closed")),
    "HTTP/1.0 without a host": (post(host=b"", version=b"HTTP/1.0"), ("400 missing_host", "closed")),
    "HTTP/0.9": (b"GET /v1/models\r\n\r\n", ("400 missing_host", "closed")),
    "HTTP/1.2": (post(version=b"HTTP/1.2"), MALFORMED),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", MALFORMED),
    "HTTP/3.0": (post(version=b"HTTP/3.0"), MALFORMED),
    "a version in small letters": (post(version=b"http/1.1"), MALFORMED),
    "a method in small letters": (b"get /healthz HTTP/1.1\r\nHost: a\r\n\r\n", MALFORMED),
    "an unknown method": (b"BREW /healthz HTTP/1.1\r\nHost: a\r\n\r\n", MALFORMED),
    "TRACE echoes nothing": (b"TRACE /v1/models HTTP/1.1\r\nHost: a\r\n\r\n", ("405 method_not_allowed",)),
    "CONNECT": (b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n", MALFORMED),
    "CONNECT to a path": (b"CONNECT /api/costs HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", MALFORMED),
    "OPTIONS *": (b"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", ("401 invalid_api_key",)),
    "a greeting in TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", MALFORMED),
    "noise": (bytes(range(256)) * 8, MALFORMED),
    "empty lines first": (b"\r\n\r\n" + post(), ("200",)),
    # More than one request.
    "expect 100-continue": (post(b"Expect: 100-continue\r\n"), ("100", "200")),
    "expect 100-continue, too large": (
        post(b"Expect: 100-continue\r\n", b"", length=b"Content-Length: 1000000000\r\n"),
        ("413 body_too_large",),
    ),
    "expect something else": (post(b"Expect: 200-ok\r\n"), ("200",)),
    "pipelined": (post() + COSTS + post(), ("200", "401 invalid_api_key", "200")),
    "pipelined with noise behind": (post() + b"noise\r\n\r\n", ("200", "closed")),
    "pipelined with two lengths behind": (post() + post(b"Content-Length: 5\r\n"), ("200", "closed")),
    "a request after connection: close": (post(b"Connection: close\r\n") + COSTS, ("200", "closed")),
    "an offer of HTTP/2": (post(UPGRADE), ("200",)),
    "an offer of HTTP/2 with a request behind": (post(UPGRADE) + COSTS, ("200", "401 invalid_api_key")),
    "an offer of HTTP/2 in chunks": (chunked(IN_CHUNKS, CHUNKED + UPGRADE), ("200",)),
    "an offer of HTTP/2 to the control plane": (get(b"/api/costs", HOST + UPGRADE), ("401 invalid_api_key",)),
    "a websocket to the control plane": (get(b"/api/costs", HOST + WEBSOCKET), ("401 invalid_api_key",)),
    "a websocket to the data plane": (get(b"/v1/models", HOST + WEBSOCKET), ("401 invalid_api_key",)),
}

KEPT_OUT = ("401 invalid_api_key",)
NOTHING_THERE = ("404 not_found",)
ONLY_FILES = ("404",)
"""Under the open folder of the pages' own files; its 404 is plain."""

PATHS: dict[bytes, tuple[str, ...]] = {
    b"/api/costs": KEPT_OUT,
    b"//api/costs": KEPT_OUT,
    b"/api//costs": KEPT_OUT,
    b"/api/./costs": KEPT_OUT,
    b"/api/costs/": KEPT_OUT,
    b"/api/costs;x": KEPT_OUT,
    b"/api/costs/..;/": KEPT_OUT,
    b"/api/costs%00": KEPT_OUT,
    b"/api/costs#/v1/": KEPT_OUT,
    b"/api/costs?/v1/": KEPT_OUT,
    b"/API/costs": KEPT_OUT,
    b"/api%2fcosts": KEPT_OUT,
    b"/%61pi/costs": KEPT_OUT,
    b"/\\api/costs": KEPT_OUT,
    b"/%2e%2e/api/costs": KEPT_OUT,
    b"/metrics": KEPT_OUT,
    b"/%6detrics": KEPT_OUT,
    b"/metrics/": KEPT_OUT,
    b"/openapi.json": KEPT_OUT,
    b"/docs": KEPT_OUT,
    b"/dashboard": KEPT_OUT,
    b"/dashboard/assets": KEPT_OUT,
    b"/healthz/../api/costs": KEPT_OUT,
    b"/healthz/%2e%2e/api/costs": KEPT_OUT,
    b"/healthz/": KEPT_OUT,
    b"/login/../api/costs": KEPT_OUT,
    b"/favicon.ico/../api/costs": KEPT_OUT,
    b"/v1;/../api/costs": KEPT_OUT,
    b"/V1/models": KEPT_OUT,
    b"//v1/chat/completions": KEPT_OUT,
    b"/v1/models": KEPT_OUT,
    b"/v1/models/../../api/costs": KEPT_OUT,
    b"/v1/models/%ff": KEPT_OUT,
    b"http://127.0.0.1/api/costs": KEPT_OUT,
    b"http://evil.example/api/costs": KEPT_OUT,
    b"/v1/../api/costs": NOTHING_THERE,
    b"/v1/%2e%2e/api/costs": NOTHING_THERE,
    b"/v1/..%2fapi/costs": NOTHING_THERE,
    b"/v1%2f..%2fapi%2fcosts": NOTHING_THERE,
    b"/v1//../api/costs": NOTHING_THERE,
    b"/v1/%00": NOTHING_THERE,
    b"/dashboard/assets/../../api/costs": ONLY_FILES,
    b"/dashboard/assets/%2e%2e/%2e%2e/api/costs": ONLY_FILES,
    b"/dashboard/assets/..%2f..%2frendering.py": ONLY_FILES,
    b"/dashboard/assets/%2e%2e%2frendering.py": ONLY_FILES,
    b"/dashboard/assets//etc/passwd": ONLY_FILES,
    b"api/costs": MALFORMED,
    b"\\api\\costs": MALFORMED,
    b"/api/costs HTTP/1.1 /v1/": MALFORMED,
}


@dataclass(frozen=True)
class Gate:
    """The process, and the model that it may call."""

    process: Process
    model: StandIn


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    model = StandIn("m", lambda text: "fine")
    with standing(model) as [url]:
        policy = POLICY.format(small=url, large=url).replace("cache: {exact: {ttl: 1h}}", "cache: {exact: {ttl: 1s}}")
        keys = {"SIGNALBOX_API_KEYS": "acme:one", "SIGNALBOX_ADMIN_KEY": "boss"}
        with serving(tmp_path_factory.mktemp("gate"), policy, **keys) as process:
            yield Gate(process, model)


@pytest.mark.parametrize("name", CASES)
def test_a_raw_request_is_answered_as_the_table_says(gate: Gate, name: str) -> None:
    sent, expected = CASES[name]
    assert talk(gate.process.port, sent, expected) == expected


@pytest.mark.parametrize("path", PATHS, ids=bytes.decode)
def test_no_spelling_of_a_path_passes_the_door(gate: Gate, path: bytes) -> None:
    assert talk(gate.process.port, get(path), PATHS[path]) == PATHS[path]


def test_afterwards_it_serves_as_ever_and_has_logged_no_traceback(gate: Gate) -> None:
    assert talk(gate.process.port, post(), ("200",)) == ("200",)
    assert "Traceback" not in gate.process.said()
    assert all(b"hi" in received.body for received in gate.model.journal)


def talk(port: int, sent: bytes, expected: tuple[str, ...], dribble: bytes = b"") -> tuple[str, ...]:
    """What came back: each answer's status and error code, then `closed` if the connection ended.

    Waits as long as more is expected, and a moment for what is not. dribble: sent again and again.
    """
    received, ended = b"", False
    with socket.create_connection(("127.0.0.1", port), timeout=5) as wire:
        try:
            wire.sendall(sent)
        except OSError:
            pass
        wire.settimeout(0.06)
        deadline, quiet = time.monotonic() + 8, False
        while not ended and time.monotonic() < deadline and not quiet:
            try:
                piece = wire.recv(65536)
                received, ended = received + piece, not piece
            except TimeoutError:
                quiet = told(received, ended) == expected
                if dribble:
                    try:
                        wire.sendall(dribble)
                    except OSError:
                        pass
            except OSError:
                ended = True
    return told(received, ended)


def told(received: bytes, ended: bool) -> tuple[str, ...]:
    answers = re.split(rb"(?=HTTP/1\.1 \d\d\d )", received)[1:]
    words = []
    for answer in answers:
        code = re.search(rb'"code":"(\w+)"', answer)
        words.append(answer[9:12].decode() + (f" {code[1].decode()}" if code else ""))
    return (*words, *(["closed"] if ended else []))
