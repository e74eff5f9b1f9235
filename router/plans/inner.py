"""What all plans of several calls share: one answer read whole before anybody decides whether it goes out.

Whatever becomes of a call, what was billed for it is counted once: as the request's own row where its answer goes out
(`as_served`), else as a row under it (`as_inner`, or left behind here where the call was cut short or broke off).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from msgspec import Struct

from router.body import Body, parse_body
from router.domain import ModelSpec, Part, Purpose, Usage
from router.errors import UpstreamBroken, UpstreamError
from router.plans.contract import CUT_SHORT, InnerCall, Served, Work
from router.plans.heard import completion_of, said
from router.plans.reach import Reach
from router.upstream.answers import WholeAnswer, read_whole
from router.upstream.contract import Answer
from router.upstream.sse import StreamTap

MOST_BYTES = 16 * 1024 * 1024
"""An answer that is held in memory may have so many; one that is longer counts as broken."""

_BYTES_PER_TOKEN = 4
_READ_ASIDE_BYTES = 128 * 1024


class Drafted(Struct, frozen=True):
    """A whole answer of one model, and what it says.

    body: just as the upstream sent it, SSE bytes where `stream`, else JSON. status: 200, or a 400, 404 or 422 that
    would pass to the caller. completion: parsed, or put together from the events; None where it cannot be. text,
    tool_calls: of the first choice. usage: an estimate, marked as one, where the upstream counted nothing; None where
    `status` is not 200. at_unix, called: when the call began, by the two clocks. confidence: of its tokens.
    """

    model: ModelSpec
    part: Part | None
    status: int
    headers: Mapping[str, str]
    body: bytes
    stream: bool
    completion: dict[str, Any] | None
    text: str
    tool_calls: bool
    finish_reason: str | None
    usage: Usage | None
    at_unix: float
    called: float
    seconds: float
    confidence: float | None = None


AskOf = Callable[[Part, Work], Awaitable[Body]]
"""What a part is asked: the caller's body, with passages put before the ask where the part has a retriever."""


async def as_it_is(_part: Part, work: Work) -> Body:
    """An `AskOf` for where there are no retrievers."""
    return work.body


async def draft(
    reach: Reach,
    model: ModelSpec,
    work: Work,
    *,
    body: Body | None = None,
    part: Part | None = None,
    stream: bool | None = None,
    purpose: Purpose = "draft",
) -> Drafted:
    """Asks one model, with its retries, and reads its whole answer. Raises UpstreamError.

    body: what is asked; the caller's where None. stream: as the caller asked where None; False turns a streamed request
    into a plain one. purpose: under which a call that is cancelled here is written down; one that breaks off in the
    middle of its answer is an `attempt`. Several may run at once for one Work.
    """
    streamed = work.stream if stream is None else stream
    asked = as_plain(body or work.body) if work.stream and not streamed else body or work.body
    prompt = work.input_tokens + max(0, len(asked.text) - len(work.body.text)) // _BYTES_PER_TOKEN
    own = replace(
        work, body=asked, stream=streamed, calling=None, called=None, upstream_seconds=0.0, input_tokens=prompt
    )
    at_unix, called = time.time(), time.perf_counter()
    reading = _Reading(streamed)

    def left_behind(purpose: Purpose, status: int, error: UpstreamError | None = None) -> None:
        usage = reading.usage or Usage(uncached_input=prompt, output=reading.output_estimate, estimated=True)
        seconds = time.perf_counter() - called
        work.inner.append(InnerCall(purpose, model, at_unix, seconds, status, usage, error, reading.finish_reason))

    with waiting(work):
        served: Served | None = None
        try:
            served = await reach.open(model, own)
            if own.called is not None:
                at_unix, called = at_unix + own.called - called, own.called
            content = await reading.whole(served.answer)
        except asyncio.CancelledError:
            if served is not None or own.calling is not None:
                left_behind(purpose, CUT_SHORT)
            raise
        except UpstreamError as error:
            if served is not None:
                left_behind("attempt", error.status, error)
            raise
        finally:
            if served is not None:
                await served.aclose()
    answer = served.answer
    if answer.status != 200:
        completion, usage = None, None
    else:
        completion = reading.completion
        usage = reading.usage or Usage(uncached_input=prompt, output=reading.output_estimate, estimated=True)
    if streamed and completion is None and answer.status == 200:
        aside = len(content) > _READ_ASIDE_BYTES
        try:
            completion = await asyncio.to_thread(completion_of, content) if aside else completion_of(content)
        except asyncio.CancelledError:
            left_behind(purpose, answer.status)
            raise
    text, tool_calls = said(completion)
    return Drafted(
        model,
        part,
        answer.status,
        answer.headers,
        content,
        answer.streamed,
        completion,
        text,
        tool_calls,
        reading.finish_reason,
        usage,
        at_unix,
        called,
        time.perf_counter() - called,
    )


