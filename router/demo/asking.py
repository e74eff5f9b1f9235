"""How the demo speaks to the gateway: as any application would, through the openai client, plus a few plain calls.

Nothing here knows what the answers should have been; `router.demo.story` compares.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from router.demo.questions import Question, body
from router.demo.stage import StageError

if TYPE_CHECKING:
    import httpx
    from openai import AsyncOpenAI

CONCURRENCY = 8
"""How many requests are under way at once. The stand-ins are idle most of the time; the machine has few cores."""

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True, slots=True)
class Reply:
    """What one question got, and what the response headers say of it. overhead_ms: the gateway's own share."""

    question: Question
    streamed: bool
    text: str
    request_id: str
    model: str
    rule: str
    cache: str
    overhead_ms: float


class Client:
    """One application: an openai client for chat, and the same connections for everything else."""

    def __init__(self, address: str, max_tokens: int | None = None):
        """address: of the gateway, without a path. max_tokens: the most that an answer may have, for paid models."""
        import httpx
        from openai import AsyncOpenAI

        self._limit: dict[str, Any] = {} if max_tokens is None else {"max_tokens": max_tokens}
        self._http: httpx.AsyncClient = httpx.AsyncClient(base_url=address, trust_env=False, timeout=60)
        self._openai: AsyncOpenAI = AsyncOpenAI(
            base_url=f"{address}/v1", api_key="demo", max_retries=0, http_client=self._http
        )

    async def aclose(self) -> None:
        await self._openai.close()

    async def ask(self, question: Question, *, stream: bool) -> Reply:
        """Asks one question on route `auto`. Raises StageError when it is not answered."""
        create = self._openai.chat.completions.with_raw_response.create
        with _told_as_stage_error(question.text):
            raw: Any = await create(model="auto", stream=stream, **body(question), **self._limit)
            text = await _streamed_text(raw.parse()) if stream else raw.parse().choices[0].message.content or ""
        headers: Mapping[str, str] = raw.headers
        return Reply(
            question,
            stream,
            text,
            headers["x-request-id"],
            headers["x-signalbox-model"],
            headers["x-signalbox-rule"],
            headers["x-signalbox-cache"],
            float(headers["x-signalbox-overhead-ms"]),
        )

    async def thumb(self, reply: Reply, *, up: bool) -> None:
        """Gives an answer a thumb."""
        thumb = {"request_id": reply.request_id, "thumb": "up" if up else "down"}
        await self._call("POST", "/v1/feedback", thumb)

    async def route(self, question: Question) -> dict[str, Any]:
        """What the gateway would decide now; nothing is called."""
        return await self._call("POST", "/v1/route", {"model": "auto", **body(question)})

    async def get(self, path: str) -> dict[str, Any]:
        """A JSON document of the gateway. Raises StageError, as every call here does."""
        return await self._call("GET", path)

    async def _call(self, method: str, path: str, value: Mapping[str, Any] | None = None) -> dict[str, Any]:
        with _told_as_stage_error(f"{method} {path}"):
            answer = await self._http.request(method, path, json=value)
            answer.raise_for_status()
            document: dict[str, Any] = answer.json()
        return document


async def each(items: Iterable[In], do: Callable[[In], Awaitable[Out]]) -> list[Out]:
    """Does something to every item, a few at a time, and returns the results in order."""
    places = asyncio.Semaphore(CONCURRENCY)

    async def one(item: In) -> Out:
        async with places:
            return await do(item)

    return list(await asyncio.gather(*map(one, items)))


async def _streamed_text(chunks: Any) -> str:
    parts = [chunk.choices[0].delta.content or "" async for chunk in chunks if chunk.choices]
    return "".join(parts)


@contextmanager
def _told_as_stage_error(what: str) -> Iterator[None]:
    import httpx
    import openai

    try:
        yield
    except (httpx.HTTPError, openai.OpenAIError) as error:
        raise StageError(f"{what[:60]!r} was not answered: {error or type(error).__name__}") from error
