"""Relays to whoever speaks OpenAI's chat protocol: bytes out untouched, bytes in untouched, over one shared session.

An answer is only returned once it is known to be one, so that everything that can go wrong before the first content
byte can still be asked of another model. Retries and fallbacks are for plans to do.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
from yarl import URL

from router.domain import ModelSpec
from router.errors import UpstreamBroken, UpstreamRefusedKey
from router.upstream.answers import EVENT_STREAM, JSON, WholeAnswer, as_stream
from router.upstream.contract import Answer, Call
from router.upstream.refusals import PASSED_ON, error_in_answer, patience, ran_out, refusal
from router.upstream.relayed import RelayedStream, broken_by
from router.upstream.sse import StreamTap

DEFAULT_BASE_URL = "https://api.openai.com/v1"
MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""A plain answer, or what comes before a stream's first content, may have so many bytes."""

_HEADERS_OUT = {"content-type": JSON, "accept": "*/*", "accept-encoding": "identity", "user-agent": "signalbox"}

_HEADERS_BACK = ("content-type", "openai-processing-ms")
"""What the caller may see of an upstream's headers. Rate limits are the gateway's account, not the caller's."""

_LARGE_BODY_BYTES = 1024 * 1024
_MAY_BEGIN_SSE = b":deir"
"""First letters of a comment and of the four fields: data, event, id, retry."""


@dataclass(frozen=True, slots=True)
class _Target:
    """All that is the same for every call to one model."""

    model: ModelSpec
    url: URL
    headers: Mapping[str, str]
    timeout: aiohttp.ClientTimeout


class OpenAIRelay:
    """`contract.Upstream` for OpenAI-compatible servers. The session is made on the loop of the first call."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._targets: dict[int, _Target] = {}

    async def aclose(self) -> None:
        """Closes every connection, also those of streams that are still read."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def open(self, call: Call) -> Answer:
        """Asks the upstream and waits until an answer is sure. Raises UpstreamError."""
        model, session = call.model, self._session or self._make_session()
        target, times = self._target(model), model.timeouts
        now = asyncio.get_running_loop().time()
        first_at, ends = now + patience(model, stream=call.stream), now + times.total
        response: aiohttp.ClientResponse | None = None
        try:
            async with asyncio.timeout_at(first_at) as limit:
                response = await session.post(
                    target.url,
                    data=call.body if len(call.body) < _LARGE_BODY_BYTES else io.BytesIO(call.body),
                    headers={**call.headers, **target.headers, "x-request-id": call.request_id},
                    timeout=target.timeout,
                    allow_redirects=False,
                )
                if response.status == 200 and call.stream:
                    return await _stream(model, response, ends)
                return await _whole(model, response, limit, ends)
        except BaseException as error:
            if response is not None:
                response.close()
            if isinstance(error, TimeoutError) and limit.expired():
                when = limit.when()
                which = "total" if when == ends else "first_token" if when == first_at else "idle"
                raise ran_out(model, which) from None
            if isinstance(error, aiohttp.ClientError | OSError | ValueError):
                raise broken_by(model, error, began=response is not None) from None
            raise

    def _make_session(self) -> aiohttp.ClientSession:
        self._session = aiohttp.ClientSession(
            # Not limited here: how many calls a model takes is its `max_concurrency`.
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=60, keepalive_timeout=30),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=_HEADERS_OUT,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            trust_env=False,
        )
        return self._session

    def _target(self, model: ModelSpec) -> _Target:
        """By identity: a policy's models live as long as the policy, and hashing one costs more than the lookup."""
        target = self._targets.get(id(model))
        if target is None or target.model is not model:
            if len(self._targets) > 256:  # policies were reloaded many times
                self._targets.clear()
            target = self._targets[id(model)] = _target_of(model)
        return target


def _target_of(model: ModelSpec) -> _Target:
    """Raises UpstreamError for a base_url or key that nothing can be done with."""
    try:
        base = URL(model.base_url or DEFAULT_BASE_URL)
        url = base.with_path(base.raw_path.rstrip("/") + "/chat/completions", encoded=True, keep_query=True)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise UpstreamBroken(f"The base_url of model `{model.name}` cannot be used.")
    headers: dict[str, str] = {}
    if model.api_key:
        key = model.api_key.strip()
        if not (key.isascii() and key.isprintable()):
            raise UpstreamRefusedKey(f"The api_key of model `{model.name}` holds what no header may hold.")
        headers["authorization"] = f"Bearer {key}"
        url = url.with_user(None)
    return _Target(model, url, headers, aiohttp.ClientTimeout(total=None, connect=model.timeouts.connect))


