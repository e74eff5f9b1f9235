"""Where a request goes, and with which key, is the policy's to say: nothing in a body, header or address changes it.

A server stands by that nobody should ever call; every URL a caller can write into a request names it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from router.domain import ModelSpec, Timeouts
from router.errors import UpstreamError
from router.upstream.answers import WholeAnswer
from router.upstream.contract import Call
from router.upstream.litellm_provider import LitellmProvider, arguments_for
from router.upstream.standin import StandIn
from tests.running import Running, chat_body, running

POLICY = """
version: 1
models:
  relayed: {{tier: small, model: relayed-model, base_url: "{models}/v1", api_key: the-gateways-key, retries: 0, supports: [images, tools]}}
  rendered: {{tier: large, provider: litellm, model: "anthropic/claude-sonnet-4-5", base_url: "{models}", api_key: the-gateways-key, retries: 0, supports: [images, tools]}}
default: relayed
routes:
  auto: {{rules: []}}
"""  # noqa: E501

PROVIDERS = ["relayed", "rendered"]

CANARY_HOST = "127.0.0.1"
HASTY = Timeouts(connect=2, first_token=3, total=3)


class Forbidden:
    """A server that counts who connects to it."""

    def __init__(self) -> None:
        self.connections = 0

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._connected, CANARY_HOST, 0)
        try:
            yield f"http://{CANARY_HOST}:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()

    async def _connected(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.close()


def steering(url: str) -> dict[str, Any]:
    """Members that one library or another reads as where to go, with what key, or through whom."""
    return {
        "api_base": url,
        "base_url": url,
        "api_key": "callers-key",
        "api_version": "2024-01-01",
        "organization": "callers-org",
        "custom_llm_provider": "openai",
        "model_list": [{"model_name": "x", "litellm_params": {"model": "openai/x", "api_base": url}}],
        "fallbacks": [{"model": "openai/x", "api_base": url, "api_key": "callers-key"}],
        "extra_headers": {"authorization": "Bearer callers-key", "x-steered": "1"},
        "headers": {"authorization": "Bearer callers-key", "x-steered": "1"},
        "extra_body": {"api_base": url},
        "extra_query": {"api_base": url},
        "proxy": url,
        "proxies": {"http": url},
        "litellm_params": {"api_base": url},
        "litellm_metadata": {"api_base": url},
        "callbacks": [url],
        "success_callback": ["webhook"],
        "webhook_url": url,
        "mock_response": "mocked",
        "deployment_id": "x",
        "aws_sagemaker_endpoint": url,
        "vertex_credentials": url,
        "client": url,
    }


HEADERS = {
    "x-api-base": "{url}",
    "x-base-url": "{url}",
    "x-api-key": "callers-key",
    "api-key": "callers-key",
    "x-litellm-api-key": "callers-key",
    "x-portkey-config": '{{"provider":"openai"}}',
    "x-upstream": "{url}",
    "x-forwarded-host": "evil.example",
    "x-original-url": "/api/costs",
    "x-rewrite-url": "/api/costs",
    "x-http-method-override": "DELETE",
    "forwarded": "host=evil.example",
    "proxy": "{url}",
    "cookie": "session=callers-cookie",
    "openai-organization": "callers-org",
    "anthropic-version": "1999-01-01",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "user-agent": "callers-agent",
    "referer": "http://callers-page/",
    "x-signalbox-conversation": "callers-conversation",
}


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[tuple[Running, StandIn, Forbidden, str]]:
    model, forbidden = StandIn("m", lambda text: "fine"), Forbidden()
    async with model.serve() as url, forbidden.serve() as elsewhere:
        async with running(folder, POLICY.format(models=url), api_keys="acme:callers-key") as gateway:
            yield gateway, model, forbidden, elsewhere


async def test_no_member_header_or_query_steers_a_request(tmp_path: Path) -> None:
    async with house(tmp_path) as (gateway, model, forbidden, elsewhere):
        headers = {name: value.format(url=elsewhere) for name, value in HEADERS.items()}
        count = 0
        for name in PROVIDERS:
            for stream in (False, True):
                body = {**chat_body("hi", stream=stream), **steering(elsewhere), "model": name}
                answer = await gateway.post(
                    f"/v1/chat/completions?api_base={elsewhere}&api_key=x",
                    body,
                    authorization="Bearer callers-key",
                    **headers,
                )
                assert answer.status_code == 200, answer.text
                assert "mocked" not in answer.text
                count += 1
                received = model.journal[-1]
                assert len(model.journal) == count
                assert received.path in ("/v1/chat/completions", "/v1/messages")
                keys = {received.headers.get("x-api-key"), received.headers.get("authorization")} - {None}
                assert keys <= {"the-gateways-key", "Bearer the-gateways-key"}
                assert keys
                told = repr(dict(received.headers))
                for word in ("callers-", "evil.example", "steered", elsewhere, "0af7651916cd43dd8448eb211c80319c"):
                    assert word not in told, f"{name}: {word}"
                if name == "rendered":
                    assert elsewhere.encode() not in received.body
                    assert b"callers-" not in received.body
        assert forbidden.connections == 0


OUTGOING = {
    "relayed": {"host", "authorization", "accept", "accept-encoding", "content-type", "content-length", "user-agent",
                "x-request-id"},
}  # fmt: skip


async def test_only_named_headers_go_up(tmp_path: Path) -> None:
    async with house(tmp_path) as (gateway, model, _, elsewhere):
        headers = {name: value.format(url=elsewhere) for name, value in HEADERS.items()}
        betas = {"openai-beta": "assistants=v2", "anthropic-beta": "tools-1"}
        body = {**chat_body("hi"), "model": "relayed"}
        answer = await gateway.post(
            "/v1/chat/completions", body, authorization="Bearer callers-key", **headers, **betas
        )
        assert answer.status_code == 200
        sent = model.journal[-1].headers
        assert set(sent) == OUTGOING["relayed"] | set(betas)
        assert sent["x-request-id"] == answer.headers["x-request-id"]


MODELS = [
    "anthropic/claude-sonnet-4-5",
    "azure/gpt-4o",
    "bedrock/anthropic.claude-3-5-sonnet-20240620-v1:0",
    "bedrock/converse/amazon.nova-pro-v1:0",
    "gemini/gemini-2.5-flash",
    "groq/llama-4",
    "mistral/pixtral",
    "ollama/llava",
    "ollama_chat/llava",
    "openai/gpt-4o",
    "openrouter/openai/gpt-4o",
    "perplexity/sonar",
    "together_ai/x",
    "xai/grok-4",
]


def parts_with(url: str) -> list[dict[str, Any]]:
    """Every kind of part that some library takes an address from."""
    return [
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "image_url", "image_url": url},
        {"type": "image_url", "image_url": {"url": f" {url}"}},
        {"type": "text", "text": "x", "image_url": {"url": url}},
        {"type": "image", "source": {"type": "url", "url": url}},
        {"type": "file", "file": {"file_id": url, "format": "application/pdf"}},
        {"type": "file", "file": {"file_data": url, "filename": "a.pdf"}},
        {"type": "document", "source": {"type": "url", "url": url}},
        {"type": "input_audio", "input_audio": {"data": url, "format": "wav"}},
        {"type": "video_url", "video_url": {"url": url}},
    ]


@pytest.fixture
async def trusting() -> AsyncIterator[LitellmProvider]:
    """The provider with litellm's own guard of addresses taken away, so that only ours is left."""
    provider = LitellmProvider()
    await provider.load()
    import litellm

    litellm.user_url_validation = False
    yield provider
    litellm.user_url_validation = True
    await provider.aclose()


