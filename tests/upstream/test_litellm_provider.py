"""What the litellm provider promises beyond the contract: callers configure nothing, every error has a meaning."""

from __future__ import annotations

import inspect
import json
from dataclasses import replace
from typing import Any

import httpx
import orjson
import pytest
from msgspec import structs

from router.domain import ModelSpec
from router.errors import (
    UpstreamBroken,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamRefusedKey,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from router.upstream.answers import WholeAnswer
from router.upstream.contract import Call
from router.upstream.litellm_errors import MEANINGS, PassThrough, translate
from router.upstream.litellm_provider import PARAMETERS, LitellmProvider, arguments_for
from tests.upstream.conftest import KEY, House, heard

MODEL = ModelSpec("large", "large", "anthropic/claude-sonnet-4-5", provider="litellm", api_key=KEY)

CONFIGURING: dict[str, Any] = {
    "api_base": "http://127.0.0.1:9",
    "base_url": "http://127.0.0.1:9",
    "api_key": "sk-callers",
    "api_version": "1",
    "extra_headers": {"x-api-key": "sk-callers"},
    "headers": {"x-api-key": "sk-callers"},
    "extra_body": {"model": "other"},
    "custom_llm_provider": "openai",
    "mock_response": "mocked",
    "mock_tool_calls": [],
    "mock_timeout": True,
    "fallbacks": ["openai/gpt-4o"],
    "context_window_fallback_dict": {"a": "b"},
    "callbacks": ["langfuse"],
    "success_callback": ["langfuse"],
    "metadata": {"a": 1},
    "litellm_metadata": {"a": 1},
    "num_retries": 5,
    "max_retries": 5,
    "timeout": 0.001,
    "stream_timeout": 0.001,
    "client": "x",
    "model_list": [],
    "deployment_id": "x",
    "prompt_id": "x",
    "cache": {"no-cache": True},
    "caching": True,
    "ssl_verify": False,
    "organization": "x",
    "vertex_credentials": "x",
    "aws_secret_access_key": "x",
    "guardrails": ["x"],
    "shared_session": "x",
    "drop_params": False,
    "acompletion": False,
    "_skip_mcp_handler": False,
    "anything_new": 1,
}


async def test_a_caller_can_neither_redirect_nor_configure(litellm: House) -> None:
    for stream in (False, True):
        body = await litellm.read("hello", stream=stream, **CONFIGURING)
        assert b"mocked" not in body
    assert len(litellm.standin.journal) == 2
    for entry in litellm.standin.journal:
        assert entry.headers["x-api-key"] == KEY
        assert not set(orjson.loads(entry.body)) & set(CONFIGURING) - {"metadata"}
        assert b"sk-callers" not in entry.body


def test_only_listed_members_become_arguments() -> None:
    members = CONFIGURING | dict.fromkeys(PARAMETERS - {"tools"}, "x")
    call = Call(MODEL, b"", False, "req_1", {})
    arguments = arguments_for(call, members)
    assert isinstance(arguments, dict)
    ours = {"model", "num_retries", "max_retries", "drop_params", "api_key"}
    assert set(arguments) == (PARAMETERS - {"tools"}) | ours
    assert arguments["api_key"] == KEY and arguments["num_retries"] == arguments["max_retries"] == 0
    assert not PARAMETERS & set(CONFIGURING)


def test_tools_that_name_a_server_are_refused() -> None:
    call = Call(MODEL, b"", False, "req_1", {})
    for tool in ({"type": "mcp", "server_url": "http://10.0.0.1"}, {"type": "x", "server_url": "litellm_proxy"}):
        refused = arguments_for(call, {"messages": [], "tools": [tool]})
        assert isinstance(refused, WholeAnswer) and refused.status == 400


async def test_a_parameter_that_the_provider_does_not_know_is_left_out(litellm: House) -> None:
    await litellm.read("hello", frequency_penalty=0.5, logit_bias={"1": 2}, temperature=0.25)
    sent = orjson.loads(litellm.standin.journal[0].body)
    assert sent["temperature"] == 0.25 and "frequency_penalty" not in sent


async def test_a_conversation_with_a_tool_result_arrives_as_the_provider_wants_it(litellm: House) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": '{"q":"x"}'}}
    tool = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "use look_up"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "42"},
    ]
    body = orjson.loads(await litellm.read(messages=messages, tools=[tool]))
    assert body["choices"][0]["finish_reason"] == "stop"
    sent = orjson.loads(litellm.standin.journal[0].body)
    assert sent["messages"][-1]["content"][0]["type"] == "tool_result"


