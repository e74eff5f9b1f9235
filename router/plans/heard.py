"""Puts a streamed answer together so that it can be looked at: the plain completion that its events amount to.

More lenient than `router.cache.forms.assemble`, whose completions are given out: these are only read, so tool calls,
several choices and endings of any kind are taken as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from router.upstream.leniency import read_json

_OWN_FORM = ("object", "choices")


def completion_of(events: bytes) -> dict[str, Any] | None:
    """The `chat.completion` of these SSE bytes; None where an event is no JSON object. Never raises."""
    top: dict[str, Any] = {"object": "chat.completion"}
    choices: dict[int, _Choice] = {}
    for data in _data(events):
        if data.strip() == b"[DONE]":
            continue
        try:
            chunk = read_json(data)
        except ValueError:
            return None
        if not isinstance(chunk, dict):
            return None
        top |= {name: value for name, value in chunk.items() if name not in _OWN_FORM and value is not None}
        listed = chunk.get("choices")
        for choice in listed if isinstance(listed, list) else ():
            if isinstance(choice, dict):
                index = choice.get("index")
                choices.setdefault(index if isinstance(index, int) else 0, _Choice()).hear(choice)
    return {**top, "choices": [choices[index].whole(index) for index in sorted(choices)]}


def said(completion: dict[str, Any] | None) -> tuple[str, bool]:
    """The text of the first choice, and whether it calls tools."""
    message = message_of(completion)
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else "", bool(message.get("tool_calls") or message.get("function_call"))


def message_of(completion: dict[str, Any] | None) -> dict[str, Any]:
    """The first choice's message; an empty one where there is none."""
    match completion:
        case {"choices": [{"message": dict() as message}, *_]}:
            return message
    return {}


def logprobs_of(completion: dict[str, Any] | None) -> list[float]:
    """The log probabilities of the first choice's tokens; none where the upstream gave none."""
    match completion:
        case {"choices": [{"logprobs": {"content": [*tokens]}}, *_]}:
            values = [token.get("logprob") for token in tokens if isinstance(token, dict)]
            return [float(value) for value in values if isinstance(value, int | float)]
    return []


class _Choice:
    """One choice, put together delta by delta."""

    def __init__(self) -> None:
        self.pieces: dict[str, list[str]] = {}
        self.calls: dict[int, dict[str, Any]] = {}
        self.tokens: list[Any] = []
        self.beside: dict[str, Any] = {}
        self.finish: Any = None

    def hear(self, choice: dict[str, Any]) -> None:
        self.finish = choice.get("finish_reason") or self.finish
        if isinstance(logprobs := choice.get("logprobs"), dict) and isinstance(logprobs.get("content"), list):
            self.tokens += logprobs["content"]
        delta = choice.get("delta")
        for name, value in delta.items() if isinstance(delta, dict) else ():
            if name == "tool_calls" and isinstance(value, list):
                for place, call in enumerate(value):
                    if isinstance(call, dict):
                        index = call.get("index")
                        _add_call(self.calls.setdefault(index if isinstance(index, int) else place, {}), call)
            elif name == "function_call" and isinstance(value, dict):
                _add_function(self.beside.setdefault(name, {}), value)
            elif name != "role" and isinstance(value, str):
                self.pieces.setdefault(name, []).append(value)
            elif name != "role" and value is not None:
                self.beside[name] = value

    def whole(self, index: int) -> dict[str, Any]:
        words = {name: "".join(pieces) for name, pieces in self.pieces.items()}
        message: dict[str, Any] = {"role": "assistant", "content": None, **words, **self.beside}
        if self.calls:
            message["tool_calls"] = [self.calls[place] for place in sorted(self.calls)]
        logprobs = {"content": self.tokens} if self.tokens else None
        return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": self.finish}


def _add_call(call: dict[str, Any], piece: dict[str, Any]) -> None:
    for name, value in piece.items():
        if name == "function" and isinstance(value, dict):
            _add_function(call.setdefault("function", {}), value)
        elif name != "index" and value is not None:
            call[name] = value


def _add_function(function: dict[str, Any], piece: dict[str, Any]) -> None:
    if isinstance(name := piece.get("name"), str) and name:
        function["name"] = name
    if isinstance(arguments := piece.get("arguments"), str):
        function["arguments"] = function.get("arguments", "") + arguments


def _data(events: bytes) -> Iterator[bytes]:
    """The data of each event (WHATWG HTML 9.2.6); comments and other fields are passed over."""
    held: list[bytes] = []
    for line in events.removeprefix(b"\xef\xbb\xbf").splitlines():
        if line.startswith(b"data:"):
            held.append(line[5:].removeprefix(b" "))
        elif not line and held:
            yield b"\n".join(held)
            held.clear()
    if held:
        yield b"\n".join(held)
