"""Conditions so plain that Python itself answers them: one comparison, or one flag.

Most rules are of this kind, and putting values before CEL costs more than all the rest of a decision. Whatever is not
one of the shapes below is left to `router.policy.conditions`, which has compiled and tried it in any case; both ways
say the same, and a property test holds them to it.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any, Final

from classifiers.contract import Assessment
from router.domain import Ask

Plain = Callable[[Ask, Assessment], bool]

_SIGNS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_OF_ASSESSMENT: Final = re.compile(r"(complexity|gain|support)\s*(<=|>=|<|>)\s*(\d+\.\d+)", re.ASCII)
_OF_ASK: Final = re.compile(
    r"ask\.(input_tokens|output_tokens|chars|turns|tools|images)\s*(<=|>=|<|>)\s*(\d{1,15})", re.ASCII
)
_FLAG: Final = re.compile(r"(!?)\s*ask\.(housekeeping|json_schema)", re.ASCII)
_PRIVATE: Final = re.compile(r"size\(\s*ask\.private\s*\)\s*>\s*0", re.ASCII)


def plainly(source: str) -> Plain | None:
    """The condition as a Python function; None where it is not of a plain shape. Only like is compared with like."""
    text = source.strip()
    if match := _OF_ASSESSMENT.fullmatch(text):
        name, holds, bound = match[1], _SIGNS[match[2]], float(match[3])
        return lambda _ask, assessment: holds(getattr(assessment, name), bound)
    if match := _OF_ASK.fullmatch(text):
        name, holds, most = match[1], _SIGNS[match[2]], int(match[3])
        return lambda ask, _assessment: holds(getattr(ask, name), most)
    if match := _FLAG.fullmatch(text):
        name, wanted = match[2], not match[1]
        return lambda ask, _assessment: getattr(ask, name) is wanted
    if _PRIVATE.fullmatch(text):
        return lambda ask, _assessment: bool(ask.private)
    return None
