"""`llm` by its Python API: text, tool calls, token counts, and the response that it would log."""

from __future__ import annotations

import json
from typing import Any

import llm
from llm.default_plugins.openai_models import Chat
from pydantic import BaseModel
from telling import KEY, Task, tell


class Person(BaseModel):
    name: str
    age: int


def get_weather(city: str) -> str:
    """Weather."""
    return city


def ask(task: Task) -> Any:
    """What a prompt answered. It always asks for a stream's usage."""
    model = Chat(
        model_id="through", model_name=task.model, api_base=task.base_url, supports_schema=True, supports_tools=True
    )
    more: dict[str, Any] = {"schema": Person} if task.kind == "schema" else {}
    if task.kind == "tools":
        more["tools"] = [llm.Tool.function(get_weather)]
    response = model.prompt(task.prompt, stream=task.streams, key=KEY, **more)
    pieces = list(response)
    usage = response.usage()
    calls = [[call.name, call.arguments, call.tool_call_id] for call in response.tool_calls()]
    told = {
        "text": response.text(),
        "calls": calls,
        "usage": [usage.input, usage.output, usage.details],
        "json": json.loads(json.dumps(response.json(), default=repr)),
    }
    return {"parsed": told, "pieces": pieces}


if __name__ == "__main__":
    tell(ask)
