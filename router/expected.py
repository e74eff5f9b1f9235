"""What a right answer looks like, where the caller says so: members of the request's `metadata`, as OpenAI allows them.

`signalbox.expect` is the answer itself; `signalbox.expect.contains`, `.regex`, `.number` and `.choice` say less. They
are ours to read: nothing of them goes upstream. How an answer is held against them is `router.audits.expecting`'s.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from router.body import Body, parse_body
from router.errors import BadRequest

PREFIX: Final = "signalbox.expect"
FORMS: Final = ("contains", "regex", "number", "choice")
MOST_CHARS: Final = 512
"""As OpenAI bounds the values of metadata."""

REGEX_SECONDS: Final = 0.1
MOST_UNROLLED: Final = 20_000
"""Characters of a pattern with its counted repeats written out, at most: `regex` does so in memory while it compiles,
and of `((a{100}){100}){100}` it would be a million."""
_NUMBER: Final = re.compile(r"\s*([+-]?[\d.eE+-]{1,40}?)\s*(?:(?:±|\+/-|\+-)\s*([\d.eE+-]{1,40}))?\s*")
_COUNT: Final = re.compile(r"\{(\d+)", re.ASCII)
_VERBOSE: Final = re.compile(r"\(\?[a-zA-Z0-9-]*x")
_LETTERS: Final = re.compile(r"[A-J](?:,[A-J])*")


class Expected(Struct, frozen=True):
    """All that is not None must hold. tolerance: how far from `number` is still right. choice: `B`, or `A,C`."""

    exact: str | None = None
    contains: str | None = None
    regex: str | None = None
    number: float | None = None
    tolerance: float = 0.0
    choice: str | None = None


def read_expected(body: Body) -> tuple[Body, Expected | None]:
    """The body without what is expected, every other byte as it was, and what is. Raises BadRequest."""
    metadata = body.values.get("metadata")
    if not metadata or not any(name.startswith(PREFIX) for name in metadata):
        return body, None
    ours = {name: value for name, value in metadata.items() if name.startswith(PREFIX)}
    expected = _read(ours)
    if len(ours) == len(metadata):
        return parse_body(body.without("metadata")), expected
    start, end = body.spans["metadata"]
    rest = parse_body(body.text[start:end].encode())
    for name in ours:
        rest = parse_body(rest.without(name))
    return parse_body(body.splice({"metadata": rest.text})), expected


def _read(ours: Mapping[str, Any]) -> Expected:
    found: dict[str, Any] = {}
    for name, value in ours.items():
        form = "exact" if name == PREFIX else name.removeprefix(PREFIX + ".")
        if form != "exact" and form not in FORMS:
            raise _wrong(f"`{name}` is unknown; known are `{PREFIX}` and, behind it, {', '.join(FORMS)}.")
        if not isinstance(value, str) or not value.strip() or len(value) > MOST_CHARS:
            raise _wrong(f"`{name}` must be a text of 1 to {MOST_CHARS} characters.")
        found |= _READERS[form](name, value)
    return Expected(**found)


def _number(name: str, value: str) -> dict[str, Any]:
    match = _NUMBER.fullmatch(value)
    try:
        number, tolerance = (float(part or 0) for part in match.groups()) if match else (math.nan, math.nan)
    except ValueError:
        number = tolerance = math.nan
    if not (math.isfinite(number) and math.isfinite(tolerance) and tolerance >= 0):
        raise _wrong(f"`{name}` must be a number such as 42, or 3.14 +- 0.01.")
    return {"number": number, "tolerance": tolerance}


def _choice(name: str, value: str) -> dict[str, Any]:
    letters = value.replace(" ", "").upper()
    if not _LETTERS.fullmatch(letters):
        raise _wrong(f"`{name}` must be a letter from A to J, or several such as A,C.")
    return {"choice": ",".join(sorted(set(letters.split(","))))}


def _regex(name: str, value: str) -> dict[str, Any]:
    try:
        import regex
    except ImportError:
        raise _wrong(f"`{name}` needs the Python package `regex`, which is not installed here.") from None
    if _VERBOSE.search(value):
        raise _wrong(f"`{name}` may not be a verbose pattern, with the flag `x`.")
    if _unrolled(value) > MOST_UNROLLED:
        raise _wrong(f"`{name}` repeats too much: written out it would be too long.")
    try:
        regex.compile(value)
    except (regex.error, OverflowError, RecursionError, ValueError) as error:
        raise _wrong(f"`{name}` is no regular expression: {error}.") from None
    return {"regex": value}


def _unrolled(pattern: str) -> int:
    """At least as long as the pattern is with its counts written out: as if the highest were within each other, as many
    as there are groups, and once more. Verbose patterns can hide counts from it."""
    counts = sorted((max(1, int(count)) for count in _COUNT.findall(pattern)), reverse=True)
    return len(pattern) * math.prod(counts[: 1 + pattern.count("(")])


def matches(pattern: str, text: str) -> bool | None:
    """Whether the pattern is found in a text; None where that takes longer than `REGEX_SECONDS`."""
    import regex

    try:
        return regex.search(pattern, text, timeout=REGEX_SECONDS, concurrent=True) is not None
    except (TimeoutError, MemoryError, RecursionError):
        return None


_READERS: Final = {
    "exact": lambda _name, value: {"exact": value.strip()},
    "contains": lambda _name, value: {"contains": value},
    "regex": _regex,
    "number": _number,
    "choice": _choice,
}


def _wrong(message: str) -> BadRequest:
    return BadRequest(message, param="metadata")
