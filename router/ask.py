"""Draws the ask out of a chat request: what the caller really wants, and what the request needs of its model.

The judge reads the reduced ask (last user turn, up to two before it, harness text stripped). Privacy and token
counts read everything that would leave. What counts as private is `router.privacy`'s to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from classifiers.contract import AskText
from router.domain import Ask

DEFAULT_OUTPUT_TOKENS = 1024
"""The output budget assumed where the caller states none."""

BYTES_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 3
TOKENS_PER_IMAGE = 800

_EARLIER_TURNS = 2
_HARNESS_BLOCK = re.compile(
    r"<(system-reminder|environment_details|environment_context|user_info|attached_files|ide_[a-z_]+)>.*?</\1>\s*",
    re.DOTALL,
)
_HOUSEKEEPING = re.compile(r"\s*### Task:", re.ASCII)
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_IMAGE_PARTS = ("image_url", "input_image", "image")
_BINARY = re.compile(r"data:[\w.+/-]*(?:;[\w.=-]+)*;base64,[A-Za-z0-9+/=_-]*", re.ASCII)
"""A data URL and nothing else: words behind a `data:` are words."""


class Scanner(Protocol):
    """Names the kinds of private text found (`router.privacy.PrivacyScanner`)."""

    def scan(self, texts: Iterable[str]) -> tuple[str, ...]: ...


def read_ask(values: Mapping[str, Any], scanner: Scanner) -> Ask:
    """The ask of a chat body that `router.api.chat` has checked (messages are objects with string roles)."""
    messages = values["messages"]
    texts = _texts_that_leave(values)
    chars = sum(map(len, texts))
    images = sum([_images(message["content"]) for message in messages if isinstance(message.get("content"), list)])
    turns = [text for message in messages if message.get("role") == "user" and (text := user_text(message))]
    tools = len(values.get("tools") or ()) + len(values.get("functions") or ())
    json_schema = (values.get("response_format") or {}).get("type") == "json_schema"
    input_tokens = estimate_tokens(texts) + TOKENS_PER_MESSAGE * len(messages) + TOKENS_PER_IMAGE * images
    last = turns[-1] if turns else ""
    budget = values.get("max_completion_tokens") or values.get("max_tokens")
    return Ask(
        text=AskText(last, tuple(turns[-1 - _EARLIER_TURNS : -1]), tools, json_schema, images, input_tokens),
        input_tokens=input_tokens,
        output_tokens=budget or DEFAULT_OUTPUT_TOKENS,
        chars=chars,
        turns=len(turns),
        tools=tools,
        json_schema=json_schema,
        images=images,
        housekeeping=_HOUSEKEEPING.match(last) is not None,
        private=scanner.scan(texts),
        output_assumed=not budget,
    )


def user_text(message: Mapping[str, Any]) -> str:
    """The text of one turn without what a harness put into it; empty when the harness wrote all of it."""
    content = message.get("content")
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text")
        content = "\n".join(part for part in parts if isinstance(part, str))
    if not isinstance(content, str):
        return ""
    if "<" in content:
        content = _HARNESS_BLOCK.sub("", content)
    return content.strip()


def estimate_tokens(texts: Iterable[str]) -> int:
    """Tokens of some texts, estimated: no tokenizer can be had for every model, and none is quick enough here.

    Four UTF-8 bytes a token holds within about a third for English, Cyrillic and CJK alike, since scripts that
    take more bytes a character also take more tokens. Rounded up.
    """
    total = sum([len(text) if text.isascii() else len(text.encode("utf-8", "replace")) for text in texts])
    return -(-total // BYTES_PER_TOKEN)


def _texts_that_leave(values: Mapping[str, Any]) -> list[str]:
    """Every string of the body but binary data, names of members included where the caller chose them."""
    texts: list[str] = []
    todo: list[Any] = [value for name, value in values.items() if name != "model"]
    while todo:
        item = todo.pop()
        if isinstance(item, str):
            if not (item.startswith("data:") and _BINARY.fullmatch(item)):
                texts.append(item)
                if "\\u" in item:
                    texts.append(_unescaped(item))
        elif isinstance(item, dict):
            if _WELL_KNOWN_MEMBERS.issuperset(item):
                todo += item.values()
                continue
            for name, value in item.items():  # next to each other: a telling word tells of what stands near
                if name not in _WELL_KNOWN_MEMBERS:
                    todo.append(name)
                todo.append(value)
        elif isinstance(item, list):
            todo += item
    return texts


_WELL_KNOWN_MEMBERS = frozenset(
    "role content type text name function arguments parameters properties description required strict schema "
    "json_schema tool_calls tool_call_id id image_url url detail items enum additionalProperties include_usage".split()
)


def _unescaped(text: str) -> str:
    """Tool arguments are JSON in a string: what their escapes hide must be seen too."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)


def _images(content: list[Any]) -> int:
    return sum(1 for part in content if isinstance(part, dict) and part.get("type") in _IMAGE_PARTS)


def describe_ask(ask: Ask, task: str, language: str) -> dict[str, Any]:
    """The `ask` object of `/v1/route`, `policy explain` and the ledger."""
    return {
        "input_tokens": ask.input_tokens,
        "turns": ask.turns,
        "task": task,
        "language": language,
        "tools": ask.tools,
        "json_schema": ask.json_schema,
        "images": ask.images,
        "housekeeping": ask.housekeeping,
        "private": list(ask.private),
    }
