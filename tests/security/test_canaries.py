"""Secrets planted in every place that holds one, and looked for in everything that can be read from outside."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from router.app import assemble
from router.settings import Settings
from router.upstream.standin import Fault, StandIn
from tests.running import Running, running
from tests.security.process import CLEAN, Process, serving, standing
from tests.telemetry.collector import collecting

API_KEY = "canary-api-key-1c5e0b7a"
ADMIN_KEY = "canary-admin-key-9d27f4e1"
MODEL_KEY = "sk-canary-model-key-47ab90de"
LITELLM_KEY = "sk-canary-litellm-key-5e6f7a8b"
COLLECTOR_KEY = "canary-collector-key-31d0a9cc"
CACHE_SECRET = "canary-cache-secret-03fe21bc"
REDIS_PASSWORD = "canary-redis-word-6b8d0c11"
DATABASE_PASSWORD = "canary-database-word-f00dbabe"
IN_URL = "canary-url-word-77aa11cc"
IN_PROMPT = "canary-prompt-words-2468ace0"
IN_ANSWER = "canary-answer-words-13579bdf"
WRONG_KEY = "canary-wrong-key-aabbccdd"

CANARIES = {name: value for name, value in dict(globals()).items() if isinstance(value, str) and "canary" in value[:12]}

POLICY = f"""
version: 1
models:
  small: {{{{tier: small, model: m, base_url: "{{small}}/v1", api_key: "${{{{MODEL_KEY}}}}", retries: 0}}}}
  odd: {{{{tier: small, model: o, base_url: "http://127.0.0.1:9/v1?word={IN_URL}", retries: 0}}}}
  large: {{{{tier: large, provider: litellm, model: "anthropic/claude-sonnet-4-5", base_url: "{{large}}",
           api_key: "${{{{LITELLM_KEY}}}}", retries: 0}}}}
default: small
routes:
  auto: {{{{baseline: large, rules: [{{{{name: all, when: "true", use: small, fallback: [large]}}}}], cache: {{{{exact: {{{{ttl: 1h}}}}}}}}}}}}
