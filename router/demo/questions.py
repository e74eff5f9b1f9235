"""The demo's questions and how each is asked. They ship as package data; none is in the judge's training set.

What the stand-in models answer to them is `router.demo.standins`'s to say.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

import orjson

Level = Literal["trivial", "easy", "hard", "expert"]
Kind = Literal["plain", "private", "housekeeping", "tools", "schema"]

LEVELS: tuple[Level, ...] = ("trivial", "easy", "hard", "expert")

WEATHER_TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city on a day.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "day": {"type": "string"}},
            "required": ["city"],
        },
    },
}

PERSON_SCHEMA: dict[str, Any] = {
    "type": "json_schema",
    "json_schema": {
        "name": "person",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "city": {"type": "string"}},
            "required": ["name", "city"],
            "additionalProperties": False,
        },
    },
}


@dataclass(frozen=True, slots=True)
class Question:
    """One question of the demo.

    answer: what a model that knows it says. kind: what else is in the request (`private` holds made-up personal
    data, `housekeeping` is what a chat front end asks for itself). repeat: it is asked a second time.
    """

    text: str
    level: Level
    task: str
    language: str
    answer: str
    kind: Kind = "plain"
    repeat: bool = False

    @property
    def demanding(self) -> bool:
        """Whether a small model is expected to fail at it."""
        return self.level in ("hard", "expert")


def load() -> tuple[Question, ...]:
    """All questions, in the order of the file, by level."""
    return tuple(map(_read, files("router.demo").joinpath("questions.jsonl").read_bytes().splitlines()))


def mixed(questions: Sequence[Question]) -> tuple[Question, ...]:
    """The same in an order of no meaning, alike at every run: what comes last has to look like the rest, since a
    retraining compares the judges on the newest fifth."""
    return tuple(random.Random(7).sample(questions, len(questions)))


def body(question: Question) -> dict[str, Any]:
    """The chat request that asks it, without `model` and `stream`."""
    asked: dict[str, Any] = {"messages": [{"role": "user", "content": question.text}]}
    if question.kind == "tools":
        asked["tools"] = [WEATHER_TOOL]
    if question.kind == "schema":
        asked["response_format"] = PERSON_SCHEMA
    return asked


def _read(line: bytes) -> Question:
    row = orjson.loads(line)
    return Question(text=row.pop("question"), **row)
