"""Sets one number of one rule in a policy file, and touches nothing else: comments, order and style stay as they are.

The new text is read and loaded before it takes the old one's place; a file that would not load is not written.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from router.errors import PolicyError
from router.policy.document import Path as At
from router.policy.document import composed, read_document
from router.policy.load import decode, parse_policy

MARK: Final = "# tuned "
_NUMBER: Final = re.compile(r"[-+.0-9eE]+")


def set_number(
    file: Path, route: str, rule: str, inside: str | None, key: str, value: float, remark: str, env: Mapping[str, str]
) -> None:
    """Writes `key: value` into a rule, or into the mapping `inside` it, with a comment above. Raises PolicyError.

    remark: one line, which takes the place of an older one that was written here.
    """
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise PolicyError(f"cannot be read: {error.strerror}", file=str(file)) from None
    text = decode(raw, str(file))
    before = read_document(text, str(file), env)
    number = next(
        (at for at, entry in enumerate(before.values["routes"][route]["rules"]) if entry.get("name") == rule), None
    )
    if number is None:
        raise before.error(f"route {route} has no rule {rule}", ("routes", route, "rules"))
    at: At = ("routes", route, "rules", number, *(() if inside is None else (inside,)))
    if (*at, key) in before.filled:
        raise before.error(f"`{key}` comes out of the environment: write {value:g} there", (*at, key))
    node = _node_at(composed(text, str(file)), at)
    edited = _edited(text, node, key, value)
    edited = _remarked(edited, before.places[("routes", route, "rules", number)][0] - 1, remark)
    wanted = _with(before.values, (*at, key), value)
    try:
        same = read_document(edited, str(file), env).values == wanted
    except PolicyError:
        same = False
    if not same:
        raise before.error(f"`{key}: {value:g}` cannot be put here without changing more: write it yourself", at)
    parse_policy(edited, file=str(file), env=env)
    bom = b"\xef\xbb\xbf" if raw.startswith(b"\xef\xbb\xbf") else b""
    _replace(file, bom + edited.encode("utf-8"))


def _node_at(root: Node | None, at: At) -> MappingNode:
    node: Any = root
    for step in at:
        if isinstance(node, SequenceNode):
            assert isinstance(step, int)
            node = node.value[step]
        else:
            node = next(value for name, value in node.value if name.value == step)
    assert isinstance(node, MappingNode)
    return node


def _edited(text: str, node: MappingNode, key: str, value: float) -> str:
    """The text with the value in it: in the place of the old one, at the end of `{...}`, or on a line of its own."""
    for name, old in node.value:
        if name.value == key:
            start, end = old.start_mark.index, old.end_mark.index
            return text[:start] + _NUMBER.sub(f"{value:g}", text[start:end].strip(), count=1) + text[end:]
    if node.flow_style:
        end = node.end_mark.index - 1
        kept = text[:end].rstrip()
        comma = "" if kept.endswith((",", "{")) else ","
        return f"{kept}{comma} {key}: {value:g}{text[len(kept) : end]}{text[end:]}"
    name, first = node.value[0]
    if isinstance(first, MappingNode | SequenceNode) and not first.flow_style:
        return text  # no line after the first key is surely outside of its block; the caller sees that nothing changed
    indent, line_end = " " * name.start_mark.column, text.find("\n", first.end_mark.index)
    newline = "\r\n" if "\r\n" in text else "\n"
    if line_end < 0:
        return f"{text}{newline}{indent}{key}: {value:g}{newline}"
    return f"{text[: line_end + 1]}{indent}{key}: {value:g}{newline}{text[line_end + 1 :]}"


def _remarked(text: str, line: int, remark: str) -> str:
    """The remark on a line above, in the place of an older one."""
    lines = text.splitlines(keepends=True)
    indent = lines[line][: len(lines[line]) - len(lines[line].lstrip())]
    newline = "\r\n" if lines[line].endswith("\r\n") else "\n"
    if line and lines[line - 1].strip().startswith(MARK):
        del lines[line - 1]
        line -= 1
    lines.insert(line, f"{indent}{MARK}{remark}{newline}")
    return "".join(lines)


def _with(values: Any, at: At, value: float) -> Any:
    """The values with one of them set."""
    if not at:
        return value
    step, *rest = at
    if isinstance(values, list):
        return [_with(entry, tuple(rest), value) if place == step else entry for place, entry in enumerate(values)]
    return {**values, step: _with(values.get(step), tuple(rest), value)}


def _replace(file: Path, content: bytes) -> None:
    """One rename, so that a gateway that reloads never sees half a file. A link stays a link."""
    target = file.resolve()
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as written:
            written.write(content)
            written.flush()
            os.fsync(written.fileno())
        Path(name).chmod(target.stat().st_mode & 0o7777)
        Path(name).replace(target)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise PolicyError(f"cannot be written: {error.strerror}", file=str(file)) from None
