"""Conditions of rules, in CEL (https://cel.dev): compiled once at load, tried, then asked for each request.

The only file that knows the CEL library. It finds unknown roots only, and lets `ask.tokne` or `has(ask.tokne)` pass, so
member names are checked here, with a did-you-mean. What follows from a condition is `router.policy.decide`'s.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import cel

from router.policy.plain import Plain, plainly
from router.policy.suggest import did_you_mean

ASK_NAMES: Final = (
    "input_tokens",
    "output_tokens",
    "chars",
    "turns",
    "task",
    "language",
    "tools",
    "json_schema",
    "images",
    "housekeeping",
    "private",
)
ROOTS: Final = (
    "ask",
    "complexity",
    "gain",
    "support",
    "quality",
    "cost",
    "tenant",
    "key",
    "headers",
    "metadata",
    "budget",
    "hour",
    "weekday",
)
_MEMBERS: Final[Mapping[str, tuple[str, ...]]] = {"key": ("tags",), "budget": ("used",)}
_PER_MODEL: Final = ("quality", "cost")
_BY_CALLER: Final = ("headers", "metadata")
"""What these hold is up to the caller, so a condition on them may err on a canned ask and yet be right."""

_CALLER_ERRORS: Final = (KeyError, TypeError, IndexError, ValueError, ArithmeticError)


class ConditionError(ValueError):
    """A condition that cannot be used. offset: where in the expression, in characters from 0."""

    def __init__(self, message: str, offset: int = 0):
        super().__init__(message)
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Names:
    """The names that some conditions use: roots, and members of `ask`."""

    roots: frozenset[str] = frozenset()
    ask: frozenset[str] = frozenset()


@dataclass(slots=True)
class Condition:
    """One compiled condition. errors: how often it erred or was not true or false, since it was loaded.

    plain: the same in Python, where it is one of the plain shapes.
    """

    source: str
    names: Names
    _program: Any = field(repr=False)
    errors: int = 0
    plain: Plain | None = field(default=None, repr=False)

    def holds(self, context: Context) -> tuple[bool, str]:
        """Whether it holds, and why in an operator's words. One that errs does not hold, and is counted."""
        try:
            result = self._program.execute(context.cel)
        except Exception as error:  # whatever the library raises: a condition must never fail a request
            self.errors += 1
            return False, f"{self.source}: error, counts as not matched ({_plain(error)})"
        if result is True:
            return True, self.source
        if result is False:
            return False, f"false: {self.source}"
        self.errors += 1
        return False, f"{self.source}: gives {type(result).__name__}, not true or false; counts as not matched"


class Context:
    """The values one request puts before its conditions; made once a request, with only the names in use."""

    __slots__ = ("cel",)

    def __init__(self, values: Mapping[str, Any]):
        self.cel = cel.Context()
        for name, value in values.items():
            try:
                self.cel.add_variable(name, value)
            except Exception:  # noqa: S112 - what CEL cannot hold is not there: conditions on it err, and are counted
                continue


def compile_condition(source: str, models: Collection[str], unpriced: Collection[str] = ()) -> Condition:
    """Compiles a condition and checks every name in it. Raises ConditionError.

    models: names that `quality` and `cost` know. unpriced: those of them whose `cost` is unknown.
    """
    try:
        program = cel.compile(source)
    except ValueError as error:
        raise ConditionError(f"this is no CEL expression: {_plain(error)}", _offset_of(error)) from None
    tokens = [token for token in _tokens(source) if token.kind != "space"]
    bound = _bound_names(tokens)
    for token in bound:
        if token.text in ROOTS:
            raise ConditionError(f"`{token.text}` is a name of ours; call the variable something else", token.start)
    local = {token.text for token in bound}
    for name in program.variables():
        if name not in ROOTS and name not in local:
            at = next((token.start for token in tokens if token.text == name), 0)
            raise ConditionError(f"unknown name `{name}`{did_you_mean(name, ROOTS)}", at)
    members = _check_members(tokens, models, unpriced)
    roots = frozenset(name for name in program.variables() if name in ROOTS)
    return Condition(source, Names(roots, members), program, plain=plainly(source))


def try_condition(condition: Condition, models: Mapping[str, bool]) -> None:
    """Runs a condition on canned values. Raises ConditionError where it errs or is not true or false.

    models: whether each has a known price. Conditions on headers or metadata may err: those are the caller's to fill.
    """
    for values in _canned(models):
        try:
            result = condition._program.execute(Context(values).cel)
        except Exception as error:
            if condition.names.roots.intersection(_BY_CALLER) and isinstance(error, _CALLER_ERRORS):
                continue
            raise ConditionError(f"the condition errs: {_plain(error)}") from None
        if not isinstance(result, bool) and not condition.names.roots.intersection(_BY_CALLER):
            raise ConditionError(f"a condition must be true or false; this one gives {type(result).__name__}")


def together(conditions: Iterable[Condition]) -> Names:
    """All names that some conditions use."""
    roots: set[str] = set()
    ask: set[str] = set()
    for condition in conditions:
        roots |= condition.names.roots
        ask |= condition.names.ask
    return Names(frozenset(roots), frozenset(ask))


