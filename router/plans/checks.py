"""What an answer must pass before it goes out in place of a dearer one: one function a check, by its policy name.

Each says why the answer fails, or None. Reasons never hold words of the question or the answer, which may be private:
they are kept in the ledger. Whatever a check cannot make out counts as passed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from router.ask import user_text
from router.plans.code import code, ends_open
from router.plans.heard import message_of
from router.plans.inner import Drafted
from router.plans.quantities import amiss
from router.plans.refusals import refuses
from router.plans.shapes import schema

log = logging.getLogger(__name__)

Check = Callable[[Drafted, Mapping[str, Any]], str | None]
"""values: the members of the request that was answered."""


def first_failed(drafted: Drafted, values: Mapping[str, Any], names: Iterable[str]) -> str | None:
    """`name: reason` of the first check that fails, in the order of `CHECKS`; None where all hold. Never raises."""
    wanted = set(names)
    for name, check in CHECKS.items():
        if name not in wanted:
            continue
        try:
            reason = check(drafted, values)
        except Exception:  # a hole in a check must not cost an answer
            log.exception("the check `%s` failed on an answer, which counts as passed", name)
            continue
        if reason is not None:
            return f"{name}: {reason}"
    return None


def empty(drafted: Drafted, values: Mapping[str, Any]) -> str | None:
    """No text, no tool call, nothing said aloud."""
    message = message_of(drafted.completion)
    if drafted.text.strip() or drafted.tool_calls or message.get("refusal") or message.get("audio"):
        return None
    return "the answer says nothing"


def refusal(drafted: Drafted, values: Mapping[str, Any]) -> str | None:
    """The model says that it refuses, or its provider stopped it, or a short text begins as refusals do."""
    if message_of(drafted.completion).get("refusal"):
        return "the model refused"
    if drafted.finish_reason == "content_filter":
        return "the provider filtered the answer"
    if not drafted.tool_calls and refuses(drafted.text, _question(values)):
        return "the answer begins as refusals do"
    return None


def truncated(drafted: Drafted, values: Mapping[str, Any]) -> str | None:
    """The budget of tokens ran out, or the text ends within a code block."""
    if drafted.finish_reason in ("length", "max_tokens"):
        return "the answer ran out of tokens"
    return "the answer ends within a code block" if ends_open(drafted.text) else None


def units(drafted: Drafted, values: Mapping[str, Any]) -> str | None:
    """A number where one was asked for, in the unit that was asked for; no sum that is false."""
    return None if drafted.tool_calls else amiss(drafted.text, _question(values))


def worth_giving(drafted: Drafted, values: Mapping[str, Any]) -> bool:
    """Whether an answer that was not accepted is better than none."""
    return drafted.status == 200 and first_failed(drafted, values, ("empty", "refusal")) is None


def _question(values: Mapping[str, Any]) -> str:
    """The text of the last user turn."""
    for message in reversed(values.get("messages") or ()):
        if isinstance(message, dict) and message.get("role") == "user":
            return user_text(message)
    return ""


CHECKS: Mapping[str, Check] = {
    "empty": empty,
    "refusal": refusal,
    "truncated": truncated,
    "schema": schema,
    "code": code,
    "units": units,
}
