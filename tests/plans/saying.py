"""Whole answers, as a plan holds them while it decides."""

from __future__ import annotations

from typing import Any

from router.domain import ModelSpec, Usage
from router.plans.heard import said
from router.plans.inner import Drafted

MODEL = ModelSpec("m", "small", "m")


def answer(
    text: str | None = None, *, finish: str = "stop", calls: list[tuple[str, str]] | None = None, **message: Any
) -> Drafted:
    """What a model said. calls: of tools, by name, with their arguments as JSON text."""
    message = {"role": "assistant", "content": text, **message}
    if calls:
        message["tool_calls"] = [
            {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for number, (name, arguments) in enumerate(calls)
        ]
    completion = {"choices": [{"index": 0, "message": message, "finish_reason": finish}]}
    words, has_calls = said(completion)
    return Drafted(
        MODEL, None, 200, {}, b"", False, completion, words, has_calls, finish, Usage(1, output=1), 0.0, 0.0, 0.0
    )


def asking(question: str, **more: Any) -> dict[str, Any]:
    """The members of a request."""
    return {"messages": [{"role": "user", "content": question}], **more}