"""  # noqa: E501

ENVIRONMENT = {
    "MODEL_KEY": MODEL_KEY,
    "LITELLM_KEY": LITELLM_KEY,
    "SIGNALBOX_API_KEYS": f"acme:{API_KEY}",
    "SIGNALBOX_ADMIN_KEY": ADMIN_KEY,
    "SIGNALBOX_CACHE_SECRET": CACHE_SECRET,
    "SIGNALBOX_REDIS_URL": f"redis://me:{REDIS_PASSWORD}@127.0.0.1:1/0",
    "SIGNALBOX_DATABASE_URL": f"postgresql://me:{DATABASE_PASSWORD}@127.0.0.1:1/ledger",
    "SIGNALBOX_LOG_LEVEL": "debug",
    "OTEL_EXPORTER_OTLP_HEADERS": f"x-collector-key={COLLECTOR_KEY}",
    "SIGNALBOX_GRACE_SECONDS": "1",
}


@dataclass
class Scene:
    """A gateway with canaries in it, and what it said to whoever asked."""

    process: Process
    told: dict[str, str]

    def keep(self, name: str, answer: httpx.Response) -> httpx.Response:
        self.told[f"{len(self.told)} {name} {answer.status_code}"] = f"{answer.headers}\n{answer.text}"
        return answer


def visited(folder: Path, environment: dict[str, str]) -> Iterator[Scene]:
    """Everything is asked for, well and badly, on all doors."""
    small, large = (StandIn(name, lambda text: IN_ANSWER) for name in ("small", "large"))
    with standing(small, large) as (small_url, large_url), collecting() as collector:
        environment = {**environment, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        with serving(folder, POLICY.format(small=small_url, large=large_url), **environment) as process:
            scene = Scene(process, {})
            with httpx.Client(base_url=process.url, trust_env=False, timeout=30) as client:
                mine = {"authorization": f"Bearer {API_KEY}"}
                chat = {"messages": [{"role": "user", "content": f"say {IN_PROMPT}"}]}
                answered = []
                for model in ("auto", "large", "odd", "nobody"):
                    for stream in (False, True):
                        for fault in (
                            None,
                            Fault("status", 401),
                            Fault("status", 500),
                            Fault("html"),
                            Fault("malformed"),
                        ):
                            if fault is not None:
                                small.script.append(fault)
                                large.script.append(fault)
                            body = {**chat, "model": model, "stream": stream}
                            came = client.post("/v1/chat/completions", json=body, headers=mine)
                            small.script.clear()
                            large.script.clear()
                            if came.status_code != 200:
                                scene.keep(f"chat {model}", came)
                            else:
                                scene.told[f"{len(scene.told)} head"] = str(came.headers)
                            answered.append(came.headers["x-request-id"])
                for path in ("/v1/route", "/v1/feedback", "/v1/chat/completions", "/login"):
                    for body in (b"", b"{", json.dumps({**chat, "model": "auto"}).encode()):
                        for key in (API_KEY, WRONG_KEY):
                            if path == "/v1/chat/completions" and key == API_KEY and len(body) > 2:
                                continue  # an answer, which holds what the model said
                            headers = {"authorization": f"Bearer {key}"}
                            scene.keep(path, client.post(path, content=body, headers=headers))
                pages = ["/", "/dashboard", "/dashboard/requests", "/dashboard/reference", "/docs", "/openapi.json"]
                pages += ["/metrics", "/api/costs", "/api/requests", "/api/summary", "/healthz", "/readyz", "/login"]
                pages += ["/v1/models", "/nowhere", "/v1/nowhere", "/dashboard/policy", "/api/costs?since=x"]
                pages += [
                    f"/{place}/{request}"
                    for request in answered[:2]
                    for place in ("api/requests", "dashboard/requests", "v1/decisions")
                ]

                def look(path: str, key: str) -> httpx.Response:
                    return client.get(path, headers={"authorization": f"Bearer {key}", "accept": "text/html"})

                for path in pages:
                    scene.keep(path, look(path, ADMIN_KEY))
                with ThreadPoolExecutor(12) as crowd:  # most of them are turned away at once
                    for path, came in zip(pages, crowd.map(lambda path: look(path, WRONG_KEY), pages), strict=True):
                        scene.keep(path, came)
                form = {"origin": process.url}
                scene.keep("wrong login", client.post("/login", data={"key": WRONG_KEY}, headers=form))
                scene.keep("login", client.post("/login", data={"key": ADMIN_KEY}, headers=form))
                scene.keep("after login", client.get("/dashboard"))
            yield scene
    scene.told["stderr"] = process.said()
    scene.told["traces and metrics"] = b"".join(collector.raw).decode("latin-1")


@pytest.fixture(scope="module", params=["parts away", "parts well"])
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """With a database and a Redis that are out of reach, whose errors would name them; and with SQLite alone."""
    away = request.param == "parts away"
    environment = {
        name: value
        for name, value in ENVIRONMENT.items()
        if away or name not in ("SIGNALBOX_REDIS_URL", "SIGNALBOX_DATABASE_URL")
    }
    [scene] = visited(tmp_path_factory.mktemp("canaries"), environment)
    return scene


@pytest.mark.parametrize("name", CANARIES)
def test_a_canary_is_nowhere_to_be_seen(scene: Scene, name: str) -> None:
    assert len(scene.told) > 100
    leaks = [where for where, text in scene.told.items() if CANARIES[name] in text]
    assert not leaks, f"{name} in {leaks}"


def test_the_log_was_at_debug_level_and_had_something_to_say(scene: Scene) -> None:
    assert "DEBUG" in scene.told["stderr"]


def test_traces_and_metrics_were_sent(scene: Scene) -> None:
    assert "signalbox.request_id" in scene.told["traces and metrics"]
    assert "gen_ai.client.token.usage" in scene.told["traces and metrics"]


def test_no_part_shows_a_secret_when_printed(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    filled = POLICY.format(small="http://127.0.0.1:9", large="http://127.0.0.1:9")
    path.write_text(filled.replace("${MODEL_KEY}", MODEL_KEY).replace("${LITELLM_KEY}", LITELLM_KEY))
    settings = Settings(
        policy=path,
        data_dir=tmp_path,
        **{
            name.removeprefix("SIGNALBOX_").lower(): value for name, value in ENVIRONMENT.items() if "SIGNALBOX" in name
        },
    )
    gateway = assemble(settings)
    policy = gateway.policy.current
    parts = [settings, gateway, policy, *policy.models.values(), *policy.routes.values(), gateway.keys, gateway.door]
    parts += [gateway.cache, gateway.store, gateway.recorder, gateway.pipeline, gateway.judge, gateway.policy]
    for part in parts:
        for text in (repr(part), str(part)):
            leaks = [name for name, value in CANARIES.items() if value in text]
            assert not leaks, f"{leaks} in {type(part).__name__}: {text[:2000]}"


class Parrot:
    """A provider that answers with this status, and with all that it was sent, our key among it."""

    def __init__(self, status: int):
        self._status = status

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        told = {
            "error": {"message": f"I was sent {head.decode()}", "type": "x", "code": MODEL_KEY, "param": LITELLM_KEY}
        }
        body = json.dumps(told).encode()
        fields = f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close"
        writer.write(f"HTTP/1.1 {self._status} X\r\n{fields}\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()


STATUSES = [200, 400, 401, 404, 422, 429, 500]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parrots(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A gateway with two models for each status: one by relay, one by litellm."""
    models = []
    async with AsyncExitStack() as stack:
        for status in STATUSES:
            url = await stack.enter_async_context(Parrot(status).serve())
            models.append(
                f'small{status}: {{tier: small, model: m, base_url: "{url}/v1", api_key: {MODEL_KEY}, retries: 0}}'
            )
            provider = 'provider: litellm, model: "anthropic/claude-sonnet-4-5"'
            models.append(
                f'large{status}: {{tier: large, {provider}, base_url: "{url}", api_key: {LITELLM_KEY}, retries: 0}}'
            )
        policy = "\n  ".join(["version: 1\nmodels:", *models]) + "\ndefault: small200\nroutes: {auto: {}}\n"
        yield await stack.enter_async_context(running(tmp_path_factory.mktemp("parrots"), policy))


