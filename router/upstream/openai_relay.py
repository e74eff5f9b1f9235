"""Relays to whoever speaks OpenAI's chat protocol: bytes out untouched, bytes in untouched, over kept connections.

An answer is only returned once it is known to be one, so that everything that can go wrong before the first content
byte can still be asked of another model. Retries and fallbacks are for plans to do.
"""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from router.domain import ModelSpec
from router.errors import UpstreamBroken, UpstreamClosed, UpstreamTimeout
from router.upstream.answers import EVENT_STREAM, JSON, WholeAnswer, as_stream
from router.upstream.contract import Answer, Call
from router.upstream.http1.connection import Connection
from router.upstream.http1.failures import HttpFailure, TooLarge
from router.upstream.http1.pool import Pool
from router.upstream.http1.response import Response
from router.upstream.leniency import read_json
from router.upstream.refusals import PASSED_ON, error_in_answer, patience, ran_out, refusal
from router.upstream.relayed import MAX_ANSWER_BYTES, Clock, RelayedStream, broken_by
from router.upstream.sse import BYTES_PER_TOKEN, StreamTap
from router.upstream.target import Target

_HEADERS_BACK = ("content-type", "openai-processing-ms")
"""What the caller may see of an upstream's headers. Rate limits are the gateway's account, not the caller's."""

_MAY_BEGIN_SSE = b":deir"
"""First letters of a comment and of the four fields: data, event, id, retry."""


class OpenAIRelay:
    """`contract.Upstream` for OpenAI-compatible servers. Its connections live on the loop of the first call."""

    def __init__(self) -> None:
        self._pool: Pool | None = None
        self._targets: dict[int, Target] = {}

    async def aclose(self) -> None:
        """Closes every connection, also those of streams that are still read."""
        if (pool := self._pool) is not None:
            self._pool = None
            await pool.aclose()

    async def open(self, call: Call) -> Answer:
        """Asks the upstream once and waits until an answer is sure. Raises UpstreamError.

        Once: where a kept connection was closed by the other side just as the call went out, and no byte came back,
        that is UpstreamClosed. Nobody can tell whether such a POST was read (RFC 9112 9.3.1), so asking again is an
        attempt that the ledger has to know of, and left to who counts attempts.
        """
        model, loop = call.model, asyncio.get_running_loop()
        now = loop.time()
        first_at, ends = now + patience(model, stream=call.stream), now + model.timeouts.total
        target = self._target(model)
        head = target.head(call)
        if (pool := self._pool) is None:
            pool = self._pool = Pool(loop)
        connection = pool.take(target.origin, now) or await _connected(pool, target, now, first_at, ends)
        response: Response | None = None
        clock: Clock | None = None
        try:
            response = connection.begin(head, call.body)
            clock = Clock(loop, model, response, first_at, ends)
            await connection.send_rest(call.body)
            await response.head()
            if response.status == 200 and call.stream:
                return await _stream(model, response, clock)
            return await _whole(model, response, clock)
        except BaseException as error:
            if clock is not None:
                clock.stop()
            if response is None:
                connection.abort()
            else:
                response.close()
            if isinstance(error, HttpFailure):
                ours = broken_by(model, error)
                if isinstance(ours, UpstreamClosed):
                    pool.drop(target.origin)
                ours.written_tokens = _written(call, response)
                raise ours from None
            if isinstance(error, UpstreamTimeout):
                error.written_tokens = _written(call, response)
            raise

    def _target(self, model: ModelSpec) -> Target:
        """By identity: a policy's models live as long as the policy, and hashing one costs more than the lookup."""
        target = self._targets.get(id(model))
        if target is None or target.model is not model:
            if len(self._targets) > 256:  # policies were reloaded many times
                self._targets.clear()
            target = self._targets[id(model)] = Target(model)
        return target


async def _connected(pool: Pool, target: Target, now: float, first_at: float, ends: float) -> Connection:
    """A new connection, within the time for it. Raises UpstreamError."""
    model = target.model
    connect_at = now + model.timeouts.connect
    until = min(connect_at, first_at)
    try:
        async with asyncio.timeout_at(until) as limit:
            return await pool.connect(target.origin)
    except OSError as error:
        if isinstance(error, TimeoutError) and limit.expired():
            which = "connect" if until == connect_at else "total" if until == ends else "first_token"
            raise ran_out(model, which) from None
        raise broken_by(model, error) from None


async def _whole(model: ModelSpec, response: Response, clock: Clock) -> WholeAnswer:
    """A plain answer, or one of the refusals that the caller is shown. Raises UpstreamError for all else."""
    status = response.status
    if status != 200 and status not in PASSED_ON:
        told = {name.decode("latin-1"): value.decode("latin-1") for name, value in response.headers.items()}
        raise refusal(model, status, told)
    body = response.take() if response.complete else await _all_of(response, clock, await response.read())
    clock.stop()
    if status == 200:
        return WholeAnswer(200, _headers_back(response, JSON), body, completion=_relayable(model, body))
    if model.api_key and (key := model.api_key.strip().encode()) in body:  # "incorrect API key provided: ..."
        body = body.replace(key, b"***")
    return WholeAnswer(status, _headers_back(response, JSON), body)


