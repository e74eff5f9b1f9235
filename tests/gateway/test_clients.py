"""openai-python and LangChain, unchanged: only the base URL is ours."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx
import pytest
from langchain_openai import ChatOpenAI
from openai import AsyncOpenAI, BadRequestError, NotFoundError
from pydantic import BaseModel, SecretStr

from tests.gateway.conftest import House

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class Person(BaseModel):
    """Somebody."""

    name: str
    age: int


@pytest.fixture
async def openai(house: House) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{house.gateway.url}/v1", api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture
async def langchain(house: House) -> AsyncIterator[ChatOpenAI]:
    async with httpx.AsyncClient() as http:
        yield ChatOpenAI(
            model="auto",
            base_url=f"{house.gateway.url}/v1",
            api_key=SecretStr("any"),
            max_retries=0,
            http_async_client=http,
        )


async def test_openai_plain(openai: AsyncOpenAI) -> None:
    answer = await openai.chat.completions.create(model="auto", messages=[{"role": "user", "content": "hi"}])
    assert answer.choices[0].message.content == "small says: hi"
    assert answer.usage is not None
    assert answer.usage.total_tokens > 0


@pytest.mark.parametrize("usage", [True, False])
async def test_openai_streamed(openai: AsyncOpenAI, usage: bool) -> None:
    stream = await openai.chat.completions.create(
        model="auto",
        messages=[{"role": "user", "content": "hi"}],
        stream=True,
        stream_options={"include_usage": usage},
    )
    chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "small says: hi"
    assert [chunk.usage is not None for chunk in chunks].count(True) == int(usage)
    assert len({chunk.id for chunk in chunks}) == 1


@pytest.mark.parametrize("stream", [True, False])
async def test_openai_tools(openai: AsyncOpenAI, stream: bool) -> None:
    asked = {
        "model": "auto",
        "messages": [{"role": "user", "content": "get_weather in Oslo please"}],
        "tools": [WEATHER],
    }
    if stream:
        arguments = ""
        async for chunk in await openai.chat.completions.create(**asked, stream=True):
            for call in chunk.choices[0].delta.tool_calls or () if chunk.choices else ():
                assert call.function is not None
                arguments += call.function.arguments or ""
    else:
        answer = await openai.chat.completions.create(**asked)
        assert answer.choices[0].finish_reason == "tool_calls"
        [call] = answer.choices[0].message.tool_calls or []
        arguments = call.function.arguments
    assert set(json.loads(arguments)) == {"city"}


async def test_openai_json_schema(openai: AsyncOpenAI) -> None:
    answer = await openai.chat.completions.parse(
        model="auto", messages=[{"role": "user", "content": "Who is there?"}], response_format=Person
    )
    assert isinstance(answer.choices[0].message.parsed, Person)


async def test_openai_errors(openai: AsyncOpenAI) -> None:
    with pytest.raises(NotFoundError) as unknown:
        await openai.chat.completions.create(model="autoo", messages=[{"role": "user", "content": "hi"}])
    assert unknown.value.code == "model_not_found"
    with pytest.raises(BadRequestError) as empty:
        await openai.chat.completions.create(model="auto", messages=[])
    assert empty.value.param == "messages"


async def test_openai_models(openai: AsyncOpenAI) -> None:
    assert {model.id async for model in openai.models.list()} == {"auto", "small", "large"}
    assert (await openai.models.retrieve("auto")).owned_by == "signalbox-route"


async def test_langchain_plain_and_streamed(langchain: ChatOpenAI) -> None:
    assert (await langchain.ainvoke("hi")).content == "small says: hi"
    chunks = [chunk.content async for chunk in langchain.astream("hello there")]
    assert "".join(map(str, chunks)) == "small says: hello there"


async def test_langchain_tools(langchain: ChatOpenAI) -> None:
    answer = await langchain.bind_tools([WEATHER]).ainvoke("get_weather in Oslo please")
    assert [call["name"] for call in answer.tool_calls] == ["get_weather"]


async def test_langchain_structured_output(langchain: ChatOpenAI) -> None:
    assert isinstance(await langchain.with_structured_output(Person).ainvoke("Who is there?"), Person)
