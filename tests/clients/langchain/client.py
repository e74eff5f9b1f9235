"""LangChain's ChatOpenAI: messages, tool calls, usage metadata, and structured output."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any

from langchain_openai import ChatOpenAI
from pydantic import BaseModel
from telling import KEY, TOOL, Task, tell


class Person(BaseModel):
    """Somebody."""

    name: str
    age: int


def ask(task: Task) -> Any:
    """The message, or the sum of the message chunks. LangChain's run ids are its own and new each time."""
    chat = ChatOpenAI(
        model=task.model, base_url=task.base_url, api_key=KEY, max_retries=0, stream_usage=task.counts, logprobs=False
    )
    if task.kind == "schema" and not task.streams:
        told = chat.with_structured_output(Person, method="json_schema", include_raw=True).invoke(task.prompt)
        return {"parsed": [_message(told["raw"]), repr(told["parsed"]), repr(told["parsing_error"])]}
    if task.kind == "schema":
        structured = chat.with_structured_output(Person, method="json_schema")
        pieces = [repr(piece) for piece in structured.stream(task.prompt)]
        return {"parsed": pieces[-1], "pieces": pieces}
    asked = chat.bind_tools([TOOL]) if task.kind == "tools" else chat
    if not task.streams:
        return {"parsed": _message(asked.invoke(task.prompt))}
    chunks = list(asked.stream(task.prompt))
    return {"parsed": _message(reduce(add, chunks)), "pieces": [_message(chunk) for chunk in chunks]}


def _message(message: Any) -> dict[str, Any]:
    told: dict[str, Any] = message.model_dump(mode="json")
    if str(told.get("id")).startswith(("run-", "lc_")):
        del told["id"]
    return told


if __name__ == "__main__":
    tell(ask)