@pytest.mark.parametrize("role", ["user", "tool"])
async def test_nothing_that_a_message_names_is_fetched_by_litellm(trusting: LitellmProvider, role: str) -> None:
    model, forbidden = StandIn("m", lambda text: "fine"), Forbidden()
    async with model.serve() as base, forbidden.serve() as elsewhere:
        address = elsewhere.removeprefix("http://")
        for name in MODELS:
            spec = ModelSpec("m", "large", name, provider="litellm", base_url=base, api_key="k", timeouts=HASTY)
            urls = (f"http://{address}/a.png", f"HTTPS://{address}/a.png", f"https://{address}/a.png")
            for part in (part for url in urls for part in parts_with(url)):
                messages: list[dict[str, Any]] = [{"role": "user", "content": "what is this?"}]
                if role == "tool":
                    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
                    messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
                    messages.append({"role": "tool", "tool_call_id": "c1", "content": [part]})
                else:
                    messages.append({"role": "user", "content": [{"type": "text", "text": "this"}, part]})
                arguments = arguments_for(Call(spec, b"", False, "r", {}), {"messages": messages})
                if isinstance(arguments, WholeAnswer):
                    assert arguments.status == 400
                    continue
                try:
                    answer = await trusting.open(Call(spec, orjson.dumps({"messages": messages}), False, "r", {}))
                    await answer.aclose()
                except UpstreamError:
                    pass
                assert forbidden.connections == 0, f"{name} {part}"


