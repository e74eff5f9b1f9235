"""Whether an answer has the shape that was asked for: JSON, a JSON schema, calls of tools that exist.

The schema is the caller's and the answer a model's, so neither is trusted with our time: keywords that run patterns of
the caller's are passed over, nothing is fetched, and after `MOST_STEPS` keywords an answer is taken as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson
from jsonschema import Draft202012Validator, ValidationError, validators
from referencing import Registry

from router.plans.heard import message_of
from router.plans.inner import Drafted

MOST_STEPS = 10_000
"""Keywords looked at in one check: some thousand objects, in a tenth of a second."""

OF_A_STEP = 50
"""Members of a keyword (of an `enum`, say) that take about as long as a keyword."""

_MOST_CHARS = 1_000_000
_LOOKED_AT = (
    *("$ref", "allOf", "anyOf", "oneOf", "type", "enum", "const"),
    *("properties", "required", "additionalProperties", "minProperties", "maxProperties"),
    *("items", "prefixItems", "minItems", "maxItems"),
    *("minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
)
"""All that structured outputs of the field take, but for `pattern`, `format` and `multipleOf` (floats)."""


class _TooMuch(Exception):
    """The budget of steps is spent."""


def schema(drafted: Drafted, values: Mapping[str, Any]) -> str | None:
    """Why the answer is not in the form that `response_format` or `tools` ask for; None where it is.

    values: the request's members. Never raises; what is too large or too deep to be checked counts as well.
    """
    return misshapen(drafted.completion, drafted.text, drafted.tool_calls, values)


def misshapen(completion: dict[str, Any] | None, text: str, tool_calls: bool, values: Mapping[str, Any]) -> str | None:
    """The same of a completion, with the text of its first choice and whether that calls tools."""
    try:
        if (wrong := _calls(completion, tool_calls, values)) is not None or tool_calls:
            return wrong
        return _format(text, values.get("response_format"))
    except (RecursionError, _TooMuch):
        return None


def _format(text: str, wanted: Any) -> str | None:
    if not isinstance(wanted, dict) or wanted.get("type") not in ("json_object", "json_schema"):
        return None
    if len(text) > _MOST_CHARS:
        return None
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return "the answer is not JSON"
    if wanted["type"] == "json_object":
        return None if isinstance(value, dict) else "the answer is no JSON object"
    named = wanted.get("json_schema")
    return _against(value, named.get("schema") if isinstance(named, dict) else None, "the answer")


def _calls(completion: dict[str, Any] | None, tool_calls: bool, values: Mapping[str, Any]) -> str | None:
    offered = _offered(values)
    calls = message_of(completion).get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict):
            continue  # a tool of another kind
        name, arguments = function.get("name"), function.get("arguments")
        if name not in offered:
            return "a tool is called that was not offered"
        if not isinstance(arguments, str) or len(arguments) > _MOST_CHARS:
            continue
        try:
            value = orjson.loads(arguments or "{}")
        except orjson.JSONDecodeError:
            return "the arguments of a tool call are not JSON"
        if not isinstance(value, dict):
            return "the arguments of a tool call are no JSON object"
        if (wrong := _against(value, offered[name], "a tool call")) is not None:
            return wrong
    if not tool_calls and offered and _must_call(values.get("tool_choice")):
        return "a tool had to be called"
    return None


def _offered(values: Mapping[str, Any]) -> dict[Any, Any]:
    tools = values.get("tools")
    functions = [tool.get("function") for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
    return {function.get("name"): function.get("parameters") for function in functions if isinstance(function, dict)}


def _must_call(choice: Any) -> bool:
    return choice == "required" or (isinstance(choice, dict) and choice.get("type") == "function")


def _against(value: Any, wanted: Any, what: str) -> str | None:
    """The first keyword of the schema that a value fails. Only keywords are named: values may be private."""
    if not isinstance(wanted, dict):
        return None
    steps = 0

    def counted(check: _Keyword) -> _Keyword:
        def counting(validator: Any, part: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
            nonlocal steps
            steps += 1 + (len(part) // OF_A_STEP if isinstance(part, list | dict) else 0)
            if steps > MOST_STEPS:
                raise _TooMuch
            return check(validator, part, instance, schema) or iter(())

        return counting

    checker = validators.create(
        Draft202012Validator.META_SCHEMA, {name: counted(check) for name, check in _KEYWORDS.items()}
    )
    try:
        error = next(checker(wanted, registry=Registry()).iter_errors(value), None)
    except (_TooMuch, RecursionError):
        raise
    except Exception:  # a schema that is none; the upstream took it all the same
        return None
    return None if error is None else f"{what} fails `{error.validator}` of its schema"


_Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError] | None]


def _additional(validator: Any, part: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """Left out where `patternProperties` say what else may be there: that takes the caller's patterns."""
    if "patternProperties" in schema:
        return iter(())
    found: Iterator[ValidationError] = Draft202012Validator.VALIDATORS["additionalProperties"](
        validator, part, instance, schema
    )
    return found


_KEYWORDS: dict[str, _Keyword] = {name: Draft202012Validator.VALIDATORS[name] for name in _LOOKED_AT}
_KEYWORDS["additionalProperties"] = _additional
