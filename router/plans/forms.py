"""The form in which a model's answer is compared with others'; None where it says nothing that could be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from router.plans.checks import first_failed
from router.plans.heard import message_of
from router.plans.inner import Drafted
from router.plans.short_answers import Short, short_answer
from router.plans.short_questions import Question
from router.plans.short_words import says_nothing

_SOUND = ("empty", "refusal", "truncated", "schema")
"""Checks that a vote must pass: two refusals are no agreement."""

_MOST_CALLS = 16


def form_of(drafted: Drafted, question: Question, values: Mapping[str, Any]) -> Short | None:
    """The short answer in words. values: the members of the request that was answered."""
    if drafted.status != 200 or drafted.tool_calls:
        return None
    form = short_answer(drafted.text, question)
    if form is None or says_nothing(drafted.text) or first_failed(drafted, values, _SOUND) is not None:
        return None
    return form


def is_long(drafted: Drafted, values: Mapping[str, Any]) -> bool:
    """Whether it is a sound answer that has no form only since it is long, or calls tools."""
    return (
        drafted.status == 200
        and not says_nothing(drafted.text)
        and first_failed(drafted, values, ("empty", "refusal", "truncated")) is None
    )


def calls_of(drafted: Drafted) -> Short | None:
    """The tool calls of an answer, whatever the order and spelling of their arguments; None where it has none."""
    message = message_of(drafted.completion)
    listed = message.get("tool_calls")
    calls = listed if isinstance(listed, list) else []
    if isinstance(message.get("function_call"), dict):
        calls = [{"function": message["function_call"]}]
    if not calls or len(calls) > _MOST_CALLS:
        return None
    told = []
    for call in calls:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict):
            return None
        arguments = function.get("arguments")
        try:
            read = orjson.loads(arguments) if isinstance(arguments, str) and arguments.strip() else arguments or {}
        except orjson.JSONDecodeError:
            read = arguments
        try:
            told.append(orjson.dumps([function.get("name"), read], option=orjson.OPT_SORT_KEYS).decode())
        except orjson.JSONEncodeError:
            return None
    return Short("calls", "\n".join(sorted(told)))