async def test_the_relay_passes_addresses_on_and_fetches_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as (gateway, model, forbidden, elsewhere):
        for part in parts_with(f"{elsewhere}/cat.png"):
            body = {"model": "relayed", "messages": [{"role": "user", "content": [part]}]}
            answer = await gateway.post("/v1/chat/completions", body, authorization="Bearer callers-key")
            assert answer.status_code in (200, 400), answer.text
            assert elsewhere.encode() in model.journal[-1].body
        assert forbidden.connections == 0


@pytest.mark.parametrize(("url", "status"), [("http://a.test/x.png", 400), ("https://a.test/x.png", 200)])
async def test_a_provider_that_reads_addresses_gets_them(tmp_path: Path, url: str, status: int) -> None:
    async with house(tmp_path) as (gateway, model, _, _elsewhere):
        parts = [{"type": "text", "text": "see https://a.test/page"}, {"type": "image_url", "image_url": {"url": url}}]
        body = {"model": "rendered", "messages": [{"role": "user", "content": parts}]}
        answer = await gateway.post("/v1/chat/completions", body, authorization="Bearer callers-key")
        assert answer.status_code == status, answer.text
        if status == 200:
            assert url.encode() in model.journal[-1].body
        else:
            error = answer.json()["error"]
            assert (error["code"], error["param"]) == ("unsupported_address", "messages[0].content[1]")


BACK = {
    "set-cookie": "upstream=cookie", "server": "upstream-server", "authorization": "Bearer upstream", "via": "1.1 up",
    "x-forwarded-for": "10.0.0.1", "x-ratelimit-remaining-requests": "7", "x-ratelimit-limit-tokens": "9",
    "openai-organization": "the-gateways-org", "x-request-id": "upstreams-id", "location": "http://evil.example",
    "x-signalbox-model": "forged", "access-control-allow-origin": "*", "strict-transport-security": "max-age=1",
    "x-should-retry": "true", "www-authenticate": "Basic", "cf-ray": "1", "content-security-policy": "x",
    "openai-processing-ms": "12", "alt-svc": "h3", "link": "</x>; rel=preload", "refresh": "0", "trailer": "x",
}  # fmt: skip


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("stream", [False, True])
async def test_only_named_headers_come_back(tmp_path: Path, stream: bool, status: int) -> None:
    chunk = b'data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    whole = b'{"id":"1","object":"chat.completion","created":1,"model":"m","choices":[]}'
    body = chunk if stream and status == 200 else whole
    kind = "text/event-stream" if stream and status == 200 else "application/json"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        lines = [f"HTTP/1.1 {status} X", f"content-type: {kind}", f"content-length: {len(body)}", "connection: close"]
        lines += [f"{name}: {value}" for name, value in BACK.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, CANARY_HOST, 0)
    url = f"http://{CANARY_HOST}:{server.sockets[0].getsockname()[1]}"
    async with running(tmp_path, POLICY.format(models=url)) as gateway:
        came = await gateway.post("/v1/chat/completions", {**chat_body("hi", stream=stream), "model": "relayed"})
    server.close()
    assert came.status_code == status
    theirs = {name for name in came.headers if not name.startswith("x-signalbox-")}
    assert theirs - {"content-length", "transfer-encoding"} == {
        "content-type",
        "date",
        "openai-processing-ms",
        "x-request-id",
    }
    assert came.headers["x-request-id"].startswith("req_")
    assert came.headers.get_list("x-signalbox-model") == ["relayed"]
