"""The one place where our errors become HTTP answers in OpenAI's shape: four fields, real nulls."""

from __future__ import annotations

import orjson

from router.errors import RequestError

Headers = list[tuple[bytes, bytes]]


def error_bytes(error: RequestError) -> bytes:
    """The error object as JSON bytes."""
    return orjson.dumps(error.body())


def error_headers(error: RequestError) -> Headers:
    """Fault domain, `retry-after` where there is one, and a word to clients that would retry what we have retried."""
    headers: Headers = [
        (b"content-type", b"application/json"),
        (b"x-signalbox-fault", error.fault.encode()),
    ]
    if error.status in (429, 503) or error.retry_after is not None:
        seconds = 1 if error.retry_after is None else max(0, -(-error.retry_after // 1))
        headers.append((b"retry-after", str(int(seconds)).encode()))
    if error.fault == "upstream":
        headers.append((b"x-should-retry", b"false"))
    return headers