@pytest.mark.parametrize("model", ["small", "large"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.asyncio(loop_scope="module")
async def test_an_upstream_that_repeats_our_key_tells_no_caller(
    parrots: Running, model: str, stream: bool, status: int
) -> None:
    came = await parrots.chat("hi", stream=stream, model=f"{model}{status}")
    assert came.status_code >= 400
    assert "no_healthy_model" not in came.text
    # Their own keys only: that one model's provider knows another's key is past anybody's help.
    own = MODEL_KEY if model == "small" else LITELLM_KEY
    assert own not in came.text + str(came.headers)
    for place in ("/v1/decisions", "/api/requests"):
        assert own not in json.dumps(await parrots.get(f"{place}/{came.headers['x-request-id']}"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["policy", "check", "policy.yaml"],
        ["policy", "explain", "policy.yaml", "--json", "hello"],
        ["policy", "explain", "policy.yaml", "hello"],
        ["doctor", "--json"],
        ["doctor"],
        ["costs", "--json"],
        ["artefacts", "list"],
        ["serve", "--policy", "policy.yaml", "--host", "0.0.0.0"],
        ["serve", "--policy", "nowhere.yaml"],
    ],
    ids=" ".join,
)
def test_no_command_prints_a_secret(tmp_path: Path, arguments: list[str]) -> None:
    filled = POLICY.format(small="http://127.0.0.1:9", large="http://127.0.0.1:9")
    (tmp_path / "policy.yaml").write_text(filled)
    environment = {**CLEAN, **ENVIRONMENT, "SIGNALBOX_POLICY": "policy.yaml", "SIGNALBOX_DATA_DIR": str(tmp_path)}
    if "0.0.0.0" in arguments:
        del environment["SIGNALBOX_ADMIN_KEY"]
    ended = subprocess.run(
        [sys.executable, "-m", "router.cli", *arguments],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    said = ended.stdout + ended.stderr
    assert said
    leaks = [name for name, value in CANARIES.items() if value in said]
    assert not leaks, f"{leaks}: {said}"
