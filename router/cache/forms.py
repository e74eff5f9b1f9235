"""Turns a finished stream into the plain answer it stands for, and a plain answer into a stream.

So one entry serves both kinds of request. What is not understood whole is not turned, and so never stored. The shapes
are those of OpenAI's chat completions API; Server-Sent Events are read as the WHATWG HTML standard says (9.2.6).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

_LINE_END = re.compile(rb"\r\n|\n|\r")
_PADDING = frozenset({"obfuscation", "p"})
"""Random filler that upstreams (OpenAI, Mistral) add to chunks to hide their length; a plain answer has none."""
_STATED_ONCE = ("id", "created", "model")
_FRAMING = frozenset({*_STATED_ONCE, *_PADDING, "object", "choices", "usage"})
_ACTIONS = ("tool_calls", "function_call", "audio")
_MOST_CHUNKS = 64
_LEAST_CHARACTERS = 24


class _NotUnderstood(Exception):
    """This stream holds something that we could not give back faithfully."""


def storable(body: bytes | Mapping[str, Any], status: int = 200) -> bool:
    """Whether a plain answer may be stored: one finished answer in words, and nothing besides.

    Never: errors, `n > 1`, tool calls, truncations (any finish but `stop`), empty content. Refusals neither: they
    depend on the sampling as much as on the question, and a stored one would last. Nor answers with parts that a
    stream could not carry (citations, audio).
    """
    if status != 200:
        return False
    try:
        answer = orjson.loads(body) if isinstance(body, bytes) else body
    except orjson.JSONDecodeError:
        return False
    match answer:
        case {"object": "chat.completion", "choices": [{"finish_reason": "stop", "message": message} as choice]}:
            pass
        case _:
            return False
    if answer.get("error") or choice.get("index", 0) != 0 or not isinstance(message, dict):
        return False
    words = message.get("content")
    if not isinstance(words, str) or not words.strip() or message.get("refusal"):
        return False
    if message.get("role", "assistant") != "assistant":
        return False
    return all(isinstance(value, str) or not value for value in message.values())


def assemble(events: bytes) -> bytes | None:
    """The plain `chat.completion` that a call without `stream` would have given, as JSON bytes.

    events: all raw bytes of a finished stream. None where anything is not fully understood: tool calls, several
    choices, an error event, no finish, a finish other than `stop`, no `[DONE]`, fields that contradict each other.
    """
    try:
        answer = _assembled(events)
    except (_NotUnderstood, orjson.JSONDecodeError, UnicodeDecodeError):
        return None
    return orjson.dumps(answer)


def replay(body: bytes, include_usage: bool) -> bytes:
    """The SSE stream of a stored plain answer: role, content in pieces, finish, usage if asked for, `[DONE]`.

    body: one that `storable` lets pass. Pieces end between characters, at most 64 of them. With `include_usage`
    the other chunks say `"usage": null`, as OpenAI's do.
    """
    answer = orjson.loads(body)
    choice, usage = answer["choices"][0], answer.get("usage")
    head = {name: value for name, value in answer.items() if name not in ("choices", "usage")}
    head["object"] = "chat.completion.chunk"
    opening = orjson.dumps(head)[:-1]
    closing = b',"usage":null}\n\n' if include_usage else b"}\n\n"

    def chunk(choices: list[dict[str, Any]]) -> bytes:
        return b"data: " + opening + b',"choices":' + orjson.dumps(choices) + closing

    written = [
        chunk([{"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": None}])
        for delta, logprobs in _deltas(choice["message"], choice.get("logprobs"))
    ]
    last = {name: value for name, value in choice.items() if name not in ("index", "message", "logprobs")}
    written.append(chunk([{"index": 0, "delta": {}, "logprobs": None, **last}]))
    if include_usage and usage is not None:
        written.append(b"data: " + opening + b',"choices":[],"usage":' + orjson.dumps(usage) + b"}\n\n")
    written.append(b"data: [DONE]\n\n")
    return b"".join(written)


def _deltas(message: dict[str, Any], logprobs: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    """Deltas with their logprobs. With logprobs the content goes out whole: tokens and characters need not align."""
    yield {"role": "assistant", "content": "", "refusal": None}, None
    for name, value in message.items():
        if name not in ("role", "content") and isinstance(value, str):
            yield {name: value}, None
    words = message["content"]
    if logprobs is not None:
        yield {"content": words}, logprobs
        return
    size = max(_LEAST_CHARACTERS, -(-len(words) // _MOST_CHUNKS))
    for start in range(0, len(words), size):
        yield {"content": words[start : start + size]}, None


def _data(events: bytes) -> Iterator[bytes]:
    """The data of each event; comments are passed over, named events are errors of some kind and not understood."""
    pieces: list[bytes] = []
    events = events.removeprefix(b"\xef\xbb\xbf")
    for line in _LINE_END.split(events) if b"\r" in events else events.split(b"\n"):
        if not line:
            if pieces:
                yield pieces[0] if len(pieces) == 1 else b"\n".join(pieces)
                pieces = []
            continue
        name, _, value = line.partition(b":")
        if name == b"data":
            pieces.append(value.removeprefix(b" "))
        elif name == b"event" and value.strip() not in (b"", b"message"):
            raise _NotUnderstood
    if pieces:
        raise _NotUnderstood  # broken off inside an event


def _chunks(events: bytes) -> Iterator[dict[str, Any]]:
    done = False
    for data in _data(events):
        if done:
            raise _NotUnderstood
        if data == b"[DONE]":
            done = True
            continue
        chunk = orjson.loads(data)
        match chunk:
            case {"error": error} if error:
                raise _NotUnderstood
            case {"object": "chat.completion.chunk"} | {
                "object": "",
                "choices": [],
            }:  # the latter opens Azure's streams
                yield chunk
            case _:
                raise _NotUnderstood
    if not done:
        raise _NotUnderstood


def _assembled(events: bytes) -> dict[str, Any]:
    top: dict[str, Any] = {}
    beside: dict[str, Any] = {}
    spoken = _Spoken()
    usage: Any = None
    for chunk in _chunks(events):
        if len(top) < len(_STATED_ONCE):
            top |= {name: chunk[name] for name in _STATED_ONCE if chunk.get(name) and name not in top}
        usage = chunk.get("usage") or usage
        for name in [name for name in chunk if name not in _FRAMING]:
            _agree(beside, name, chunk[name])
        match chunk.get("choices"):
            case []:
                pass
            case [{"index": 0, "delta": dict()} as choice]:
                spoken.hear(choice)
            case _:
                raise _NotUnderstood
    if any(name not in top for name in _STATED_ONCE):
        raise _NotUnderstood
    answer: dict[str, Any] = {"id": top["id"], "object": "chat.completion", "created": top["created"]}
    answer |= {"model": top["model"], "choices": [spoken.choice()]}
    if usage is not None:
        answer["usage"] = usage
    return answer | beside


class _Spoken:
    """The one choice of a stream, put together delta by delta."""

    def __init__(self) -> None:
        self.words: dict[str, list[str]] = {}
        self.logprobs: dict[str, list[Any] | None] | None = None
        self.beside: dict[str, Any] = {}

    def hear(self, choice: dict[str, Any]) -> None:
        over = self.beside.get("finish_reason") is not None
        for name, value in choice["delta"].items():
            if name == "role":
                if value not in ("assistant", None, ""):
                    raise _NotUnderstood
            elif name in _ACTIONS or not (isinstance(value, str) or value is None):
                if value:
                    raise _NotUnderstood
            else:
                pieces = self.words.setdefault(name, [])
                if value:
                    if over:
                        raise _NotUnderstood
                    pieces.append(value)
        for name, value in choice.items():
            if name == "logprobs":
                self._hear_logprobs(value)
            elif name not in ("index", "delta"):
                _agree(self.beside, name, value)

    def _hear_logprobs(self, logprobs: Any) -> None:
        if logprobs is None:
            return
        if not isinstance(logprobs, dict):
            raise _NotUnderstood
        if self.logprobs is None:
            self.logprobs = {}
        for name, tokens in logprobs.items():
            heard = self.logprobs.setdefault(name, None)
            if isinstance(tokens, list) and heard is None:
                self.logprobs[name] = tokens
            elif isinstance(tokens, list) and heard is not None:
                heard.extend(tokens)
            elif tokens is not None:
                raise _NotUnderstood

    def choice(self) -> dict[str, Any]:
        if self.beside.get("finish_reason") != "stop":
            raise _NotUnderstood
        said = {name: "".join(pieces) for name, pieces in self.words.items()}
        content, refusal = said.pop("content", ""), said.pop("refusal", "")
        message = {"role": "assistant", "content": content, "refusal": refusal or None}
        message |= {name: text for name, text in said.items() if text}
        return {"index": 0, "message": message, "logprobs": self.logprobs, **self.beside}


def _agree(kept: dict[str, Any], name: str, value: Any) -> None:
    """Keeps a field that chunks repeat: null gives way, objects grow together, a contradiction is not understood."""
    before = kept.get(name)
    if value is None or before is None:
        kept[name] = before if value is None else value
    elif isinstance(before, dict) and isinstance(value, dict):
        grown = dict(before)
        for key, inner in value.items():
            _agree(grown, key, inner)
        kept[name] = grown
    elif before != value or type(before) is not type(value):
        raise _NotUnderstood
