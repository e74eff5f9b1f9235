"""What pydantic finds wrong with a file, as an error at its place, with what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from router.errors import PolicyError
from router.policy.document import Document, Path
from router.policy.suggest import did_you_mean

Shape = TypeVar("Shape", bound=BaseModel)


def checked(document: Document, values: Any, shape: type[Shape], at: Path = ()) -> Shape:
    """What stands at a place of a file, as its shape. Raises PolicyError: of several faults, the first in the file."""
    try:
        return shape.model_validate(values)
    except ValidationError as error:
        faults = [_fault(document, fault, shape, at) for fault in error.errors(include_input=False, include_url=False)]
    faults.sort(key=lambda fault: (" is missing" in fault.message, fault.line or 0, fault.column or 0))
    raise faults[0]


def _fault(document: Document, fault: Mapping[str, Any], shape: type[BaseModel], at: Path) -> PolicyError:
    """One of pydantic's errors as ours: `loc` becomes a place, an unknown key gets a suggestion."""
    kind = fault["type"]
    inner = tuple(part for part in fault["loc"] if part != "[key]")
    path = (*at, *inner)
    if kind == "extra_forbidden":
        key = str(path[-1])
        hint = did_you_mean(key, _keys_at(inner[:-1], shape))
        return document.error(f"unknown key `{key}`{hint}", path, at_key=True)
    if kind == "missing":
        where = f" in `{_dotted(path[:-1])}`" if path[:-1] else ""
        return document.error(f"`{path[-1]}` is missing{where}", path[:-1])
    if "[key]" in fault["loc"]:
        return document.error("a name is made of letters A to Z, digits and `. _ : / @ + -`", path, at_key=True)
    message = str(fault["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    if path and path[-1] in ("base_url", "url") and kind == "string_pattern_mismatch":
        message = "should be an http:// or https:// URL without user and password"
    if kind in ("model_type", "dict_type"):
        message = "should have keys of its own, as in `{key: value}`"
    return document.error(f"`{_dotted(path)}` {message}" if path else message, path)


def _keys_at(path: tuple[Any, ...], shape: type[BaseModel]) -> Iterable[str]:
    """The keys that may stand at a path of the file."""
    entry = shape
    is_name = False
    for step in path:
        if is_name or step not in entry.model_fields:
            is_name = False
            continue
        annotation = entry.model_fields[step].annotation
        is_name = get_origin(annotation) is dict
        entry = next(_entries_in(annotation), entry)
    return [field.alias or name for name, field in entry.model_fields.items()]


def _entries_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _entries_in(part)


def _dotted(path: Iterable[str | int]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
