"""Reaches every provider that does not speak OpenAI's protocol, through litellm: the only file that imports it.

Requests are taken apart and put together anew here, so only members that we know go through (`PARAMETERS`); where to
send them and with which key is the policy's to say. Bytes that come back are rendered in OpenAI's shape by
`router.upstream.rendered`; litellm's errors become ours in `router.upstream.litellm_errors`, nowhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import os
import warnings
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

import orjson

from router.domain import ModelSpec
from router.errors import UpstreamError
from router.upstream.addresses import must_be_fetched
from router.upstream.answers import JSON, WholeAnswer
from router.upstream.contract import Answer, Call
from router.upstream.litellm_errors import PassThrough, translate
from router.upstream.refusals import patience, ran_out
from router.upstream.rendered import RenderedStream, plain_body

PARAMETERS = frozenset(
    """audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens messages
    modalities n parallel_tool_calls prediction presence_penalty prompt_cache_key reasoning_effort response_format
    safety_identifier seed service_tier stop store temperature thinking tool_choice tools top_logprobs top_p user
    verbosity web_search_options""".split()
)
"""The members of a request that reach litellm. All others stay behind: litellm takes unknown keyword arguments for
its own configuration (`api_base`, `mock_response`, `fallbacks`, `extra_headers`, ...) and must never see a caller's."""

_LOGGERS = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy")

_OPENED: ContextVar[list[Any]] = ContextVar("opened")
"""The HTTP responses that the call of this task has opened."""


class LitellmProvider:
    """`contract.Upstream` over `litellm.acompletion`.

    A parameter that the provider does not know is left out (`drop_params`), since the caller wrote the request for a
    route, not for a provider. What a request cannot do without (tools, schemas, images) is for policies to look after.
    """

    def __init__(self) -> None:
        self._litellm: Any = None
        self._client: Any = None
        self._loading = asyncio.Lock()

    @property
    def loaded(self) -> bool:
        """Whether litellm is there; `open` loads it otherwise, which takes seconds."""
        return self._litellm is not None

    async def load(self) -> None:
        """Imports litellm in a thread, a matter of seconds; the second time there is nothing to do."""
        async with self._loading:
            if self._litellm is None:
                litellm = await asyncio.to_thread(_import_litellm)
                self._client, self._litellm = _single_minded_client(), litellm

    async def aclose(self) -> None:
        """Closes our connections and litellm's, and ends its background task."""
        if self._litellm is not None:
            litellm, self._litellm = self._litellm, None
            await self._client.close()
            await _close(litellm)

    async def open(self, call: Call) -> Answer:
        """Asks the provider and waits until an answer is sure. Raises UpstreamError."""
        if self._litellm is None:
            await self.load()
        model = call.model
        arguments = arguments_for(call, orjson.loads(call.body))
        if isinstance(arguments, WholeAnswer):
            return arguments
        if model.model.startswith("anthropic/"):
            arguments["client"] = self._client
        loop = asyncio.get_running_loop()
        ends = loop.time() + model.timeouts.total
        waits = patience(model, stream=call.stream)
        stream: RenderedStream | None = None
        opened: list[Any] = []
        _OPENED.set(opened)
        try:
            async with asyncio.timeout(waits):
                came = await self._litellm.acompletion(timeout=_timeout(model), **arguments)
                if not call.stream:
                    return WholeAnswer(200, {"content-type": JSON}, plain_body(came))
                stream = RenderedStream(model, came, opened, ends)
                await stream.first()
                return stream
        except BaseException as error:
            if stream is not None:
                await stream.aclose()
            if isinstance(error, UpstreamError) or not isinstance(error, Exception):
                raise
            if isinstance(error, TimeoutError):
                raise ran_out(model, "total" if waits == model.timeouts.total else "first_token") from None
            meaning = translate(model, error)
            if isinstance(meaning, PassThrough):
                return WholeAnswer(meaning.status, {"content-type": JSON}, meaning.body)
            raise meaning from None


