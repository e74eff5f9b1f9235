"""Reads the passages out of a retriever's answer, in whichever of the common shapes it comes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from router.upstream.leniency import read_json

_LISTS = ("passages", "results", "documents", "data")
_TEXTS = ("text", "content", "passage", "page_content", "document")
_SOURCES = ("source", "url", "id")

_MOST_CHARACTERS = 100_000
_MOST_NAME_CHARACTERS = 300


class Passage(Struct, frozen=True):
    """One piece of text that was found. title, source: as the retriever calls it and says where it is from."""

    text: str
    title: str | None = None
    source: str | None = None


def read_passages(body: bytes, most: int) -> tuple[Passage, ...]:
    """Up to so many passages, in the retriever's own order. Raises ValueError, saying why, for any other answer.

    A list, or an object with one under `passages`, `results`, `documents` or `data`, of texts or of objects with the
    text as `text`, `content`, `passage`, `page_content` or `document`.
    """
    try:
        answer = read_json(body)
    except ValueError:
        raise ValueError("it is not JSON") from None
    listed = answer
    if isinstance(answer, dict):
        listed = next((answer[name] for name in _LISTS if isinstance(answer.get(name), list)), None)
    if not isinstance(listed, list):
        raise ValueError("it holds no list of passages")
    found = [passage for item in listed if (passage := _passage(item)) is not None]
    if listed and not found:
        raise ValueError("nothing in its list has a text")
    return tuple(found[:most])


def _passage(item: Any) -> Passage | None:
    if isinstance(item, str):
        return Passage(_clean(item)) if item.strip() else None
    if not isinstance(item, Mapping):
        return None
    beside = item.get("metadata")
    described = {**beside, **item} if isinstance(beside, Mapping) else item
    for name in _TEXTS:
        told = item.get(name)
        if isinstance(told, Mapping):  # {"document": {"text": ..., "title": ...}}
            described = {**told, **described}
            told = next((told[inner] for inner in _TEXTS if isinstance(told.get(inner), str)), None)
        if isinstance(told, str) and told.strip():
            return Passage(_clean(told), _name(described, ("title",)), _name(described, _SOURCES))
    return None


def _name(described: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    for name in names:
        value = described.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and (told := " ".join(str(value).split())):
            return _clean(told[:_MOST_NAME_CHARACTERS])
    return None


def _clean(text: str) -> str:
    """What can be written as JSON again: without halves of surrogate pairs, and without NUL."""
    text = text[:_MOST_CHARACTERS].strip().replace("\0", "")
    return text.encode("utf-8", "replace").decode("utf-8")
