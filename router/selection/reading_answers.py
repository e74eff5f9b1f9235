"""Reads which options a model named, however it wrapped them: JSON alone, in fences, in prose, or one bare name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

_THINKING: Final = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL | re.IGNORECASE)
_OPENING: Final = re.compile(r"[\[{]")
_MEMBERS: Final = ("options", "option", "names", "name", "selection", "choice")
_AROUND: Final = " \t\r\n.,;:!*`\"'()"
MOST_CHARS: Final = 20_000
_MOST_TRIES: Final = 50


def names_in(text: str, options: Sequence[str]) -> tuple[str, ...] | None:
    """The options named in an answer, in its order, each once; names that are none of them are left out.

    Empty where it named none. None where it is no answer to the question.
    """
    known = {name.casefold(): name for name in options}
    text = _THINKING.sub("", text[:MOST_CHARS]).strip()
    bare = text.strip(_AROUND).casefold()
    if bare in known:
        return (known[bare],)
    for value in _values_in(text):
        if (said := _names_of(value)) is not None:
            found = (known.get(name.strip().casefold()) for name in said)
            return tuple(dict.fromkeys(name for name in found if name is not None))
    return () if bare in ("none", "null") else None


def _values_in(text: str) -> Iterator[Any]:
    """Every JSON object or list in a text, as far as they can be told."""
    decoder, at = json.JSONDecoder(), 0
    for _ in range(_MOST_TRIES):
        if (opening := _OPENING.search(text, at)) is None:
            return
        try:
            value, at = decoder.raw_decode(text, opening.start())
        except (ValueError, RecursionError):
            at = opening.start() + 1
            continue
        yield value


def _names_of(value: Any) -> list[str] | None:
    """The names in a JSON value; None where it holds no list or member of them."""
    if isinstance(value, dict):
        inner = next((value[member] for member in _MEMBERS if member in value), value)
        if inner is value:
            return None
        return [] if inner is None else _names_of(inner) if isinstance(inner, list | dict) else [str(inner)]
    if isinstance(value, list):
        names: list[str] = []
        for item in value:
            if isinstance(item, str):
                names.append(item)
            elif (said := _names_of(item)) is not None:
                names += said
            else:
                return None
        return names
    return None
