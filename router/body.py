"""Reads a JSON body once and strictly, and remembers where each top-level value stands, so that bytes can be spliced.

The standard library's scanner is used because it tells positions and hands over pairs (duplicate keys); what it is
lax about (NaN, lone surrogates, depth) is refused here. RFC 8259; I-JSON (RFC 7493) for duplicates and surrogates.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from msgspec import Struct

from router.errors import BadRequest

MAX_BODY_BYTES = 10_000_000
MAX_DEPTH = 64

_SPACE = re.compile(r"[ \t\n\r]*")
_PLAIN_NAME = re.compile(r'[ \t\n\r]*"([A-Za-z0-9_-]*)"[ \t\n\r]*:[ \t\n\r]*')
_END_OF_MEMBER = re.compile(r"[ \t\n\r]*([,}])")
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class Body(Struct, frozen=True):
    """A parsed request body.

    text: the body as text. values: its top-level members. spans: for each member, where its value stands in
    `text` (start, end). closing: position of the last `}`.
    """

    text: str
    values: dict[str, Any]
    spans: Mapping[str, tuple[int, int]]
    closing: int

    def splice(self, replacements: Mapping[str, str]) -> bytes:
        """The body with some top-level values replaced (or members added at the end); all else stays as it was.

        replacements: member name -> the new value as JSON text.
        """
        text, at = self.text, 0
        pieces: list[str] = []
        present = sorted((self.spans[name], value) for name, value in replacements.items() if name in self.spans)
        for (start, end), value in present:
            pieces += (text[at:start], value)
            at = end
        added = [f'"{name}":{value}' for name, value in replacements.items() if name not in self.spans]
        if added:
            pieces += (text[at : self.closing].rstrip(" \t\r\n"), "," if self.values else "", ",".join(added))
            at = self.closing
        pieces.append(text[at:])
        return "".join(pieces).encode()

    def without(self, name: str, instead: Any = None) -> bytes:
        """The body with the member `name` taken out whole; where `instead` is not None, with that as its value."""
        if instead is not None:
            return self.splice({name: json.dumps(instead, ensure_ascii=False)})
        start, end = self.spans[name]
        before = max((stop for _, stop in self.spans.values() if stop <= start), default=None)
        if before is not None:  # from behind the value before it, comma and name with it
            return (self.text[:before] + self.text[end:]).encode()
        opening = self.text.index("{") + 1
        comma = _END_OF_MEMBER.match(self.text, end)
        after = comma.end() if comma is not None and comma[1] == "," else end
        return (self.text[:opening] + self.text[after:]).encode()


def parse_body(raw: bytes | bytearray) -> Body:
    """Parses a request body. Raises BadRequest with `param` naming the member where one is to blame."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest(f"The body is not UTF-8 (byte {error.start}).", code="invalid_json") from None
    try:
        return _scan(text)
    except RecursionError:
        raise _too_deep() from None


def _scan(text: str) -> Body:
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        raise BadRequest("The body must be a JSON object.", code="invalid_json")
    values: dict[str, Any] = {}
    spans: dict[str, tuple[int, int]] = {}
    at += 1
    if text[(closing := _skip(text, at)) : closing + 1] != "}":
        ends = ","
        while ends == ",":
            name, start = _member_name(text, at)
            try:
                value, at = _scan_value(text, start)
            except StopIteration as stop:
                raise _malformed(text, stop.value if isinstance(stop.value, int) else start, name) from None
            except json.JSONDecodeError as error:
                raise _malformed(text, error.pos, name) from None
            except _Refused as refused:
                raise BadRequest(str(refused), param=name, code="invalid_json") from None
            except ValueError:
                raise BadRequest(
                    f"`{name}` holds a number that is too long.", param=name, code="invalid_json"
                ) from None
            if name in values:
                raise BadRequest(f"The key `{name}` stands twice in the body.", param=name, code="duplicate_key")
            values[name], spans[name] = value, (start, at)
            match = _END_OF_MEMBER.match(text, at)
            if match is None:
                raise _malformed(text, _skip(text, at), None)
            closing, at = match.start(1), match.end()
            ends = text[closing]
    if closing + 1 != len(text) and _skip(text, closing + 1) != len(text):
        raise _malformed(text, closing + 1, None)
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth(values) > MAX_DEPTH:
        raise _too_deep()
    if "\\u" in text and _SURROGATE_ESCAPE.search(text):
        for name, value in values.items():
            if _LONE_SURROGATE.search(name) or _has_lone_surrogate(value):
                raise BadRequest("A string holds half of a surrogate pair.", param=_clean(name), code="invalid_json")
    return Body(text, values, spans, closing)


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _member_name(text: str, at: int) -> tuple[str, int]:
    """The member name that begins at `at`, or after white space, and where its value begins."""
    if plain := _PLAIN_NAME.match(text, at):
        return plain[1], plain.end()
    at = _skip(text, at)
    if text[at : at + 1] != '"':
        raise _malformed(text, at, None)
    try:
        name, at = _scan_string(text, at + 1, True)
    except json.JSONDecodeError as error:
        raise _malformed(text, error.pos, None) from None
    at = _skip(text, at)
    if text[at : at + 1] != ":":
        raise _malformed(text, at, None)
    return name, _skip(text, at + 1)


class _Refused(Exception):
    """Valid for the scanner, not for us: a duplicate key below the top, NaN, Infinity."""


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _Refused(f"The key `{_clean(twice)}` stands twice in one object.")
    return members


def _no_constants(name: str) -> NoReturn:
    raise _Refused(f"{name} is not JSON.")


# The two C scanners under json.loads, reached directly because they tell where a value ends.
_scan_string: Callable[[str, int, bool], tuple[str, int]] = vars(json.decoder)["scanstring"]
_scan_value: Callable[[str, int], tuple[Any, int]] = vars(
    json.JSONDecoder(object_pairs_hook=_no_duplicates, parse_constant=_no_constants)
)["scan_once"]


def _depth(value: Any) -> int:
    """How deep lists and objects nest, without recursion."""
    deepest, todo = 0, [(value, 1)]
    while todo:
        item, level = todo.pop()
        deepest = max(deepest, level)
        inner = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        todo += ((child, level + 1) for child in inner if isinstance(child, dict | list))
    return deepest


def _has_lone_surrogate(value: Any) -> bool:
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, str):
            if _LONE_SURROGATE.search(item):
                return True
        elif isinstance(item, dict):
            todo += item.keys()
            todo += item.values()
        elif isinstance(item, list):
            todo += item
    return False


def _clean(name: str) -> str:
    return name.encode("utf-8", "replace").decode()


def _malformed(text: str, at: int, param: str | None) -> BadRequest:
    line = text.count("\n", 0, at) + 1
    column = at - text.rfind("\n", 0, at)
    return BadRequest(
        f"The body is not valid JSON (line {line}, column {column}).",
        param=param and _clean(param),
        code="invalid_json",
    )


def _too_deep() -> BadRequest:
    return BadRequest(f"The body nests deeper than {MAX_DEPTH} levels.", code="invalid_json")
