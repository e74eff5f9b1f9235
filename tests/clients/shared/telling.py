"""How a client's script meets the runner: tasks come as JSON on stdin, what the client made of each goes to stdout.

Runs in every client's own environment, so it knows the standard library only. What a task means to a client is told
in that client's script.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

KEY = "the-callers-own-key"
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = {"type": "function", "function": {"name": "get_weather", "description": "Weather.", "parameters": CITY}}


@dataclass(frozen=True)
class Task:
    """One thing to ask. kind: `chat`, `tools` or `schema`. mode: `plain`, `stream` or `stream-usage`."""

    base_url: str
    model: str
    id: str
    prompt: str
    kind: str
    mode: str

    @property
    def streams(self) -> bool:
        return self.mode != "plain"

    @property
    def counts(self) -> bool:
        """Whether a stream's usage is asked for."""
        return self.mode == "stream-usage"


def tell(ask: Callable[[Task], Any]) -> None:
    """Asks all tasks and prints `{id: {"parsed", "pieces"?}}`; an exception is a result like any other."""
    work = json.load(sys.stdin)
    told: dict[str, Any] = {}
    for task in work["tasks"]:
        try:
            told[task["id"]] = ask(Task(work["base_url"], work["model"], **task))
        except Exception as error:
            told[task["id"]] = {"parsed": {"raised": type(error).__name__, "says": str(error)}}
    json.dump(told, sys.stdout, default=repr)
