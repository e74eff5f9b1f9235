"""What a stand-in is told to do, and what it writes down: replies, faults, and a journal of what it received."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

FaultKind = Literal[
    "status",  # answer with `status` and an error body
    "hang",  # take the request and never answer
    "malformed",  # a 200 whose JSON is broken; a stream of broken events
    "html",  # a 200 with a web page
    "close_before",  # close the connection before the first byte of a response
    "close_after",  # close it after `after` events, or in the middle of a plain body
    "stall_after",  # go silent after `after` events, or in the middle of a plain body
    "error_event",  # an error event after `after` events, then the end; for plain answers an error in a 200
    "no_done",  # leave the last event of the protocol out; the end is clean otherwise
    "plain",  # ignore `stream: true`
    "redirect",  # point somewhere else
    "linger",  # say everything, and then do not end the response
]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong. after: events sent before it happens. retry_after: value of that header."""

    kind: FaultKind
    status: int = 500
    retry_after: str | None = None
    after: int = 2


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool that the request offered."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model says, and how.

    pieces: chunks a streamed text is cut into. latency_seconds: before the first byte; gap_seconds: between chunks.
    Tokens are counted from the texts where they are not given; cached_tokens are a part of the input.
    tool_calls: None lets the stand-in decide: it calls each offered tool that the question names. finish: the reason
    where it is not the usual one. logprob: of each token, where the request asks for them.
    """

    text: str
    pieces: int = 4
    latency_seconds: float = 0.0
    gap_seconds: float = 0.0
    tool_calls: tuple[ToolCall, ...] | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    finish: str | None = None
    logprob: float = -0.01
    fault: Fault | None = None


@dataclass(slots=True)
class Received:
    """One request as it came, and what became of it. Tokens and dollars are what was billed for it so far.

    left: set when the client closed the connection before the answer was whole. ended: set when the stand-in was
    done with the request, whatever way.
    """

    path: str
    headers: Mapping[str, str]
    body: bytes
    question: str = ""
    streamed: bool = False
    status: int | None = None
    connection: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    left: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for, in whatever protocol. tools: name -> JSON schema of the arguments.

    must_call: the tool that has to be called, `*` for any. schema: what the answer has to satisfy.
    """

    model: str
    question: str
    input_tokens: int
    stream: bool = False
    include_usage: bool = False
    choices: int = 1
    tools: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    must_call: str | None = None
    answers_a_tool: bool = False
    logprobs: bool = False
    schema: Mapping[str, Any] | None = None


def count_tokens(text: str) -> int:
    """A stand-in's tokens: four characters each, and at least one where there is text."""
    return -(-len(text) // 4)


def instance_of(schema: Mapping[str, Any], text: str, root: Mapping[str, Any] | None = None) -> Any:
    """A value that satisfies a JSON schema of the kind that models are given; strings say `text` where they may."""
    root = root or schema
    if isinstance(ref := schema.get("$ref"), str):
        target: Any = root
        for part in ref.removeprefix("#").strip("/").split("/"):
            target = target[part] if part else target
        return instance_of(target, text, root)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for name in ("anyOf", "oneOf"):
        if schema.get(name):
            return instance_of(schema[name][0], text, root)
    if schema.get("allOf"):
        merged: dict[str, Any] = {}
        for part in schema["allOf"]:
            value = instance_of(part, text, root)
            merged |= value if isinstance(value, dict) else {}
        return merged
    kind = schema.get("type", "object" if "properties" in schema else "string")
    match kind[0] if isinstance(kind, list) else kind:
        case "object":
            return {name: instance_of(inner, text, root) for name, inner in schema.get("properties", {}).items()}
        case "array":
            item = instance_of(schema.get("items", {}), text, root)
            return [item] * max(1, schema.get("minItems", 1))
        case "integer":
            return int(schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1))
        case "number":
            return float(schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1))
        case "boolean":
            return True
        case "null":
            return None
    return _string(schema, text)


def _string(schema: Mapping[str, Any], text: str) -> str:
    formats = {
        "date": "2026-01-31",
        "date-time": "2026-01-31T12:00:00Z",
        "time": "12:00:00Z",
        "email": "somebody@example.com",
        "uuid": "123e4567-e89b-12d3-a456-426614174000",
        "uri": "https://example.com/",
    }
    if schema.get("format") in formats:
        return formats[schema["format"]]
    return text[: schema.get("maxLength", len(text))].ljust(schema.get("minLength", 0), ".")
