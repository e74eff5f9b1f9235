"""pydantic-ai: model responses by its direct API, and an agent with an output type for JSON schemas."""

from __future__ import annotations

import json
from typing import Any

from openai import AsyncOpenAI
from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.direct import model_request_stream_sync, model_request_sync
from pydantic_ai.messages import ModelMessagesTypeAdapter, ModelRequest, ModelResponse
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.tools import ToolDefinition
from telling import CITY, KEY, Task, tell


class Person(BaseModel):
    name: str
    age: int


def ask(task: Task) -> Any:
    """The response with its parts and usage; a stream's events are its pieces. It always asks for usage."""
    client = AsyncOpenAI(base_url=task.base_url, api_key=KEY, max_retries=0)
    model = OpenAIChatModel(task.model, provider=OpenAIProvider(openai_client=client))
    if task.kind == "schema":
        agent = Agent(model, output_type=NativeOutput(Person), retries=0)
        if not task.streams:
            run = agent.run_sync(task.prompt)
            return {"parsed": [repr(run.output), repr(run.usage)]}
        streamed = agent.run_stream_sync(task.prompt)
        pieces = [repr(piece) for piece in streamed.stream_output(debounce_by=None)]
        return {"parsed": [pieces[-1], repr(streamed.usage)], "pieces": pieces}
    tools = [ToolDefinition(name="get_weather", description="Weather.", parameters_json_schema=CITY)]
    parameters = ModelRequestParameters(function_tools=tools if task.kind == "tools" else [])
    messages = [ModelRequest.user_text_prompt(task.prompt)]
    if not task.streams:
        return {"parsed": _told(model_request_sync(model, messages, model_request_parameters=parameters))}
    with model_request_stream_sync(model, messages, model_request_parameters=parameters) as stream:
        pieces = [repr(event) for event in stream]
        return {"parsed": _told(stream.response), "pieces": pieces}


def _told(response: ModelResponse) -> Any:
    [told] = json.loads(ModelMessagesTypeAdapter.dump_json([response]))
    del told["timestamp"]
    return told


if __name__ == "__main__":
    tell(ask)
