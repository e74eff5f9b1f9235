"""Answers that are here whole before anybody reads them, and the stream that a plain completion stands for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson

from router.upstream.contract import Answer
from router.upstream.sse import PlainSeen, read_plain, see_plain

EVENT_STREAM = "text/event-stream; charset=utf-8"
JSON = "application/json"


class WholeAnswer:
    """`contract.Answer` over bytes in memory. Nothing is open, so there is nothing to close."""

    __slots__ = ("_completion", "body", "headers", "status", "streamed")

    def __init__(
        self,
        status: int,
        headers: Mapping[str, str],
        body: bytes,
        *,
        streamed: bool = False,
        completion: dict[str, Any] | None = None,
    ):
        """completion: the body, where somebody has parsed it already."""
        self.status, self.headers, self.streamed, self.body = status, headers, streamed, body
        self._completion = completion

    @property
    def seen(self) -> PlainSeen:
        """What the completion in the body says."""
        return read_plain(self.body) if self._completion is None else see_plain(self._completion)

    async def chunks(self) -> AsyncIterator[bytes]:
        if self.body:
            yield self.body

    async def aclose(self) -> None:
        return None


async def read_whole(answer: Answer) -> tuple[bytes, PlainSeen]:
    """A plain answer's body and what it says, parsed no more than once. Raises UpstreamError."""
    if isinstance(answer, WholeAnswer):
        return answer.body, answer.seen
    body = b"".join([chunk async for chunk in answer.chunks()])
    return body, read_plain(body)


def as_stream(completion: Mapping[str, Any]) -> bytes:
    """The SSE bytes that a streamed call would have brought, for upstreams that answer plainly all the same.

    completion: a plain `chat.completion` with its `choices`. Each message comes as one delta, tool calls with their
    indexes; then the finish reasons, the usage where there is one, and `[DONE]`.
    """
    head = {name: value for name, value in completion.items() if name not in ("choices", "usage", "object")}
    head["object"] = "chat.completion.chunk"
    events: list[dict[str, Any]] = []
    for number, choice in enumerate(completion["choices"]):
        if not isinstance(choice, dict):
            continue
        index, message = choice.get("index", number), choice.get("message")
        delta = {"role": "assistant", **message} if isinstance(message, dict) else {"role": "assistant"}
        if isinstance(calls := delta.get("tool_calls"), list):
            delta["tool_calls"] = [{"index": place, **call} for place, call in enumerate(calls)]
        logprobs = {"logprobs": choice["logprobs"]} if "logprobs" in choice else {}
        finish = choice.get("finish_reason") or "stop"
        events.append({**head, "choices": [{"index": index, "delta": delta, **logprobs, "finish_reason": None}]})
        events.append({**head, "choices": [{"index": index, "delta": {}, "finish_reason": finish}]})
    if completion.get("usage"):
        events.append({**head, "choices": [], "usage": completion["usage"]})
    return b"".join(b"data: " + orjson.dumps(event) + b"\n\n" for event in events) + b"data: [DONE]\n\n"
