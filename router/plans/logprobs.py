"""Log probabilities that only the gateway asked for: taken out of an answer again, by cutting bytes.

What the upstream would have written without them stands in their place: `"logprobs": null`. All other bytes stay as
they came. Where it is not sure that only they would go, an event or a completion stays whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from router.body import Body
from router.upstream.leniency import read_json

_MEMBER = re.compile(r'"logprobs"\s*:\s*(?=\{)')
"""A key inside a string is escaped, so this is one; whose it is, reading the result tells."""

_EVENT = re.compile(rb".+?(?:\r\n\r\n|\n\n|\r\r|\Z)", re.DOTALL)

_scan_value: Callable[[str, int], tuple[Any, int]] = vars(json.JSONDecoder())["scan_once"]


def asks_for_them(body: Body) -> bool:
    """Whether the caller wants them, so that they are theirs to see."""
    return bool(body.values.get("logprobs"))


def without_them(body: bytes, *, stream: bool) -> bytes:
    """An answer without its log probabilities. Never raises."""
    if b'"logprobs"' not in body:
        return body
    if not stream:
        return _cut(body, body)
    return b"".join(
        _cut(event, event.removeprefix(b"data:")) if event.startswith(b"data:") else event
        for event in (match[0] for match in _EVENT.finditer(body))
    )


def _cut(piece: bytes, data: bytes) -> bytes:
    """The piece with every such value set to null. data: the JSON in it, at its end."""
    text, at = piece.decode("latin-1"), 0  # one character a byte, whatever the bytes are
    kept: list[str] = []
    for match in _MEMBER.finditer(text):
        if match.start() < at:
            continue
        try:
            _, end = _scan_value(text, match.end())
        except (StopIteration, ValueError, RecursionError):
            return piece
        kept += (text[at : match.end()], "null")
        at = end
    if not kept:
        return piece
    shorter = "".join((*kept, text[at:])).encode("latin-1")
    try:
        before, after = read_json(data), read_json(shorter[len(piece) - len(data) :])
    except ValueError:
        return piece
    return shorter if _without(before) == after else piece


def _without(answer: Any) -> Any:
    """A parsed answer whose choices have no log probabilities."""
    if not isinstance(answer, dict) or not isinstance(answer.get("choices"), list):
        return answer
    choices = [
        {**choice, "logprobs": None}
        if isinstance(choice, dict) and isinstance(choice.get("logprobs"), dict)
        else choice
        for choice in answer["choices"]
    ]
    return {**answer, "choices": choices}
