"""One house for both upstreams: a stand-in, the upstream that talks to it, and calls to make."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
import pytest

from router.domain import ModelSpec, Timeouts
from router.upstream.contract import Answer, Call, Upstream
from router.upstream.litellm_provider import LitellmProvider
from router.upstream.openai_relay import OpenAIRelay
from router.upstream.sse import StreamTap
from router.upstream.standin import Reply, StandIn

KEY = "sk-canary-5f0c1a"
SECRET_WORDS = "the heron keeps its letters under the seventh stone"


@dataclass
class House:
    """An upstream, the stand-in it reaches, and the model it reaches it as."""

    upstream: Upstream
    standin: StandIn
    model: ModelSpec
    kind: str
    opened: list[Answer] = field(default_factory=list)

    def call(self, question: str = SECRET_WORDS, *, stream: bool = False, **members: Any) -> Call:
        body: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": question}], **members}
        if stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return Call(self.model, orjson.dumps(body), stream, "req_1", {})

    async def open(self, *args: Any, **members: Any) -> Answer:
        answer = await self.upstream.open(self.call(*args, **members))
        self.opened.append(answer)
        return answer

    async def read(self, *args: Any, **members: Any) -> bytes:
        """The whole answer, opened, read and closed."""
        answer = await self.open(*args, **members)
        try:
            return await whole(answer)
        finally:
            await answer.aclose()

    def with_timeouts(self, **seconds: float) -> None:
        self.model = replace(self.model, timeouts=replace(self.model.timeouts, **seconds))


async def whole(answer: Answer) -> bytes:
    return b"".join([chunk async for chunk in answer.chunks()])


def heard(stream: bytes) -> tuple[StreamTap, list[dict[str, Any]]]:
    """What a tap makes of a stream, and its chunks."""
    tap = StreamTap(strip_usage=False, collect_limit=0)
    assert tap.feed(stream) + tap.finish() == stream
    lines = [line[6:] for line in stream.splitlines() if line.startswith(b"data: ") and line != b"data: [DONE]"]
    return tap, [orjson.loads(line) for line in lines]


@pytest.fixture(params=["relay", "litellm"])
async def house(request: pytest.FixtureRequest) -> AsyncIterator[House]:
    """Both upstreams, one after the other."""
    async for built in build(request.param):
        yield built


@pytest.fixture
async def relay() -> AsyncIterator[House]:
    async for built in build("relay"):
        yield built


@pytest.fixture
async def litellm() -> AsyncIterator[House]:
    async for built in build("litellm"):
        yield built


async def build(kind: str) -> AsyncIterator[House]:
    standin = StandIn("m", lambda question: Reply(f"You said: {question}", cached_tokens=2), api_key=KEY)
    async with standin.serve() as url:
        upstream: Upstream
        if kind == "relay":
            upstream = OpenAIRelay()
            model = ModelSpec("small", "small", "m", base_url=f"{url}/v1", api_key=KEY)
        else:
            upstream = LitellmProvider()
            await upstream.load()
            model = ModelSpec(
                "large", "large", "anthropic/claude-sonnet-4-5", provider="litellm", base_url=url, api_key=KEY
            )
        model = replace(model, timeouts=Timeouts(connect=5.0, first_token=10.0, idle=10.0, total=20.0))
        house = House(upstream, standin, model, kind)
        yield house
        for answer in house.opened:
            await answer.aclose()
        await upstream.aclose()
