"""The stand-in is honest: official clients understand it, and its journal says what happened."""

from __future__ import annotations

import asyncio
import json

import httpx
import jsonschema
import openai
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from router.domain import Price
from router.upstream.standin import Fault, Reply, StandIn
from router.upstream.standin.script import instance_of
from tests.upstream.conftest import House

TOOL = {
    "type": "function",
    "function": {
        "name": "add",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
    },
}


async def test_the_openai_client_gets_plain_answers_streams_tools_and_errors() -> None:
    standin = StandIn("m", lambda question: f"About {question}", api_key="sk-1")
    async with standin.serve() as url:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="sk-1", max_retries=0) as client:
            messages: list = [{"role": "user", "content": "rivers"}]
            plain = await client.chat.completions.create(model="m", messages=messages)
            assert plain.choices[0].message.content == "About rivers"
            assert plain.usage is not None and plain.usage.total_tokens > 0

            stream = await client.chat.completions.create(
                model="m", messages=messages, stream=True, stream_options={"include_usage": True}
            )
            chunks = [chunk async for chunk in stream]
            assert chunks[-1].choices == [] and chunks[-1].usage == plain.usage
            assert all(chunk.usage is None for chunk in chunks[:-1])
            assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == "About rivers"

            messages[0]["content"] = "please add"
            called = await client.chat.completions.create(model="m", messages=messages, tools=[TOOL])
            assert called.choices[0].message.tool_calls[0].function.name == "add"
            assert [model.id for model in (await client.models.list()).data] == ["m"]

            standin.script.append(Fault("status", 429, retry_after="2"))
            with pytest.raises(openai.RateLimitError) as raised:
                await client.chat.completions.create(model="m", messages=messages)
            assert raised.value.response.headers["retry-after"] == "2"
        with pytest.raises(openai.AuthenticationError):
            async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="sk-2", max_retries=0) as client:
                await client.chat.completions.create(model="m", messages=messages)


async def test_usage_is_on_no_chunk_unless_it_is_asked_for(relay: House) -> None:
    body = orjson.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True})
    answer = await relay.upstream.open(structs.replace(relay.call(stream=True), body=body))
    stream = b"".join([chunk async for chunk in answer.chunks()])
    await answer.aclose()
    assert b"usage" not in stream


async def test_it_bills_what_it_said_at_its_price(relay: House) -> None:
    relay.standin.price = Price(input=1.0, output=10.0, cache_read=0.5)
    relay.standin.script.append(Reply("x", input_tokens=1000, output_tokens=100, cached_tokens=400))
    await relay.read()
    entry = relay.standin.journal[0]
    assert (entry.input_tokens, entry.output_tokens) == (1000, 100)
    assert entry.cost_usd == pytest.approx((600 * 1.0 + 400 * 0.5 + 100 * 10.0) / 1e6)
    assert not entry.left.is_set() and entry.status == 200


async def test_it_lists_further_models_as_openai_and_as_ollama() -> None:
    async with StandIn("small", str, also=("large",)).serve() as url, httpx.AsyncClient(base_url=url) as client:
        assert [model["id"] for model in (await client.get("/v1/models")).json()["data"]] == ["small", "large"]
        assert [model["name"] for model in (await client.get("/api/tags")).json()["models"]] == ["small", "large"]


async def test_garbage_is_answered_with_400_and_strange_paths_with_404(relay: House) -> None:
    async with openai.AsyncOpenAI(base_url=relay.model.base_url, api_key=relay.model.api_key, max_retries=0) as client:
        with pytest.raises(openai.BadRequestError):
            await client.post("/chat/completions", body={"model": "m"}, cast_to=object)
        with pytest.raises(openai.NotFoundError):
            await client.post("/nowhere", body={}, cast_to=object)


@pytest.mark.parametrize("schema", [{"$ref": "#/nowhere"}, {"$ref": "#"}, {"type": "array", "minItems": "x"}])
async def test_a_schema_that_nothing_can_satisfy_is_a_400_too(schema: dict[str, object]) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "response_format": wanted}
    async with StandIn("m", str).serve() as url, httpx.AsyncClient(base_url=url) as client:
        assert (await client.post("/v1/chat/completions", json=body)).status_code == 400


async def test_it_stops_at_once_with_clients_still_connected() -> None:
    standin = StandIn("m", lambda _: "never")
    standin.script.append(Fault("hang"))
    async with standin.serve() as url:
        _, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        body = b'{"model":"m","messages":[{"role":"user","content":"x"}]}'
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        await standin.received()
    assert standin.open_connections == 0
    writer.close()


schemas = st.recursive(
    st.sampled_from(
        [
            {"type": "string"},
            {"type": "string", "maxLength": 3},
            {"type": "string", "enum": ["a", "b"]},
            {"type": "integer", "minimum": 7},
            {"type": "number"},
            {"type": "boolean"},
            {"const": 4},
            {"type": ["string", "null"]},
            {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        ]
    ),
    lambda inner: st.one_of(
        st.builds(lambda item: {"type": "array", "items": item, "minItems": 2}, inner),
        st.dictionaries(st.sampled_from("abc"), inner, max_size=3).map(
            lambda members: {"type": "object", "properties": members, "required": list(members)}
        ),
    ),
    max_leaves=6,
)


@given(schemas, st.text(max_size=20))
def test_instances_satisfy_their_schema(schema: dict, text: str) -> None:
    instance = instance_of(schema, text)
    jsonschema.validate(instance, schema)
    json.dumps(instance)


def test_references_are_followed() -> None:
    schema = {"$ref": "#/$defs/city", "$defs": {"city": {"type": "object", "properties": {"n": {"type": "integer"}}}}}
    assert instance_of(schema, "x") == {"n": 1}
