"""JSON in a form that can be compared: names sorted, numbers plain, short texts made alike."""

from __future__ import annotations

from typing import Any

import orjson

from router.plans.short_words import length_in_words, plain


class _TooLong(Exception):
    """A text in it is no short one."""


def is_json(text: str) -> bool:
    """Whether a text is one JSON value, strictly."""
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def canonical_json(text: str, most_words: int) -> str | None:
    """The comparable form of a JSON text; None where a string in it has more words."""
    try:
        return orjson.dumps(_alike(orjson.loads(text), most_words), option=orjson.OPT_SORT_KEYS).decode()
    except (_TooLong, orjson.JSONEncodeError, RecursionError):
        return None


def _alike(value: Any, most_words: int) -> Any:
    if isinstance(value, str):
        if length_in_words(value) > most_words:
            raise _TooLong
        return plain(value) or value.strip()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, dict):
        return {name: _alike(inner, most_words) for name, inner in value.items()}
    if isinstance(value, list):
        return [_alike(inner, most_words) for inner in value]
    return value
