"""The two protocols a stand-in speaks, each as three plain functions: read a request, write an answer, write a stream.

Shapes are those of OpenAI's chat completions reference and of Anthropic's messages reference (2023-06-01).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from router.upstream.standin.script import Asked, ToolCall, count_tokens

CREATED = 1_767_225_600
"""Every answer of a stand-in is of the first second of 2026, so that the same ask brings the same bytes."""


@dataclass(frozen=True, slots=True)
class Said:
    """An answer with everything decided. input_tokens include the cached ones."""

    id: str
    model: str
    text: str
    calls: Sequence[ToolCall]
    pieces: int
    choices: int
    include_usage: bool
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    finish: str | None = None
    logprob: float | None = None

    def cut(self, text: str) -> list[str]:
        """A text in about as many pieces as were wanted."""
        size = max(1, -(-len(text) // max(1, self.pieces)))
        return [text[start : start + size] for start in range(0, len(text), size)]


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a stream, as bytes. share: which part of the output tokens is billed once it is sent."""

    data: bytes
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class Dialect:
    """A protocol. error: an error body for a status and a message; done: the bytes of the last event."""

    read: Callable[[Mapping[str, Any]], Asked]
    plain: Callable[[Said], dict[str, Any]]
    stream: Callable[[Said], Iterator[Event]]
    error: Callable[[int, str], dict[str, Any]]
    error_event: Callable[[str], bytes]