# --- names in an expression -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int


_TOKEN = re.compile(
    r"(?P<space>\s+|//[^\n]*)"
    r"""|(?P<string>[rRbB]{0,2}(?:\"\"\"(?:\\.|.)*?\"\"\"|'''(?:\\.|.)*?'''|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'))"""
    r"|(?P<number>\d[\w.]*)"
    r"|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<sign>.)",
    re.DOTALL,
)
_BINDING_MACROS = frozenset({"all", "exists", "exists_one", "map", "filter"})


def _tokens(source: str) -> list[_Token]:
    return [_Token(match.lastgroup or "", match[0], match.start()) for match in _TOKEN.finditer(source)]


def _bound_names(tokens: list[_Token]) -> list[_Token]:
    """Variables of comprehensions: the name after `.exists(` and its like, before the comma."""
    return [
        tokens[i + 3]
        for i in range(len(tokens) - 4)
        if tokens[i].text == "."
        and tokens[i + 1].text in _BINDING_MACROS
        and tokens[i + 2].text == "("
        and tokens[i + 3].kind == "name"
        and tokens[i + 4].text == ","
    ]


def _check_members(tokens: list[_Token], models: Collection[str], unpriced: Collection[str]) -> frozenset[str]:
    """Checks what follows each of our roots; returns the members of `ask` in use (all, where it is used whole)."""
    used: set[str] = set()
    for i, token in enumerate(tokens):
        if token.kind != "name" or token.text not in ROOTS or (i and tokens[i - 1].text == "."):
            continue
        member = _member_after(tokens, i)
        if token.text == "ask":
            used.update(ASK_NAMES if member is None else [_known(member, "ask", ASK_NAMES)])
        elif token.text in _MEMBERS and member is not None:
            _known(member, token.text, _MEMBERS[token.text])
        elif token.text in _PER_MODEL and member is not None:
            name = _known(member, token.text, models)
            if token.text == "cost" and name in unpriced:
                raise ConditionError(
                    f"the price of `{name}` is unknown, so is its cost: give it a `price`", member.start
                )
        elif token.text == "headers" and member is not None and member.text != member.text.lower():
            raise ConditionError(f"header names are in lower case here: {member.text.lower()}", member.start)
    return frozenset(used)


def _member_after(tokens: list[_Token], i: int) -> _Token | None:
    """The member read from the name at `i`, as `.member` or `['member']`; None where it is used whole or by index."""
    if i + 2 < len(tokens) and tokens[i + 1].text == "." and tokens[i + 2].kind == "name":
        called = i + 3 < len(tokens) and tokens[i + 3].text == "("
        return None if called else tokens[i + 2]
    if i + 3 < len(tokens) and tokens[i + 1].text == "[" and tokens[i + 2].kind == "string":
        inner = tokens[i + 2]
        return (
            _Token("string", inner.text.strip("rRbB").strip("\"'"), inner.start) if tokens[i + 3].text == "]" else None
        )
    return None


def _known(member: _Token, root: str, names: Collection[str]) -> str:
    if member.text not in names:
        raise ConditionError(f"`{root}` has no `{member.text}`{did_you_mean(member.text, names)}", member.start)
    return member.text


# --- canned values and messages -------------------------------------------------------------------------------------


def _canned(models: Mapping[str, bool]) -> Iterable[dict[str, Any]]:
    """An easy, a hard, a private and an odd ask, so that most branches of a condition are walked once."""
    for complexity, gain, tokens, private, hour in (
        (0.1, 0.05, 12, [], 3),
        (0.9, 0.6, 30_000, [], 12),
        (0.5, 0.2, 400, ["email", "phone"], 18),
        (0.5, -0.1, 0, [], 23),
    ):
        yield {
            "ask": {
                "input_tokens": tokens,
                "output_tokens": 1024,
                "chars": tokens * 4,
                "turns": 1,
                "task": "code" if tokens else "unknown",
                "language": "en",
                "tools": int(tokens > 1000),
                "json_schema": tokens > 1000,
                "images": int(tokens > 1000),
                "housekeeping": not tokens,
                "private": private,
            },
            "complexity": complexity,
            "gain": gain,
            "support": 0.5,
            "quality": dict.fromkeys(models, 1 - complexity),
            "cost": {name: 0.001 if priced else None for name, priced in models.items()},
            "tenant": "default",
            "key": {"tags": ["batch"] if hour > 12 else []},
            "headers": {},
            "metadata": {},
            "budget": {"used": hour / 23},
            "hour": hour,
            "weekday": 1 + hour % 7,
        }


def _plain(error: Exception) -> str:
    """The first line of the library's message, in words; bare keys are what its KeyError says."""
    if isinstance(error, KeyError):
        return f"there is no {error}"
    text = str(error).split("\n", 1)[0]
    return re.sub(r"^Failed to parse expression .*?: ERROR: <input>:\d+:\d+: ", "", text)[:300]


def _offset_of(error: Exception) -> int:
    where = re.search(r"<input>:1:(\d+):", str(error))
    return int(where[1]) - 1 if where else 0
