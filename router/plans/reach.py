"""Reaches one model: splices the body for it, keeps count of its health, and tries again where that may help."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from functools import partial

import orjson

from router.body import Body
from router.domain import ModelSpec, Usage
from router.errors import UpstreamClosed, UpstreamError
from router.plans.contract import FailedAttempt, Served, Work
from router.upstream.contract import Call, Upstream
from router.upstream.health import Health

PAUSE_SECONDS = 0.05
"""Before the first retry; doubled for each further one, and spread by chance so that retries do not march in step."""


class Reach:
    """The upstreams by provider, behind one door that every plan uses."""

    def __init__(self, upstreams: Mapping[str, Upstream], health: Health):
        self._upstreams = upstreams
        self._health = health

    async def open(self, model: ModelSpec, work: Work) -> Served:
        """Opens an answer from `model`, with its retries. Raises UpstreamError when all of them failed.

        A kept connection that turned out to be closed is an attempt like any other, but no retry and no sign of
        trouble: the model is asked once more, at once. The first call may have been read all the same, and so be paid
        for twice; that is rare, and the ledger has both.
        """
        call = Call(model, body_for(model, work.body, stream=work.stream), work.stream, work.request_id, work.headers)
        tries_left, pause, was_closed = model.retries, PAUSE_SECONDS, False
        while True:
            try:
                return await self._try(call, work)
            except UpstreamError as error:
                if isinstance(error, UpstreamClosed) and not was_closed:
                    was_closed = True
                    continue
                if not (error.retry_same and tries_left):
                    raise
            tries_left -= 1
            wait = pause * random.uniform(0.5, 1.5)
            await asyncio.sleep(wait)
            work.upstream_seconds += wait
            pause *= 2

    async def _try(self, call: Call, work: Work) -> Served:
        """One call. Its failure is written down, its time counted, and its place given back."""
        model = call.model
        started, at_unix = time.perf_counter(), time.time()
        entered = False
        work.calling, work.called = model, started
        try:
            self._health.enter(model)
            entered = True
            answer = await self._upstreams[model.provider].open(call)
        except BaseException as error:
            if isinstance(error, UpstreamError):
                work.calling = None
            if entered:
                self._health.leave(model)
                if isinstance(error, UpstreamError):
                    if not isinstance(error, UpstreamClosed):
                        self._health.record_failure(model.name, error)
                    seconds = time.perf_counter() - started
                    work.failed.append(FailedAttempt(model, error, at_unix, seconds, _billed(error, work)))
            raise
        finally:
            work.upstream_seconds += time.perf_counter() - started
        work.calling = None
        self._health.record_success(model.name)
        return Served(model, answer, partial(self._health.leave, model))


def _billed(error: UpstreamError, work: Work) -> Usage | None:
    """What an answer that broke off cost, as far as it can be told."""
    if error.written_tokens is None:
        return None
    return Usage(uncached_input=work.input_tokens, output=error.written_tokens, estimated=True)


def body_for(model: ModelSpec, body: Body, *, stream: bool) -> bytes:
    """The caller's bytes with `model` set to the upstream's id, and usage asked for where the answer is streamed."""
    replacements = {"model": orjson.dumps(model.model).decode()}
    if stream:
        options = body.values.get("stream_options") or {}
        if options.get("include_usage") is not True:
            replacements["stream_options"] = orjson.dumps({**options, "include_usage": True}).decode()
    return body.splice(replacements)
