"""Answers and streams of the shapes that OpenAI-compatible servers send, for the tests of the cache."""

from __future__ import annotations

from typing import Any

import orjson

from router.cache.contract import CachedAnswer
from router.domain import Usage


def plain(content: str | None = "Paris.", **changes: Any) -> dict[str, Any]:
    """A plain completion; `message` and `choice` change those parts, any other name the top level."""
    message = {"role": "assistant", "content": content, "refusal": None} | changes.pop("message", {})
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"} | changes.pop("choice", {})
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
    top = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1700000000, "model": "gpt-x"}
    return top | {"choices": [choice], "usage": usage, "system_fingerprint": "fp_1"} | changes


def chunk(*choices: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """One chunk of a stream."""
    top = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "gpt-x"}
    return top | {"choices": list(choices), "system_fingerprint": "fp_1"} | changes


def said(delta: dict[str, Any] | None = None, finish: str | None = None, **changes: Any) -> dict[str, Any]:
    """One choice of a chunk."""
    return {"index": 0, "delta": delta or {}, "logprobs": None, "finish_reason": finish} | changes


def sse(*chunks: dict[str, Any], done: bool = True, end: bytes = b"\n") -> bytes:
    """The bytes of a stream of chunks."""
    events = [b"data: " + orjson.dumps(each) + end + end for each in chunks]
    return b"".join(events) + (b"data: [DONE]" + end + end if done else b"")


def stored(body: bytes = b'{"answer":"Paris."}', model: str = "small", at: float = 1.5) -> CachedAnswer:
    """An entry of a cache."""
    return CachedAnswer(body, model, 0.25, Usage(7, 2, 0, 5, 1), at)
