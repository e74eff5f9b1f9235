"""instructor: answers as pydantic models out of tool calls and JSON schemas, whole and as partial streams."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import instructor
from openai import OpenAI
from pydantic import BaseModel
from telling import KEY, Task, tell


class Person(BaseModel):
    """Somebody."""

    name: str
    age: int


class get_weather(BaseModel):  # noqa: N801 - instructor names the tool after the class
    """Weather."""

    city: str


def ask(task: Task) -> Any:
    """The models, and the completion they were read from."""
    client = OpenAI(base_url=task.base_url, api_key=KEY, max_retries=0)
    asked: dict[str, Any] = {
        "model": task.model,
        "messages": [{"role": "user", "content": task.prompt}],
        "max_retries": 0,
    }
    if task.streams and task.counts:
        asked["stream_options"] = {"include_usage": True}
    if task.kind == "schema":
        house = instructor.from_openai(client, mode=instructor.Mode.JSON_SCHEMA)
        if not task.streams:
            person, completion = house.create_with_completion(response_model=Person, **asked)
            return {"parsed": [repr(person), completion.to_dict(warnings=False)]}
        pieces = [repr(piece) for piece in house.create_partial(response_model=Person, **asked)]
        return {"parsed": pieces[-1], "pieces": pieces}
    if task.kind == "tools":
        if not task.streams:
            house = instructor.from_openai(client, mode=instructor.Mode.PARALLEL_TOOLS)
            return {"parsed": [repr(one) for one in house.create(response_model=Iterable[get_weather], **asked)]}
        house = instructor.from_openai(client, mode=instructor.Mode.TOOLS)
        pieces = [repr(one) for one in house.create_partial(response_model=get_weather, **asked)]
        return {"parsed": pieces[-1], "pieces": pieces}
    del asked["max_retries"]
    house = instructor.from_openai(client)
    answer = house.create(response_model=None, stream=task.streams, **asked)
    if not task.streams:
        return {"parsed": answer.to_dict()}
    chunks = [chunk.to_dict() for chunk in answer]
    said = [choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"]]
    return {"parsed": "".join(said), "pieces": chunks}


if __name__ == "__main__":
    tell(ask)
