"""Puts a message among those of a body: every byte that was there stays as it was."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

from router.body import Body

_SPACE = re.compile(r"[ \t\n\r]*")
_value_at = json.JSONDecoder().raw_decode


def with_message(body: Body, place: int, message: dict[str, str]) -> Body:
    """The body with `message` as `messages[place]`; one past the last is its end."""
    text, values = body.text, body.values
    messages: list[Any] = values["messages"]
    written = orjson.dumps(message).decode()
    if place < len(messages):
        at, piece = _begins_at(text, body.spans["messages"][0], place), f"{written},"
    else:
        at = body.spans["messages"][1] - 1
        at -= len(text[:at]) - len(text[:at].rstrip(" \t\n\r"))
        piece = f",{written}"
    return _spliced(body, at, piece, [*messages[:place], message, *messages[place:]])


def last_user_turn(body: Body) -> int | None:
    """Where the last message of a user stands."""
    messages = body.values["messages"]
    return next((place for place in reversed(range(len(messages))) if messages[place].get("role") == "user"), None)


def _spliced(body: Body, at: int, piece: str, messages: list[Any]) -> Body:
    start, end = body.spans["messages"]
    moved = {
        name: (first + len(piece), last + len(piece)) if first > start else (first, last)
        for name, (first, last) in body.spans.items()
    }
    moved["messages"] = (start, end + len(piece))
    text = body.text[:at] + piece + body.text[at:]
    return Body(text, {**body.values, "messages": messages}, moved, body.closing + len(piece))


def _begins_at(text: str, start: int, place: int) -> int:
    """Where the element of this number begins, in the array that begins at `start`."""
    at = start + 1
    for _ in range(place):
        at = _after_space(text, at)
        _value, at = _value_at(text, at)
        at = _after_space(text, at) + 1
    return _after_space(text, at)


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at
