"""Renders what litellm hands over in OpenAI's shape: one id, one model, the role once, usage at the end, `[DONE]`.

litellm's values are pydantic models; only `model_dump` of them is used, so nothing here needs litellm.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import orjson

from router.domain import ModelSpec
from router.errors import UpstreamBroken, UpstreamError
from router.upstream.answers import EVENT_STREAM
from router.upstream.litellm_errors import PassThrough, translate
from router.upstream.refusals import ran_out

_PRIVATE = frozenset({"provider_specific_fields"})
"""What litellm adds for itself and doubles elsewhere."""


def plain_body(response: Any) -> bytes:
    """A plain `chat.completion` as JSON bytes. Raises UpstreamBroken where nothing was answered."""
    told = response.model_dump(exclude_none=True)
    choices = [_choice(choice, "message") for choice in told.get("choices") or ()]
    if not choices:
        raise UpstreamBroken("The provider answered without any choice.")
    for choice in choices:
        choice["message"] = {"role": "assistant", "content": None, **choice["message"]}
    return orjson.dumps({**_head(told, "chat.completion"), "choices": choices, "usage": _counted(told)})


class RenderedStream:
    """`contract.Answer` over litellm's stream. Its own iterator: one reader, once."""

    status = 200
    streamed = True
    headers: Mapping[str, str] = {"content-type": EVENT_STREAM}

    def __init__(self, model: ModelSpec, stream: Any, opened: Sequence[Any], ends: float):
        """stream: a `CustomStreamWrapper`. opened: HTTP responses under it. ends: loop time of the total timeout."""
        self._model, self._stream, self._opened, self._ends = model, stream, opened, ends
        self._chunks: AsyncIterator[Any] = aiter(stream)
        self._head: dict[str, Any] = {}
        self._ready: deque[bytes] = deque()
        self._roles: set[int] = set()
        self._usage: dict[str, Any] | None = None
        self._over = False

    def chunks(self) -> AsyncIterator[bytes]:
        return self

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def first(self) -> None:
        """Reads up to the first content, or to the end of a stream without any. Foreign errors come out as they are."""
        while not self._over and not await self._read():
            pass

    async def __anext__(self) -> bytes:
        while not self._ready:
            if self._over:
                raise StopAsyncIteration
            await self._read_in_time()
        event = b"".join(self._ready)
        self._ready.clear()
        return event

    async def aclose(self) -> None:
        """Closes the connection to the provider, unless the stream was read to its end."""
        self._over = True
        await self._stream.aclose()
        for response in self._opened:
            await response.aclose()

    async def _read_in_time(self) -> None:
        now = asyncio.get_running_loop().time()
        idle_at = now + self._model.timeouts.idle
        try:
            async with asyncio.timeout_at(min(idle_at, self._ends)):
                await self._read()
        except UpstreamError:
            raise
        except TimeoutError:
            raise ran_out(self._model, "idle" if idle_at <= self._ends else "total") from None
        except Exception as error:
            meaning = translate(self._model, error)
            if isinstance(meaning, PassThrough):
                meaning = UpstreamBroken(f"The provider of model `{self._model.name}` broke off in mid-stream.")
            raise meaning from None

    async def _read(self) -> bool:
        """Takes in one chunk; True when it brought content, or a finish."""
        chunk = await anext(self._chunks, None)
        if chunk is None:
            self._end()
            return True
        told = chunk.model_dump(exclude_none=True)
        if not self._head:
            self._head = _head(told, "chat.completion.chunk")
        self._usage = _counted(told) or self._usage
        brought = False
        for choice in told.get("choices") or ():
            rendered = _choice(choice, "delta")
            delta = rendered["delta"]
            index = rendered["index"]
            delta.pop("role", None)
            if rendered["finish_reason"] is not None and self._was_cut_short():
                raise UpstreamBroken(f"The stream of model `{self._model.name}` ended without a finish.")
            if not delta and rendered["finish_reason"] is None:
                continue
            brought = brought or rendered["finish_reason"] is not None or any(delta.values())
            if index not in self._roles:
                self._roles.add(index)
                rendered["delta"] = {"role": "assistant", **delta}
            self._ready.append(self._event({"choices": [rendered]}))
        return brought

    def _was_cut_short(self) -> bool:
        """litellm makes a finish up where the provider sent none; its wrapper knows the difference."""
        wrapper = self._stream
        missing = object()
        received = getattr(wrapper, "received_finish_reason", missing)
        return received is None and getattr(wrapper, "intermittent_finish_reason", None) is None

    def _end(self) -> None:
        self._over = True
        if self._usage is not None:
            self._ready.append(self._event({"choices": [], "usage": self._usage}))
        self._ready.append(b"data: [DONE]\n\n")

    def _event(self, members: Mapping[str, Any]) -> bytes:
        return b"data: " + orjson.dumps({**self._head, **members}) + b"\n\n"


def _head(told: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {"id": told.get("id"), "object": kind, "created": told.get("created"), "model": told.get("model")}


def _counted(told: Mapping[str, Any]) -> dict[str, Any] | None:
    """The usage, without the price that litellm puts on it: prices are the policy's."""
    usage = told.get("usage")
    return {name: value for name, value in usage.items() if name != "cost"} if usage else None


def _choice(choice: Mapping[str, Any], said: str) -> dict[str, Any]:
    """One choice; said: `message` or `delta`."""
    words = {name: value for name, value in (choice.get(said) or {}).items() if name not in _PRIVATE}
    if calls := words.get("tool_calls"):
        if said == "message":  # indexes are for putting fragments together
            words["tool_calls"] = [{name: value for name, value in call.items() if name != "index"} for call in calls]
        words = {name: value for name, value in words.items() if value != ""}
    rendered: dict[str, Any] = {"index": choice.get("index", 0), said: words}
    if "logprobs" in choice:
        rendered["logprobs"] = choice["logprobs"]
    return {**rendered, "finish_reason": choice.get("finish_reason")}