def arguments_for(call: Call, body: Mapping[str, Any]) -> dict[str, Any] | WholeAnswer:
    """Keyword arguments for `acompletion`, or the 400 for what we do not hand on.

    body: the parsed request. Null members are left out, as if absent.
    """
    for number, tool in enumerate(body.get("tools") or ()):
        if isinstance(tool, dict) and ("server_url" in tool or tool.get("type") == "mcp"):
            return _refused(f"`tools[{number}]`: tools that name a server are not handed on.", f"tools[{number}]")
    model = call.model
    if (where := must_be_fetched(model.model, body)) is not None:
        message = f"`{where}`: the gateway fetches nothing for this model; send the bytes as a `data:` URL."
        return _refused(message, where, code="unsupported_address")
    arguments = {name: value for name, value in body.items() if name in PARAMETERS and value is not None}
    arguments |= {"model": model.model, "num_retries": 0, "max_retries": 0, "drop_params": True}
    if arguments.get("tools"):
        arguments["_skip_mcp_handler"] = True  # else litellm imports its proxy, for tools that were refused above
    if call.stream:
        arguments |= {"stream": True, "stream_options": {"include_usage": True}}
    if model.api_key:
        arguments["api_key"] = model.api_key
    if model.base_url:
        arguments["api_base"] = model.base_url
    if call.headers:
        arguments["extra_headers"] = dict(call.headers)
    return arguments


def _refused(message: str, param: str, code: str = "unsupported_tool") -> WholeAnswer:
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return WholeAnswer(400, {"content-type": JSON}, orjson.dumps({"error": error}))


def _timeout(model: ModelSpec) -> Any:
    """Only the connect timeout is litellm's to keep; the other three are kept here, where they can be told apart."""
    import httpx

    return httpx.Timeout(model.timeouts.total, connect=model.timeouts.connect)


def _single_minded_client() -> Any:
    """An HTTP client of litellm's kind that asks once and only where it was told to.

    litellm's own sends a request again after a broken connection, which may bill twice, and follows redirects with
    body and key. It also loses sight of a streamed response, so that closing a stream would leave the provider at
    work: responses are remembered here. Providers that are reached through other clients keep litellm's manners.
    """
    import httpx
    from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler

    class SingleMinded(AsyncHTTPHandler):  # type: ignore[misc]
        async def post(self, *args: Any, **kwargs: Any) -> Any:
            response = await super().post(*args, **kwargs)
            _OPENED.get().append(response)
            return response

        async def single_connection_post_request(self, **_: Any) -> Any:
            raise httpx.ConnectError("not asked again")

    return SingleMinded(follow_redirects=False)


def _import_litellm() -> Any:
    """Imports litellm without network, chatter or counting of its own. Settings of the whole process are set here."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it fetches a price list while it is imported
    with warnings.catch_warnings():  # of its own making, about its own classes
        warnings.simplefilter("ignore")
        litellm: Any = importlib.import_module("litellm")
        litellm.suppress_debug_info = True  # else it prints advice to stdout on errors
        litellm.disable_token_counter = True  # it would load tokenizers, from the network for some models
        litellm.disable_hf_tokenizer_download = True
        litellm.disable_aiohttp_trust_env = True  # no proxies out of the environment, as in the relay
        litellm.user_url_validation = True  # pictures that it fetches for a provider: never from private addresses
        for name in _LOGGERS:  # they write requests and answers at debug level, and tracebacks at error level
            logging.getLogger(name).setLevel(logging.CRITICAL)
            logging.getLogger(name).propagate = False
        _warm_up(litellm)
    return litellm


def _warm_up(litellm: Any) -> None:
    """Half of litellm loads at its first call, which takes half a second: so one is made here, which asks nobody."""
    importlib.import_module("litellm.litellm_core_utils.default_encoding")
    mocked = {"messages": [{"role": "user", "content": "warm up"}], "mock_response": "warm"}
    litellm.completion(model="anthropic/claude-sonnet-4-5", **mocked)
    for _ in litellm.completion(model="anthropic/claude-sonnet-4-5", stream=True, **mocked):
        pass


async def _close(litellm: Any) -> None:
    from litellm.litellm_core_utils.logging_worker import GLOBAL_LOGGING_WORKER

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1.0):
            await GLOBAL_LOGGING_WORKER.flush()
    await GLOBAL_LOGGING_WORKER.stop()
    await litellm.close_litellm_async_clients()
