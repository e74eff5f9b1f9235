"""LlamaIndex's OpenAILike: chat responses with their raw parts, tool calls, and a JSON schema passed along."""

from __future__ import annotations

from typing import Any

from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from telling import CITY, KEY, Task, tell

PERSON = {
    "type": "json_schema",
    "json_schema": {
        "name": "person",
        "schema": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
            "required": ["name", "age"],
        },
    },
}


def get_weather(city: str) -> str:
    """Weather."""
    return f"{city}: {CITY['type']}"


def ask(task: Task) -> Any:
    """The response, or the last of the stream's, with every delta as a piece."""
    llm = OpenAILike(
        model=task.model,
        api_base=task.base_url,
        api_key=KEY,
        max_retries=0,
        is_chat_model=True,
        is_function_calling_model=True,
        context_window=32_000,
        additional_kwargs={"stream_options": {"include_usage": True}} if task.counts else {},
    )
    messages = [ChatMessage(role="user", content=task.prompt)]
    more: dict[str, Any] = {"response_format": PERSON} if task.kind == "schema" else {}
    if task.kind == "tools":
        tools = [FunctionTool.from_defaults(get_weather)]
        if not task.streams:
            return {"parsed": _told(llm, llm.chat_with_tools(tools, chat_history=messages))}
        pieces = list(llm.stream_chat_with_tools(tools, chat_history=messages))
    elif not task.streams:
        return {"parsed": _told(llm, llm.chat(messages, **more))}
    else:
        pieces = list(llm.stream_chat(messages, **more))
    return {"parsed": pieces[-1].message.model_dump(mode="json"), "pieces": [_told(llm, piece) for piece in pieces]}


def _told(llm: OpenAILike, response: Any) -> dict[str, Any]:
    told: dict[str, Any] = response.model_dump(mode="json")
    calls = llm.get_tool_calls_from_response(response, error_on_no_tool_call=False)
    return {**told, "calls": [call.model_dump(mode="json") for call in calls]}


if __name__ == "__main__":
    tell(ask)