async def _stream(model: ModelSpec, response: Response, clock: Clock) -> Answer:
    """A stream whose first content is here, or which ended well without any. Raises UpstreamError."""
    tap = StreamTap(strip_usage=False, collect_limit=0)
    held: list[bytes] = []
    size, known = 0, False
    while piece := await response.read():
        held.append(piece)
        size += len(piece)
        if size > MAX_ANSWER_BYTES:
            raise TooLarge
        if not known and (start := piece.lstrip(b"\xef\xbb\xbf \r\n\t")[:1]):
            known = True
            if start == b"{":
                return await _plain_after_all(model, response, clock, b"".join(held))
            if start not in _MAY_BEGIN_SSE:
                raise UpstreamBroken(f"The upstream of model `{model.name}` sent something else than a stream.")
        if _becomes_sure(model, tap, piece):
            headers = _headers_back(response, EVENT_STREAM)
            if not headers["content-type"].startswith("text/event-stream"):
                headers["content-type"] = EVENT_STREAM
            clock.answer_began()
            return RelayedStream(model, response, clock, headers, b"".join(held))
    clock.stop()
    tap.finish()
    if not _is_sure(model, tap):
        raise UpstreamBroken(f"The stream of model `{model.name}` ended before any content.")
    return WholeAnswer(200, {"content-type": EVENT_STREAM}, b"".join(held), streamed=True)


def _becomes_sure(model: ModelSpec, tap: StreamTap, piece: bytes) -> bool:
    """Feeds the tap no further than it takes to know; a burst would be looked through for nothing."""
    start = 0
    while start < len(piece):
        end = piece.find(b"\n\n", start) + 2
        if end < 2:
            end = len(piece)
        tap.feed(piece[start:end])
        if _is_sure(model, tap):
            return True
        start = end
    return False


def _is_sure(model: ModelSpec, tap: StreamTap) -> bool:
    """Whether an answer is coming. Raises UpstreamError where it is sure that none is."""
    if tap.saw_content:
        return True
    if tap.error is not None:
        raise error_in_answer(model, tap.error)
    if tap.malformed:
        raise UpstreamBroken(f"The stream of model `{model.name}` holds something that is not JSON.")
    return tap.saw_done or tap.finish_reason is not None


async def _plain_after_all(model: ModelSpec, response: Response, clock: Clock, read: bytes) -> WholeAnswer:
    """A stream was asked for and JSON came: an error, or a completion that is made into the stream it stands for."""
    body = read + await response.rest(MAX_ANSWER_BYTES - len(read))
    clock.stop()
    if (completion := _relayable(model, body)) is None:
        raise UpstreamBroken(f"The answer of model `{model.name}` is no strict JSON, and cannot be made into a stream.")
    return WholeAnswer(200, {"content-type": EVENT_STREAM}, as_stream(completion), streamed=True)


async def _all_of(response: Response, clock: Clock, first: bytes) -> bytes:
    """The body from its first piece on, which began the time in which silence counts."""
    clock.answer_began()
    return first + await response.rest(MAX_ANSWER_BYTES - len(first))


def _relayable(model: ModelSpec, body: bytes) -> dict[str, Any] | None:
    """The parsed body of a 200; None where it is a completion, but no strict JSON. Raises UpstreamError for others."""
    try:
        return _completion(model, orjson.loads(body))
    except orjson.JSONDecodeError:
        pass
    try:
        _completion(model, read_json(body))
    except ValueError:
        raise UpstreamBroken(f"The answer of model `{model.name}` is not JSON.") from None
    return None


def _completion(model: ModelSpec, answer: Any) -> dict[str, Any]:
    """This very answer of a 200. Raises UpstreamError where it is no completion."""
    if isinstance(answer, dict) and (error := answer.get("error")):
        raise error_in_answer(model, error if isinstance(error, dict) else {})
    if not isinstance(answer, dict) or not isinstance(answer.get("choices"), list):
        raise UpstreamBroken(f"The answer of model `{model.name}` is no completion.")
    return answer


def _written(call: Call, response: Response | None) -> int | None:
    """Tokens of an answer that broke off; None where none had begun, 0 for a stream that came to no content."""
    if response is None or response.status != 200 or not response.received:
        return None
    return 0 if call.stream else max(1, response.received // BYTES_PER_TOKEN)


def _headers_back(response: Response, content_type: str) -> dict[str, str]:
    headers = {name: value for name in _HEADERS_BACK if (value := response.header(name)) is not None}
    headers.setdefault("content-type", content_type)
    return headers
