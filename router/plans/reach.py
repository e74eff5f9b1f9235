"""Reaches one model: splices the body for it, keeps count of its health, and tries again where that may help."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping

import orjson

from router.body import Body
from router.domain import ModelSpec
from router.errors import UpstreamError
from router.plans.contract import FailedAttempt, Work
from router.upstream.contract import Answer, Call, Upstream
from router.upstream.health import Health

PAUSE_SECONDS = 0.05
"""Before the first retry; doubled for each further one, and spread by chance so that retries do not march in step."""


class Reach:
    """The upstreams by provider, behind one door that every plan uses."""

    def __init__(self, upstreams: Mapping[str, Upstream], health: Health):
        self._upstreams = upstreams
        self._health = health

    async def open(self, model: ModelSpec, work: Work) -> Answer:
        """Opens an answer from `model`, with its retries. Raises UpstreamError when all of them failed."""
        body = body_for(model, work.body, stream=work.stream)
        call = Call(model, body, work.stream, work.request_id, work.headers)
        tries_left = model.retries
        pause = PAUSE_SECONDS
        while True:
            started = time.perf_counter()
            at_unix = time.time()
            work.calling = model
            try:
                answer = await self._upstreams[model.provider].open(call)
            except UpstreamError as error:
                work.calling = None
                self._health.record_failure(model.name, error)
                work.failed.append(FailedAttempt(model, error, at_unix, time.perf_counter() - started))
                if not (error.retry_same and tries_left):
                    raise
            else:
                work.calling = None
                self._health.record_success(model.name)
                return answer
            finally:
                work.upstream_seconds += time.perf_counter() - started
            tries_left -= 1
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))
            work.upstream_seconds += pause
            pause *= 2


def body_for(model: ModelSpec, body: Body, *, stream: bool) -> bytes:
    """The caller's bytes with `model` set to the upstream's id, and usage asked for where the answer is streamed."""
    replacements = {"model": orjson.dumps(model.model).decode()}
    if stream:
        options = body.values.get("stream_options") or {}
        if options.get("include_usage") is not True:
            replacements["stream_options"] = orjson.dumps({**options, "include_usage": True}).decode()
    return body.splice(replacements)
