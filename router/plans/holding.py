"""Holds a streamed request's connection with comment lines while its plan has no answer to begin with yet.

A comment is a line that clients of Server-Sent Events pass over (WHATWG HTML 9.2.6), but that proxies and idle timers
take for life. What is answered quickly is answered as if nobody held anything. Plain requests just wait.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import orjson

from router.errors import RefusedLate
from router.plans.contract import Plan, Served, Work
from router.upstream.answers import EVENT_STREAM

HOLD_AFTER_SECONDS = 2.0
COMMENT_EVERY_SECONDS = 5.0
COMMENT = b": waiting\n\n"


class Holding:
    """A plan that must wait, made one that keeps its callers company."""

    def __init__(
        self, plan: Plan, hold_after: float = HOLD_AFTER_SECONDS, comment_every: float = COMMENT_EVERY_SECONDS
    ):
        self._plan, self._hold_after, self._comment_every = plan, hold_after, comment_every

    async def __call__(self, work: Work) -> Served:
        """The plan's own answer where it is there in time, or cannot be held; else one that begins with comments.

        Its head names the model that was decided for; who answers is on the work once it is known.
        """
        if not work.stream:
            return await self._plan(work)
        began, before = time.perf_counter(), work.upstream_seconds
        task = asyncio.create_task(_carried_out(self._plan, work))
        try:
            await asyncio.wait({task}, timeout=self._hold_after)
        except asyncio.CancelledError:
            await _given_up(task, work)
            raise
        if task.done():
            return task.result()
        work.held = True
        work.upstream_seconds = before + time.perf_counter() - began
        answer = _Held(task, work, self._comment_every)
        return Served(work.models[work.decision.model], answer, _nothing_is_open)


class _Held:
    """`contract.Answer` that is comments until the plan's answer is there, and then that answer's bytes."""

    status = 200
    streamed = True

    def __init__(self, task: asyncio.Task[Served], work: Work, comment_every: float):
        self.headers = {"content-type": EVENT_STREAM}
        self._task, self._work, self._comment_every = task, work, comment_every

    async def chunks(self) -> AsyncIterator[bytes]:
        """Raises UpstreamError where the plan does."""
        while not self._task.done():
            yield COMMENT
            await asyncio.wait({self._task}, timeout=self._comment_every)
        answer = self._task.result().answer
        if answer.status != 200:
            raise _refused(answer.status, b"".join([chunk async for chunk in answer.chunks()]))
        async for chunk in answer.chunks():
            yield chunk

    async def aclose(self) -> None:
        """Ends the plan where it still runs, and closes its answer where there is one."""
        if self._task.done():
            if not self._task.cancelled() and self._task.exception() is None:
                await self._task.result().aclose()
        else:
            await _given_up(self._task, self._work)


async def _carried_out(plan: Plan, work: Work) -> Served:
    served = await plan(work)
    work.answered_by = served.model
    return served


async def _given_up(task: asyncio.Task[Served], work: Work) -> None:
    """Cancels the plan and waits until it has written down what it called. An answer that came just then was billed."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled() and task.exception() is None:
        served = task.result()
        work.calling = served.model
        await served.aclose()


def _refused(status: int, body: bytes) -> RefusedLate:
    """What an upstream told, as far as it can be read."""
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        told = None
    known = isinstance(told, dict) and bool(told.get("error"))
    return RefusedLate(f"The upstream refused the request with {status}.", told=told if known else None)


def _nothing_is_open() -> None:
    return None