def as_inner(drafted: Drafted, purpose: Purpose) -> InnerCall:
    """The row of an answer that does not go out as it is."""
    return InnerCall(
        purpose,
        drafted.model,
        drafted.at_unix,
        drafted.seconds,
        drafted.status,
        drafted.usage,
        finish_reason=drafted.finish_reason,
    )


def as_served(drafted: Drafted, work: Work) -> Served:
    """The answer as it came, byte for byte; its call becomes the request's own row."""
    work.called, work.answered_by = drafted.called, drafted.model
    completion = None if drafted.stream else drafted.completion
    answer = WholeAnswer(drafted.status, drafted.headers, drafted.body, streamed=drafted.stream, completion=completion)
    return Served(drafted.model, answer, _nothing_is_open)


def changed(body: Body, replacements: Mapping[str, str]) -> Body:
    """A body with some top-level members set anew; all else stays as it was. replacements: name -> JSON text."""
    return parse_body(body.splice(replacements))


def as_plain(body: Body) -> Body:
    """The same ask without a stream, for an answer that no caller reads."""
    replacements = {"stream": "false"}
    if "stream_options" in body.values:
        replacements["stream_options"] = "null"
    return changed(body, replacements)


@contextmanager
def waiting(work: Work) -> Iterator[None]:
    """Time in which something away from here is waited for. Calls that run at once count their time once."""
    if not work.waiting:
        work.waiting_since = time.perf_counter()
    work.waiting += 1
    try:
        yield
    finally:
        work.waiting -= 1
        if not work.waiting:
            work.upstream_seconds += time.perf_counter() - work.waiting_since


def _nothing_is_open() -> None:
    return None


class _Reading:
    """One answer while it is being read: what can be said of it even where it breaks off."""

    def __init__(self, streamed: bool):
        self._tap = StreamTap(strip_usage=False, collect_limit=0) if streamed else None
        self.usage: Usage | None = None
        self.finish_reason: str | None = None
        self.output_estimate = 0
        self.completion: dict[str, Any] | None = None

    async def whole(self, answer: Answer) -> bytes:
        """The body. Raises UpstreamError where it breaks off, reports an error, or grows past `MOST_BYTES`."""
        if self._tap is None or not answer.streamed:
            content, seen = await read_whole(answer)
            if len(content) > MOST_BYTES:
                raise UpstreamBroken(f"The answer is larger than {MOST_BYTES >> 20} MB.")
            self.usage, self.finish_reason = seen.usage, seen.finish_reason
            self.output_estimate, self.completion = seen.output_tokens_estimate, seen.completion
            return content
        return await self._events(answer, self._tap)

    async def _events(self, answer: Answer, tap: StreamTap) -> bytes:
        pieces: list[bytes] = []
        size = 0
        try:
            async for chunk in answer.chunks():
                tap.feed(chunk)
                pieces.append(chunk)
                size += len(chunk)
                if size > MOST_BYTES:
                    raise UpstreamBroken(f"The answer is larger than {MOST_BYTES >> 20} MB.")
            tap.finish()
            if tap.error is not None:
                raise UpstreamBroken("The upstream reported an error in mid-stream.")
        finally:
            self.usage, self.finish_reason = tap.usage, tap.finish_reason
            self.output_estimate = tap.output_tokens_estimate
        return b"".join(pieces)
