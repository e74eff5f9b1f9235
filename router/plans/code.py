"""Code blocks in an answer: whether those marked as Python or JSON parse, and whether one was left open."""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from msgspec import Struct

from router.plans.inner import Drafted

_MOST_CHARS = 32_000
"""So much code of an answer is parsed: the parser holds the event loop, 20 ms for that much, 80 ms for the worst."""

_MOST_BLOCKS = 1000

_FENCE = re.compile(r"^[ \t]{0,12}(`{3,64}|~{3,64})([^\n`]{0,200})$", re.MULTILINE)
_NOT_PLAIN_PYTHON = re.compile(r"^[ \t]{0,40}(?:>>>|\.\.\. |[%!$]|In \[)", re.MULTILINE)
_PLACEHOLDER = re.compile(r"\.\.\.|…|//|/\*")
_BRACED = frozenset("c cpp c++ java csharp cs c# go kotlin swift php".split())
_QUOTED = re.compile(r'//[^\n]*+|/\*.*?(?:\*/|\Z)|"(?:[^"\\\n]|\\.)*+"?|\'(?:[^\'\\\n]|\\.)*+\'?|`[^`]*+`?', re.DOTALL)
"""Strings and comments; what nothing closes goes to the end of its line, so that no character is looked at twice."""


class Block(Struct, frozen=True):
    """A fenced block. language: its info string's first word, lower-case. open: nothing closed it."""

    language: str
    code: str
    open: bool = False


def code(drafted: Drafted, values: Mapping[str, Any]) -> str | None:
    """Why a code block of the answer cannot be what it says it is; None where none is amiss. Never raises."""
    left = _MOST_CHARS
    for block in blocks(drafted.text):
        if len(block.code) <= left and (wrong := _wrong(block)) is not None:
            return wrong
        left -= len(block.code)
        if left <= 0:
            break
    return None


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of a Markdown text (CommonMark 4.5), in one pass; no more than the first `_MOST_BLOCKS`."""
    fence, language, start = "", "", 0
    for number, match in enumerate(_FENCE.finditer(text)):
        if number == 2 * _MOST_BLOCKS:
            return
        mark, info = match[1], match[2].strip()
        if not fence:
            fence, start = mark, match.end() + 1
            language = info.split()[0].strip("{}.,:").lower() if info else ""
        elif mark[0] == fence[0] and len(mark) >= len(fence) and not info:
            yield Block(language, text[start : match.start()])
            fence = ""
    if fence:
        yield Block(language, text[start:], open=True)


def ends_open(text: str) -> bool:
    """Whether the text stops within a code block."""
    return any(block.open for block in blocks(text))


def _wrong(block: Block) -> str | None:
    if block.language in ("python", "py", "python3"):
        return None if _is_python(block.code) else "a block of Python does not parse"
    if block.language == "json":
        return None if _is_json(block.code) else "a block of JSON does not parse"
    if block.language in _BRACED:
        return f"a block of {block.language} leaves braces open" if _leaves_braces_open(block.code) else None
    return None


def _is_python(text: str) -> bool:
    """Whether it parses; sessions and notebooks, which are no plain Python, are let pass."""
    if _NOT_PLAIN_PYTHON.search(text):
        return True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(textwrap.dedent(text))
    except (SyntaxError, ValueError):
        return False
    except (RecursionError, MemoryError):  # too deep to say
        return True
    return True


def _is_json(text: str) -> bool:
    """Whether it is JSON, or lines of it; what says `...` or has comments is an illustration."""
    if _PLACEHOLDER.search(text):
        return True
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        lines = [line for line in text.splitlines() if line.strip()]
        try:
            return len(lines) > 1 and all(isinstance(orjson.loads(line), dict | list) for line in lines)
        except orjson.JSONDecodeError:
            return False
    return True


def _leaves_braces_open(text: str) -> bool:
    """More `{` than `}` outside strings and comments. Only that is sure: a closing one too many may end a fragment."""
    if "..." in text or "…" in text:
        return False
    bare = _QUOTED.sub("", text)
    return bare.count("{") > bare.count("}")
