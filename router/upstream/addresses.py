"""Addresses in a request that somebody would have to fetch: passed on to providers that read them, refused for others.

litellm would fetch them itself for a provider that takes only bytes, so that any caller could make the gateway ask
any server. It keeps off private addresses; we keep off all. Which provider reads what was measured with litellm 1.106.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_READ_PICTURES = frozenset({"anthropic", "azure", "groq", "mistral", "openai", "openrouter", "xai"})
"""Providers that litellm hands the `https` address of a picture, as it is."""


def must_be_fetched(model: str, body: Mapping[str, Any]) -> str | None:
    """The first part of a message that litellm would fetch something for, such as `messages[0].content[1]`, or None.

    model: litellm's id, `provider/name`. body: a parsed chat request.
    """
    reads_pictures = model.partition("/")[0] in _READ_PICTURES
    for number, message in enumerate(body.get("messages") or ()):
        content = message.get("content") if isinstance(message, dict) else None
        for place, part in enumerate(content if isinstance(content, list) else ()):
            if _names_address(part) and not (reads_pictures and _is_secure_picture(part)):
                return f"messages[{number}].content[{place}]"
    return None


def _names_address(value: Any) -> bool:
    if isinstance(value, str):
        return value.lstrip()[:8].lower().startswith(("http://", "https://"))
    if isinstance(value, dict):
        is_text = value.get("type") == "text"
        return any(_names_address(inner) for name, inner in value.items() if not (is_text and name == "text"))
    return isinstance(value, list) and any(_names_address(inner) for inner in value)


def _is_secure_picture(part: Any) -> bool:
    picture = part.get("image_url") if part.get("type") == "image_url" else None
    address = picture.get("url") if isinstance(picture, dict) else picture
    rest = {name: value for name, value in part.items() if name != "image_url"}
    return isinstance(address, str) and address.startswith("https://") and not _names_address(rest)