async def test_the_price_that_litellm_puts_on_an_answer_is_not_passed_on(litellm: House) -> None:
    _, chunks = heard(await litellm.read("hello", stream=True))
    assert "cost" not in chunks[-1]["usage"]


async def test_a_model_that_litellm_cannot_place_is_the_operators_mistake(litellm: House) -> None:
    with pytest.raises(UpstreamBroken):
        await litellm.upstream.open(
            structs.replace(litellm.call(), model=replace(MODEL, model="no-such-provider-of-models"))
        )


async def test_it_is_not_loaded_until_it_is_wanted() -> None:
    provider = LitellmProvider()
    assert not provider.loaded
    await provider.aclose()
    await provider.load()
    assert provider.loaded
    await provider.aclose()


def exceptions() -> list[type[Exception]]:
    """All that `litellm.exceptions` holds."""
    import litellm.exceptions

    members = vars(litellm.exceptions).values()
    return [member for member in members if inspect.isclass(member) and issubclass(member, Exception)]


def made(kind: type[Exception]) -> Exception:
    """One instance, with whatever its constructor wants."""
    request = httpx.Request("POST", "http://upstream")
    given = {
        "message": "told",
        "status_code": 500,
        "response": httpx.Response(500, request=request, headers={"retry-after": "4"}),
        "request": request,
        "failures": [],
        "request_data": {},
        "current_cost": 1.0,
        "max_budget": 1.0,
        "original_exception": None,
    }
    parameters = inspect.signature(kind.__init__).parameters
    wanted = {
        name: given.get(name, "x")
        for name, parameter in list(parameters.items())[1:]
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        and (parameter.default is parameter.empty or name == "response")
    }
    return kind(**wanted)


EXPECTED: dict[str, type] = {
    "caller": PassThrough,
    "key": UpstreamRefusedKey,
    "rate": UpstreamRateLimited,
    "time": UpstreamTimeout,
    "unreachable": UpstreamUnreachable,
    "broken": UpstreamBroken,
    "status": UpstreamBroken,
}


def test_every_exception_of_litellm_is_translated_on_purpose(litellm_loaded: None) -> None:
    kinds = exceptions()
    assert len(kinds) > 20
    assert {kind.__name__ for kind in kinds} == set(MEANINGS)
    for kind in kinds:
        meaning = translate(MODEL, made(kind))
        assert isinstance(meaning, EXPECTED[MEANINGS[kind.__name__]]), kind
        if isinstance(meaning, PassThrough):
            assert meaning.status in (400, 404, 422)
            error = json.loads(meaning.body)["error"]
            assert list(error) == ["message", "type", "param", "code"]


@pytest.fixture
async def litellm_loaded() -> None:
    provider = LitellmProvider()
    await provider.load()
    await provider.aclose()


class Stranger(Exception):
    """What no table knows."""


class Odd(Exception):
    """Named and shaped like litellm's."""

    def __init__(self, message: str, status_code: int):
        super().__init__(message)
        self.message, self.status_code = message, status_code


def test_what_is_not_known_is_broken_and_says_nothing_of_what_was_sent() -> None:
    error = translate(MODEL, Stranger(f"failed with {KEY} on 'my secret prompt'"))
    assert isinstance(error, UpstreamBroken)
    assert KEY not in error.message and "secret" not in error.message


APIError = type("APIError", (Odd,), {})
BadRequestError = type("BadRequestError", (Odd,), {})


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, PassThrough),
        (413, PassThrough),
        (401, UpstreamRefusedKey),
        (429, UpstreamRateLimited),
        (529, UpstreamError),
    ],
)
def test_an_error_that_carries_a_status_means_what_its_status_says(status: int, expected: type) -> None:
    assert isinstance(translate(MODEL, APIError("told", status)), expected)


def test_the_providers_words_are_unwrapped_and_keys_are_not_among_them() -> None:
    wrapped = f'litellm.BadRequestError: AnthropicException - {{"error":{{"type":"x","message":"max_tokens {KEY}"}}}}'
    meaning = translate(MODEL, BadRequestError(wrapped, 400))
    assert isinstance(meaning, PassThrough)
    assert json.loads(meaning.body)["error"]["message"] == "max_tokens ***"
