"""How a cached answer is written into Redis: a few framed bytes that notice damage, forgery and a wrong place.

    3 bytes  b"sbx"
    1 byte   format version
    16 bytes tag: HMAC-SHA256, cut short, by the cache's secret over key, header and body
    4 bytes  length of the header, big-endian
    ...      header: a JSON list, its order is `_header`'s
    ...      body: the answer's JSON as it was sent

The tag covers the key. A reply that belongs to another command of the same connection (a client library once lost count
after a cancellation) therefore reads as damaged, and never as somebody else's answer.
"""

from __future__ import annotations

import hmac

import orjson

from router.cache.contract import CachedAnswer
from router.domain import Usage

_MAGIC = b"sbx"
_VERSION = 1
_TAG = slice(4, 20)
_HEADER_LENGTH = slice(20, 24)
_SIGNED_FROM = 24


class Unreadable(Exception):
    """Damaged, forged or not ours: of no use to anybody."""


class NewerFormat(Exception):
    """Written by a newer gateway, which can still read it."""


def pack(secret: bytes, key: bytes, answer: CachedAnswer) -> bytes:
    """The value to store under `key`."""
    usage = answer.usage
    header = orjson.dumps(
        [
            answer.model,
            answer.complexity,
            answer.stored_at,
            usage.uncached_input,
            usage.cache_read,
            usage.cache_write,
            usage.output,
            usage.reasoning,
            usage.estimated,
        ]
    )
    signed = header + answer.body
    length = len(header).to_bytes(4, "big")
    return b"".join((_MAGIC, bytes((_VERSION,)), _tag(secret, key, length + signed), length, signed))


def unpack(secret: bytes, key: bytes, value: bytes) -> CachedAnswer:
    """The answer stored under `key`; raises `Unreadable` or `NewerFormat`."""
    if len(value) < _SIGNED_FROM or value[:3] != _MAGIC:
        raise Unreadable
    if value[3] > _VERSION:
        raise NewerFormat
    if value[3] != _VERSION or not hmac.compare_digest(value[_TAG], _tag(secret, key, value[20:])):
        raise Unreadable
    body_from = _SIGNED_FROM + int.from_bytes(value[_HEADER_LENGTH], "big")
    model, complexity, stored_at, *usage = orjson.loads(value[_SIGNED_FROM:body_from])
    return CachedAnswer(value[body_from:], model, complexity, Usage(*usage), stored_at)


def _tag(secret: bytes, key: bytes, signed: bytes) -> bytes:
    return hmac.digest(secret, key + signed, "sha256")[:16]
