"""Whether an answer is what its caller said a right one looks like. What cannot be made out is None, never a guess."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import structs

from router.expected import Expected, matches
from router.plans.short_answers import short_answer
from router.plans.short_numbers import numbers_in
from router.plans.short_questions import Question, read_question

MOST_CHARS: Final = 100_000
"""Longer answers are held against nothing."""

_LETTERS: Final = dict.fromkeys("ABCDEFGHIJ", "")
_ROUNDING: Final = 1e-9
"""How far floats may lie apart that stand for one number, of their size."""


def as_expected(text: str, expected: Expected, values: Mapping[str, Any]) -> tuple[bool | None, str]:
    """Whether all that is expected holds, and which forms were looked at. values: the request's members.

    One form that fails is enough; where none fails and one cannot be made out, nothing is known.
    """
    told = [name for name in _CHECKS if getattr(expected, name) is not None]
    if len(text) > MOST_CHARS:
        return None, ", ".join(told)
    found = [_CHECKS[name](text, expected, values) for name in told]
    if any(one is False for one in found):
        return False, ", ".join(told)
    return (None if None in found else True), ", ".join(told)


def _exact(text: str, expected: Expected, _values: Mapping[str, Any]) -> bool | None:
    return text.strip() == expected.exact


def _contains(text: str, expected: Expected, _values: Mapping[str, Any]) -> bool | None:
    return (expected.contains or "").casefold() in text.casefold()


def _regex(text: str, expected: Expected, _values: Mapping[str, Any]) -> bool | None:
    return matches(expected.regex or "", text)


def _number(text: str, expected: Expected, _values: Mapping[str, Any]) -> bool | None:
    """Of the number that the answer comes down to; an answer without any number is wrong."""
    short = short_answer(text, Question(number=True))
    if short is None or short.number is None:
        return None if numbers_in(text, 1) else False
    wanted = expected.number or 0.0
    return abs(float(short.number.value) - wanted) <= expected.tolerance + _ROUNDING * max(1.0, abs(wanted))


def _choice(text: str, expected: Expected, values: Mapping[str, Any]) -> bool | None:
    """Of the letter that the answer settles on, among the options that the question lists, or all letters."""
    question = read_question(values)
    short = short_answer(text, structs.replace(question, options=question.options or _LETTERS, json=False))
    return None if short is None or short.kind != "choice" else short.value == expected.choice


_CHECKS: Final[Mapping[str, Callable[[str, Expected, Mapping[str, Any]], bool | None]]] = {
    "exact": _exact,
    "contains": _contains,
    "regex": _regex,
    "number": _number,
    "choice": _choice,
}
