"""Reads YAML 1.2 into plain values and remembers where each stood; fills in `${VAR}`. Knows nothing of policies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from router.errors import PolicyError

Path = tuple[str | int, ...]

_MOST_VALUES = 20_000
"""Values in one file, aliases counted out: a bound on files made to grow."""

_PLAIN_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in "str int float bool null timestamp".split())
_VARIABLE = re.compile(r"\$(\$)?\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_HALF_VARIABLE = re.compile(r"\$\{[^}]*\}?")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


@dataclass(slots=True)
class Document:
    """Plain values and where they stood. keys, places: (line, column) from 1 of each key and each value.

    inner: of one-line words and strings, columns from their place to their first character.
    filled: paths whose value came, in part or whole, out of the environment: never show those.
    """

    file: str
    values: dict[str, Any] = field(default_factory=dict)
    keys: dict[Path, tuple[int, int]] = field(default_factory=dict)
    places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    filled: set[Path] = field(default_factory=set)
    inner: dict[Path, int] = field(default_factory=dict)

    def error(self, message: str, path: Path = (), *, at_key: bool = False, offset: int = 0) -> PolicyError:
        """The error to raise for what stands at `path` (or, where nothing stands there, at what holds it)."""
        known = self.keys if at_key else self.places
        column_offset = self.inner[path] + offset if offset and path in self.inner else 0
        while path and path not in known:
            path, known = path[:-1], self.places
        line, column = known.get(path, (1, 1))
        return PolicyError(message, file=self.file, line=line, column=column + column_offset)


def read_document(text: str, file: str, env: Mapping[str, str]) -> Document:
    """Reads one YAML document whose top level is a mapping with string keys. Raises PolicyError with the place."""
    document, root = Document(file), composed(text, file)
    if not isinstance(root, MappingNode):
        found = "nothing" if root is None else "something else"
        raise document.error(f"a policy is a mapping with `version`, `models`, `default` and `routes`; found {found}")
    document.values = _Reader(document, env).read(root, (), ())
    return document


def read_list(text: str, file: str, env: Mapping[str, str], name: str) -> Document:
    """Reads one YAML document whose top level is a list; it stands in `values` under a name. Raises PolicyError."""
    document, root = Document(file), composed(text, file)
    if not isinstance(root, SequenceNode):
        found = "nothing" if root is None else "something else"
        raise document.error(f"this is a list of {name}, each beginning with `-`; found {found}")
    document.values = {name: _Reader(document, env).read(root, (name,), ())}
    return document


def composed(text: str, file: str) -> Node | None:
    """The nodes of one YAML document, with their marks; None for an empty one. Raises PolicyError with the place."""
    yaml = YAML(typ="safe", pure=True)
    try:
        root: Node | None = yaml.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = " ".join(part for part in (error.context, error.problem) if part) or "this is no YAML"
        line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
        raise PolicyError(f"YAML: {message}", file=file, line=line, column=column) from None
    except (YAMLError, RecursionError, ValueError) as error:
        problem = "nested too deep" if isinstance(error, RecursionError) else str(error).split("\n", 1)[0]
        raise PolicyError(f"YAML: {problem}", file=file, line=1, column=1) from None
    return root


class _Reader:
    """Turns nodes into values, once, counting as it goes."""

    def __init__(self, document: Document, env: Mapping[str, str]):
        self._document, self._env, self._left = document, env, _MOST_VALUES

    def read(self, node: Node, path: Path, above: tuple[int, ...]) -> Any:
        document = self._document
        document.places[path] = (node.start_mark.line + 1, node.start_mark.column + 1)
        self._left -= 1
        if self._left < 0:
            raise document.error(f"more than {_MOST_VALUES} values", path)
        if id(node) in above or len(above) > 40:
            raise document.error("an alias that holds itself, or nesting too deep", path)
        above = (*above, id(node))
        if isinstance(node, MappingNode):
            return self._mapping(node, path, above)
        if isinstance(node, SequenceNode):
            return [self.read(item, (*path, number), above) for number, item in enumerate(node.value)]
        assert isinstance(node, ScalarNode)
        return self._scalar(node, path)

    def _mapping(self, node: MappingNode, path: Path, above: tuple[int, ...]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            place = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if not isinstance(key_node, ScalarNode):
                raise PolicyError(
                    "a key must be a plain word", file=self._document.file, line=place[0], column=place[1]
                )
            key = str(key_node.value)
            if key in values:
                before = self._document.keys[(*path, key)]
                raise PolicyError(
                    f"`{key}` is there twice (first on line {before[0]})",
                    file=self._document.file,
                    line=place[0],
                    column=place[1],
                )
            self._document.keys[(*path, key)] = place
            values[key] = self.read(value_node, (*path, key), above)
        return values

    def _scalar(self, node: ScalarNode, path: Path) -> Any:
        text, plain = str(node.value), node.style is None
        if node.start_mark.line == node.end_mark.line and "${" not in text:
            self._document.inner[path] = 0 if plain else 1
        if "${" in text:
            text = self._filled(text, path)
        if not plain:
            return text
        tag = str(node.tag)
        if tag not in _PLAIN_TAGS:
            raise self._document.error(f"tags like {tag} are not used in policies", path)
        return _plain_value(text)

    def _filled(self, text: str, path: Path) -> str:
        """The text with every `${NAME}` and `${NAME:-default}` filled in; `$${` stands for `${` itself."""

        def value_of(match: re.Match[str]) -> str:
            escaped, name, default = match.groups()
            if escaped:
                return match[0][1:]
            self._document.filled.add(path)
            value = self._env.get(name) or default
            if value is None:
                lack = "is empty" if name in self._env else "is not set"
                raise self._document.error(
                    f"the environment variable {name} {lack}; set it, or write `${{{name}:-default}}`", path
                )
            return value

        for match in _HALF_VARIABLE.finditer(text):
            if not text[: match.start()].endswith("$") and not _VARIABLE.match(text, match.start()):
                raise self._document.error("`${` begins a variable: write `${NAME}` or `${NAME:-default}`", path)
        return _VARIABLE.sub(value_of, text)


def _plain_value(text: str) -> Any:
    """YAML 1.2's core schema: what a word without quotes means."""
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE"):
        return True
    if text in ("false", "False", "FALSE"):
        return False
    if len(text) <= 40 and _INT.fullmatch(text):
        return int(text, 0 if text.startswith(("0o", "0x")) else 10)
    if len(text) <= 40 and _FLOAT.fullmatch(text):
        return float(text)
    return text