def _dumps(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _words(content: Any) -> str:
    """The text of a message's content, a string or a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(part.get("text") or "" for part in content if isinstance(part, dict))
    return ""


def _question(messages: Sequence[Mapping[str, Any]]) -> str:
    """The text of the last user turn that has any."""
    for message in reversed(messages):
        if message.get("role") == "user" and (text := _words(message.get("content"))):
            return text
    return ""


# OpenAI


def _read_openai(body: Mapping[str, Any]) -> Asked:
    messages = body["messages"]
    functions = [tool["function"] for tool in body.get("tools") or () if tool.get("type") == "function"]
    choice = body.get("tool_choice")
    named = choice["function"]["name"] if isinstance(choice, dict) else "*" if choice == "required" else None
    wanted = body.get("response_format") or {}
    return Asked(
        model=body["model"],
        question=_question(messages),
        input_tokens=sum(count_tokens(_words(message.get("content"))) + 4 for message in messages),
        stream=body.get("stream") is True,
        include_usage=(body.get("stream_options") or {}).get("include_usage") is True,
        choices=body.get("n") or 1,
        tools={} if choice == "none" else {tool["name"]: tool.get("parameters") or {} for tool in functions},
        must_call=named,
        answers_a_tool=messages[-1].get("role") == "tool",
        logprobs=body.get("logprobs") is True,
        schema=wanted["json_schema"].get("schema") if wanted.get("type") == "json_schema" else None,
    )


def _openai_calls(said: Said) -> list[dict[str, Any]]:
    return [
        {
            "id": f"call_{said.id[-8:]}{number}",
            "type": "function",
            "function": {"name": call.name, "arguments": _dumps(call.arguments).decode()},
        }
        for number, call in enumerate(said.calls)
    ]


def _logprobs(said: Said, text: str) -> dict[str, Any] | None:
    """Tokens of four characters each, as `count_tokens` counts them."""
    if said.logprob is None or said.calls:
        return None
    tokens = [text[start : start + 4] for start in range(0, len(text), 4)]
    return {
        "content": [
            {"token": token, "logprob": said.logprob, "bytes": list(token.encode()), "top_logprobs": []}
            for token in tokens
        ],
        "refusal": None,
    }


def _openai_usage(said: Said) -> dict[str, Any]:
    return {
        "prompt_tokens": said.input_tokens,
        "completion_tokens": said.output_tokens,
        "total_tokens": said.input_tokens + said.output_tokens,
        "prompt_tokens_details": {"cached_tokens": said.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": said.reasoning_tokens},
    }


def _plain_openai(said: Said) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": None if said.calls else said.text, "refusal": None}
    if said.calls:
        message["tool_calls"] = _openai_calls(said)
    finish = said.finish or ("tool_calls" if said.calls else "stop")
    return {
        "id": f"chatcmpl-{said.id}",
        "object": "chat.completion",
        "created": CREATED,
        "model": said.model,
        "choices": [
            {"index": index, "message": message, "logprobs": _logprobs(said, said.text), "finish_reason": finish}
            for index in range(said.choices)
        ],
        "usage": _openai_usage(said),
        "system_fingerprint": "fp_standin",
    }


def _stream_openai(said: Said) -> Iterator[Event]:
    head = {
        "id": f"chatcmpl-{said.id}",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": said.model,
        "system_fingerprint": "fp_standin",
    }

    def chunk(
        index: int, delta: Mapping[str, Any], finish: str | None = None, share: float = 0.0, says: str = ""
    ) -> Event:
        logprobs = _logprobs(said, says) if says else None
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        usage = {"usage": None} if said.include_usage else {}
        return Event(b"data: " + _dumps({**head, "choices": [choice], **usage}) + b"\n\n", share)

    for index in range(said.choices):
        yield chunk(index, {"role": "assistant", "content": None if said.calls else "", "refusal": None})
        pieces = [] if said.calls else said.cut(said.text)
        for piece in pieces:
            yield chunk(index, {"content": piece}, share=1 / len(pieces) / said.choices, says=piece)
        for number, call in enumerate(_openai_calls(said)):
            function = call["function"]
            opening = {**call, "index": number, "function": {"name": function["name"], "arguments": ""}}
            yield chunk(index, {"tool_calls": [opening]})
            fragments = said.cut(function["arguments"])
            for fragment in fragments:
                delta = {"tool_calls": [{"index": number, "function": {"arguments": fragment}}]}
                yield chunk(index, delta, share=1 / len(fragments) / len(said.calls) / said.choices)
        yield chunk(index, {}, said.finish or ("tool_calls" if said.calls else "stop"))
    if said.include_usage:
        yield Event(b"data: " + _dumps({**head, "choices": [], "usage": _openai_usage(said)}) + b"\n\n")
    yield Event(b"data: [DONE]\n\n")


def _openai_error(status: int, message: str) -> dict[str, Any]:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


# Anthropic


def _read_anthropic(body: Mapping[str, Any]) -> Asked:
    messages = body["messages"]
    tools = {tool["name"]: tool["input_schema"] for tool in body.get("tools") or () if "input_schema" in tool}
    choice = body.get("tool_choice") or {}
    must = {"tool": choice.get("name"), "any": "*"}.get(choice.get("type", ""))
    wanted = body.get("output_format") or (body.get("output_config") or {}).get("format") or {}
    last = messages[-1].get("content")
    texts = [body.get("system"), *(message.get("content") for message in messages)]
    return Asked(
        model=body["model"],
        question=_question(messages),
        input_tokens=sum(count_tokens(_words(text)) + 4 for text in texts if text),
        stream=body.get("stream") is True,
        include_usage=True,
        tools={} if choice.get("type") == "none" else tools,
        must_call=must,
        answers_a_tool=isinstance(last, list) and any(part.get("type") == "tool_result" for part in last),
        schema=wanted.get("schema") if wanted.get("type") == "json_schema" else None,
    )


def _anthropic_usage(said: Said, output_tokens: int) -> dict[str, Any]:
    return {
        "input_tokens": said.input_tokens - said.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": said.cached_tokens,
        "output_tokens": output_tokens,
    }


def _anthropic_blocks(said: Said) -> list[dict[str, Any]]:
    if not said.calls:
        return [{"type": "text", "text": said.text}]
    return [
        {"type": "tool_use", "id": f"toolu_{said.id[-8:]}{number}", "name": call.name, "input": dict(call.arguments)}
        for number, call in enumerate(said.calls)
    ]


def _anthropic_message(said: Said, content: list[dict[str, Any]], stop: str | None, output: int) -> dict[str, Any]:
    return {
        "id": f"msg_{said.id}",
        "type": "message",
        "role": "assistant",
        "model": said.model,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": _anthropic_usage(said, output),
    }


def _plain_anthropic(said: Said) -> dict[str, Any]:
    stop = "tool_use" if said.calls else "end_turn"
    return _anthropic_message(said, _anthropic_blocks(said), stop, said.output_tokens)


def _stream_anthropic(said: Said) -> Iterator[Event]:
    def event(kind: str, members: Mapping[str, Any], share: float = 0.0) -> Event:
        return Event(b"event: %s\ndata: %s\n\n" % (kind.encode(), _dumps({"type": kind, **members})), share)

    yield event("message_start", {"message": _anthropic_message(said, [], None, 1)})
    blocks = _anthropic_blocks(said)
    for index, block in enumerate(blocks):
        opening: dict[str, Any]
        if block["type"] == "text":
            opening, pieces = {"type": "text", "text": ""}, said.cut(block["text"])
            deltas = [{"type": "text_delta", "text": piece} for piece in pieces]
        else:
            opening, pieces = {**block, "input": {}}, said.cut(_dumps(block["input"]).decode())
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
        yield event("content_block_start", {"index": index, "content_block": opening})
        if index == 0:
            yield event("ping", {})
        for delta in deltas:
            yield event("content_block_delta", {"index": index, "delta": delta}, 1 / len(deltas) / len(blocks))
        yield event("content_block_stop", {"index": index})
    stop = {"stop_reason": "tool_use" if said.calls else "end_turn", "stop_sequence": None}
    yield event("message_delta", {"delta": stop, "usage": {"output_tokens": said.output_tokens}})
    yield event("message_stop", {})


_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def _anthropic_error(status: int, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": _ANTHROPIC_TYPES.get(status, "api_error"), "message": message}}


DIALECTS: Mapping[str, Dialect] = {
    "/v1/chat/completions": Dialect(
        _read_openai,
        _plain_openai,
        _stream_openai,
        _openai_error,
        lambda message: b"data: " + _dumps(_openai_error(500, message)) + b"\n\n",
    ),
    "/v1/messages": Dialect(
        _read_anthropic,
        _plain_anthropic,
        _stream_anthropic,
        _anthropic_error,
        lambda message: b"event: error\ndata: " + _dumps(_anthropic_error(529, message)) + b"\n\n",
    ),
}