async def _whole(
    model: ModelSpec, response: aiohttp.ClientResponse, limit: asyncio.Timeout, ends: float
) -> WholeAnswer:
    """A plain answer, or one of the refusals that the caller is shown. Raises UpstreamError for all else."""
    if response.status != 200 and response.status not in PASSED_ON:
        raise refusal(model, response.status, response.headers)
    loop, idle = asyncio.get_running_loop(), model.timeouts.idle
    pieces: list[bytes] = []
    size = 0
    while piece := await response.content.readany():
        pieces.append(piece)
        size += len(piece)
        _check_size(model, size)
        if not response.content.is_eof():
            limit.reschedule(min(loop.time() + idle, ends))
    body = b"".join(pieces)
    if response.status == 200:
        _completion(model, body)
    elif model.api_key and (key := model.api_key.strip().encode()) in body:  # "incorrect API key provided: ..."
        body = body.replace(key, b"***")
    return WholeAnswer(response.status, _headers_back(response, JSON), body)


async def _stream(model: ModelSpec, response: aiohttp.ClientResponse, ends: float) -> Answer:
    """A stream whose first content is here, or which ended well without any. Raises UpstreamError."""
    tap = StreamTap(strip_usage=False, collect_limit=0)
    read = bytearray()
    known = False
    while piece := await response.content.readany():
        read += piece
        _check_size(model, len(read))
        if not known and (start := read.lstrip(b"\xef\xbb\xbf \r\n\t")):
            known = True
            if start[:1] == b"{":
                return await _plain_after_all(model, response, bytes(read))
            if start[0] not in _MAY_BEGIN_SSE:
                raise UpstreamBroken(f"The upstream of model `{model.name}` sent something else than a stream.")
        tap.feed(piece)
        if _is_sure(model, tap):
            headers = _headers_back(response, EVENT_STREAM)
            if not headers["content-type"].startswith("text/event-stream"):
                headers["content-type"] = EVENT_STREAM
            return RelayedStream(model, response, headers, bytes(read), ends)
    tap.finish()
    if not _is_sure(model, tap):
        raise UpstreamBroken(f"The stream of model `{model.name}` ended before any content.")
    return WholeAnswer(200, {"content-type": EVENT_STREAM}, bytes(read), streamed=True)


def _is_sure(model: ModelSpec, tap: StreamTap) -> bool:
    """Whether an answer is coming. Raises UpstreamError where it is sure that none is."""
    if tap.saw_content:
        return True
    if tap.error is not None:
        raise error_in_answer(model, tap.error)
    if tap.malformed:
        raise UpstreamBroken(f"The stream of model `{model.name}` holds something that is not JSON.")
    return tap.saw_done or tap.finish_reason is not None


async def _plain_after_all(model: ModelSpec, response: aiohttp.ClientResponse, read: bytes) -> WholeAnswer:
    """A stream was asked for and JSON came: an error, or a completion that is made into the stream it stands for."""
    pieces = [read]
    size = len(read)
    while piece := await response.content.readany():
        pieces.append(piece)
        size += len(piece)
        _check_size(model, size)
    body = as_stream(_completion(model, b"".join(pieces)))
    return WholeAnswer(200, {"content-type": EVENT_STREAM}, body, streamed=True)


def _completion(model: ModelSpec, body: bytes) -> dict[str, Any]:
    """The parsed body of a 200. Raises UpstreamError where it is no completion."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise UpstreamBroken(f"The answer of model `{model.name}` is not JSON.") from None
    if isinstance(answer, dict) and (error := answer.get("error")):
        raise error_in_answer(model, error if isinstance(error, dict) else {})
    if not isinstance(answer, dict) or not isinstance(answer.get("choices"), list):
        raise UpstreamBroken(f"The answer of model `{model.name}` is no completion.")
    return answer


def _check_size(model: ModelSpec, size: int) -> None:
    if size > MAX_ANSWER_BYTES:
        raise UpstreamBroken(f"The answer of model `{model.name}` is larger than {MAX_ANSWER_BYTES >> 20} MB.")


def _headers_back(response: aiohttp.ClientResponse, content_type: str) -> dict[str, str]:
    headers = {name: value for name in _HEADERS_BACK if (value := response.headers.get(name)) is not None}
    headers.setdefault("content-type", content_type)
    return headers
