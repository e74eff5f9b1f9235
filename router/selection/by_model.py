"""`select: {by: model}`: a model of the policy reads the options and names those that the ask belongs to.

What goes wrong there (it is down, slow, absurd) makes it abstain with the reason, and never fails the request. Each
call is an inner call of purpose `select`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from typing import Final

import orjson

from router.ask import TOKENS_PER_MESSAGE, estimate_tokens
from router.body import parse_body
from router.domain import Ask, Decision, ModelSpec, Usage
from router.errors import RequestError, UpstreamBroken, UpstreamError, UpstreamTimeout
from router.plans.contract import InnerCall, Work
from router.plans.reach import Reach
from router.policy.compiled import Facts, Option, Selection
from router.policy.decide import SelectionNeeded
from router.policy.eligibility import against_reading
from router.selection.prompt import body_for
from router.selection.reading_answers import names_in
from router.upstream.answers import read_whole
from router.upstream.sse import PlainSeen

log = logging.getLogger(__name__)

SECONDS: Final = 5.0
"""How long a selection may take with all its tries; a caller waits for it before the answer even begins."""

SLOW_BEFORE_REST: Final = 3
REST_SECONDS: Final = 10.0


class ByModel:
    """Asks through the upstream layer, with its health and retries. seconds: for one selection.

    A model that was too slow three times in a row rests for ten seconds, so that not every request waits for it.
    """

    def __init__(self, reach: Reach, *, seconds: float = SECONDS, clock: Callable[[], float] = time.monotonic):
        self._reach, self._seconds, self._clock = reach, seconds, clock
        self._bare: set[str] = set()
        """Models that refused a body with more than messages in it, by where they are."""
        self._slow: dict[str, int] = {}
        self._rests: dict[str, float] = {}

    async def select(
        self,
        needed: SelectionNeeded,
        ask: Ask,
        facts: Facts,
        models: Mapping[str, ModelSpec],
        request_id: str,
        inner: list[InnerCall],
    ) -> Selection:
        """Adds to `inner` what was called. Never raises, but for a cancellation."""
        select, standing = needed.select, needed.standing
        assert select.model is not None
        model = models[select.model]
        if (why := against_reading(model, ask, standing.route.privacy, facts)) is not None:
            return Selection((), f"{model.name} may not be asked to choose: {why}")
        offered = [option for option in select.among if standing.against(option.part) is None]
        if not offered:
            return Selection((), "none of the options may serve")
        if not ask.text.text.strip():
            return Selection((), "the ask has no text to choose by")
        place = f"{model.base_url} {model.model}"
        if self._clock() < self._rests.get(place, -math.inf):
            return Selection((), f"{model.name} was too slow to choose and rests")
        try:
            async with asyncio.timeout(self._seconds):
                answer = await self._asked(model, place, offered, ask, select.top, request_id, inner)
        except TimeoutError:
            self._was_slow(place)
            return Selection((), f"{model.name} took longer than {self._seconds:g} s to choose")
        except UpstreamError as error:
            return Selection((), f"{model.name} could not be asked to choose ({error.code})")
        except Exception:
            log.exception("request %s: selecting by %s failed", request_id, model.name)
            return Selection((), f"{model.name} could not be asked to choose")
        self._slow.pop(place, None)
        named = names_in(answer, [option.name for option in offered])
        if named is None:
            return Selection((), f"{model.name} answered with no choice")
        if not named:
            return Selection((), f"{model.name} chose none")
        return Selection(tuple((name, 1.0) for name in named[: select.top]), f"{model.name} chose")

    async def _asked(
        self,
        model: ModelSpec,
        place: str,
        options: list[Option],
        ask: Ask,
        top: int,
        request_id: str,
        inner: list[InnerCall],
    ) -> str:
        """The model's words. Who refuses the question is asked in its barest form. Raises UpstreamError."""
        schema = model.supports is None or "json_schema" in model.supports
        for bare in (True,) if place in self._bare else (False, True):
            values = body_for(options, ask.text, top, bare=bare, schema=schema)
            status, said = await self._once(model, values, request_id, inner)
            if status == 200:
                if bare:
                    self._bare.add(place)
                return said
        raise UpstreamBroken(f"Model `{model.name}` refused to choose with {status}.")

    def _was_slow(self, place: str) -> None:
        self._slow[place] = self._slow.get(place, 0) + 1
        if self._slow[place] >= SLOW_BEFORE_REST:
            self._slow[place] = 0
            self._rests[place] = self._clock() + REST_SECONDS

    async def _once(
        self, model: ModelSpec, values: dict[str, object], request_id: str, inner: list[InnerCall]
    ) -> tuple[int, str]:
        """One call: (status, what it said). It is written down whatever came of it, broken off or not."""
        body = parse_body(orjson.dumps({"model": model.model, **values}))
        work = Work(request_id, body, False, {}, Decision("single", model.name, "select"), {model.name: model})
        began, at_unix = time.perf_counter(), time.time()
        status, seen, cut_short = 504, PlainSeen(), True
        error: RequestError | None = None
        try:
            served = await self._reach.open(model, work)
            try:
                _body, seen = await read_whole(served.answer)
                status = served.answer.status
            finally:
                await served.aclose()
            if status != 200:
                error = UpstreamBroken(f"Model `{model.name}` refused to choose with {status}.")
            cut_short = False
        except UpstreamError as failed:
            error, status, cut_short = failed, failed.status, False
            raise
        finally:
            if cut_short:
                error = UpstreamTimeout(f"Model `{model.name}` was not waited for any longer.")
            was_read = cut_short or status == 200
            usage = seen.usage if seen.usage is not None else _estimated(body.text, seen) if was_read else None
            seconds = time.perf_counter() - began
            inner += _failed(work, error)
            inner.append(InnerCall("select", model, at_unix, seconds, status, usage, error, seen.finish_reason))
        return status, _words(seen)


def _failed(work: Work, last: RequestError | None) -> list[InnerCall]:
    """The tries before the last one."""
    return [
        InnerCall("select", failed.model, failed.at_unix, failed.seconds, failed.error.status, None, failed.error)
        for failed in work.failed
        if failed.error is not last
    ]


def _estimated(body: str, seen: PlainSeen) -> Usage:
    """Where the upstream counted nothing. A call that was cut short has been read, and so is billed."""
    tokens = estimate_tokens([body]) + TOKENS_PER_MESSAGE
    return Usage(uncached_input=tokens, output=seen.output_tokens_estimate, estimated=True)


def _words(seen: PlainSeen) -> str:
    """The content of the first choice."""
    choices = (seen.completion or {}).get("choices") or [{}]
    message = choices[0].get("message") if isinstance(choices[0], dict) else None
    content = message.get("content") if isinstance(message, dict) else None
    return content if isinstance(content, str) else ""
