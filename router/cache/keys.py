"""Makes the key of an exact cache entry: who asks, of which route, under which policy, and what exactly.

Equal keys mean equal requests; where entries are kept is the business of the caches.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from typing import Any

import orjson

NOT_ASKED: frozenset[str] = frozenset(
    {
        "stream",
        "stream_options",
        "user",
        "metadata",
        "safety_identifier",
        "prompt_cache_key",
        "service_tier",
    }
)
"""Fields of a body that change how an answer is sent, billed or traced, never what it says.

`model` is not among them: a route stands for it, but a model named outright is served by no route at all, and two
such models must never share an answer.
"""

KEY_BYTES = 32


def key_for(secret: bytes, tenant: str, route: str | None, policy_digest: str, body: Mapping[str, Any]) -> bytes:
    """HMAC-SHA256 (RFC 2104), 32 bytes, over length-prefixed parts, so that no two requests write the same bytes.

    route: None where the caller named a model outright. body: the parsed JSON body of the request.
    """
    asked = canonical({name: value for name, value in body.items() if name not in NOT_ASKED})
    parts = (
        tenant.encode("utf-8", "surrogatepass"),
        b"" if route is None else b"=" + route.encode("utf-8", "surrogatepass"),
        policy_digest.encode("utf-8", "surrogatepass"),
        asked,
    )
    message = b"".join([piece for part in parts for piece in (len(part).to_bytes(8, "big"), part)])
    return hmac.digest(secret, message, "sha256")


def canonical(body: Mapping[str, Any]) -> bytes:
    """One spelling for one JSON value: keys sorted, Unicode as it is, 1, 1.0 and true apart, integers exact.

    orjson writes NaN and the infinities as null and refuses integers beyond 64 bits and lone surrogates. Such bodies
    take the standard library's slower road; a body with a `null` in it takes it too, because that null may be one of
    orjson's. The leading byte keeps the spellings of the two roads apart.
    """
    try:
        written = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        written = b"null"
    if b"null" not in written:
        return b"o" + written
    return b"j" + json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
