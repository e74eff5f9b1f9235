"""openai-python: parsed models with every field they keep, chunk by chunk, and its own accumulator for streams."""

from __future__ import annotations

from typing import Any

from openai import ContentFilterFinishReasonError, OpenAI
from pydantic import BaseModel
from telling import KEY, TOOL, Task, tell


class Person(BaseModel):
    name: str
    age: int


def ask(task: Task) -> Any:
    """The completion; for streams its chunks too, and what the accumulator makes of them."""
    client = OpenAI(base_url=task.base_url, api_key=KEY, max_retries=0)
    asked: dict[str, Any] = {"model": task.model, "messages": [{"role": "user", "content": task.prompt}]}
    asked |= {"temperature": 0.7, "seed": 2**53 + 1, "extra_body": {"x_vendor": {"rate": 1.50, "none": None}}}
    if task.kind == "tools":
        asked |= {"tools": [TOOL], "tool_choice": "auto"}
    completions = client.chat.completions
    if not task.streams:
        if task.kind == "schema":
            return {"parsed": completions.parse(**asked, response_format=Person).to_dict(warnings=False)}
        answer = completions.with_raw_response.create(**asked)
        return {"parsed": answer.parse().to_dict(), "pieces": answer.text}
    if task.counts:
        asked["stream_options"] = {"include_usage": True}
    if task.kind == "schema":
        with completions.stream(**asked, response_format=Person) as events:
            kinds = [event.type for event in events]
            return {"parsed": events.get_final_completion().to_dict(warnings=False), "pieces": kinds}
    chunks = [chunk.to_dict() for chunk in completions.create(**asked, stream=True)]
    with completions.stream(**asked) as events:
        try:
            return {"parsed": events.get_final_completion().to_dict(warnings=False), "pieces": chunks}
        except ContentFilterFinishReasonError as cut_short:  # the accumulator has no other way to say so
            return {"parsed": str(cut_short), "pieces": chunks}


if __name__ == "__main__":
    tell(ask)
