"""A stream whose plan takes its time is held with comments; who leaves it ends the plan."""

from __future__ import annotations

import asyncio

import pytest

from router.body import parse_body
from router.domain import Decision, ModelSpec
from router.errors import UpstreamBroken, UpstreamError
from router.plans.contract import Served, Work
from router.plans.holding import COMMENT, Holding
from router.upstream.answers import WholeAnswer

FIRST, SECOND = ModelSpec("first", "small", "m"), ModelSpec("second", "large", "m")
WORDS = b'data: {"choices":[]}\n\n' + b"data: [DONE]\n\n"


class Slow:
    """A plan that answers when it is let."""

    def __init__(self, status: int = 200, body: bytes = WORDS, error: UpstreamError | None = None):
        self.may_answer, self.was_cancelled, self.released = asyncio.Event(), False, 0
        self._status, self._body, self._error = status, body, error

    async def __call__(self, work: Work) -> Served:
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        if self._error is not None:
            raise self._error
        return Served(SECOND, WholeAnswer(self._status, {}, self._body, streamed=True), self._release)

    def _release(self) -> None:
        self.released += 1


def work(*, stream: bool = True) -> Work:
    body = parse_body(b'{"model":"auto","messages":[]}')
    models = {"first": FIRST, "second": SECOND}
    return Work("req_1", body, stream, {}, Decision("cascade", "first", "r"), models)


def held(plan: Slow) -> Holding:
    return Holding(plan, hold_after=0.02, comment_every=0.01)


async def test_a_quick_answer_is_given_as_it_is() -> None:
    plan, asked = Slow(), work()
    plan.may_answer.set()
    served = await held(plan)(asked)
    assert served.model is SECOND and not asked.held
    assert [chunk async for chunk in served.answer.chunks()] == [WORDS]


async def test_a_plain_request_just_waits() -> None:
    plan, asked = Slow(), work(stream=False)
    task = asyncio.create_task(held(plan)(asked))
    await asyncio.sleep(0.05)
    assert not task.done()
    plan.may_answer.set()
    assert (await task).model is SECOND and not asked.held


async def test_a_slow_answer_comes_after_comments_and_names_its_model_late() -> None:
    plan, asked = Slow(), work()
    served = await held(plan)(asked)
    assert (served.model, asked.held, asked.answered_by) == (FIRST, True, None)
    assert asked.upstream_seconds >= 0.02
    chunks = served.answer.chunks()
    assert [await anext(chunks) for _ in range(3)] == [COMMENT] * 3
    plan.may_answer.set()
    rest = [chunk async for chunk in chunks]
    assert rest[-1] == WORDS and set(rest[:-1]) <= {COMMENT}
    assert asked.answered_by is SECOND
    await served.aclose()
    assert plan.released == 1


async def test_an_error_comes_out_of_the_stream() -> None:
    plan = Slow(error=UpstreamBroken("gone"))
    served = await held(plan)(work())
    plan.may_answer.set()
    with pytest.raises(UpstreamBroken, match="gone"):
        [chunk async for chunk in served.answer.chunks()]
    await served.aclose()


@pytest.mark.parametrize("body", [b'{"error":{"message":"too long","code":"x"}}', b"<html>"])
async def test_a_refused_request_comes_out_as_the_callers_error(body: bytes) -> None:
    plan = Slow(status=400, body=body)
    served = await held(plan)(work())
    plan.may_answer.set()
    with pytest.raises(UpstreamError) as refused:
        [chunk async for chunk in served.answer.chunks()]
    assert refused.value.fault == "caller"
    assert refused.value.body()["error"]["message"] in ("too long", "The upstream refused the request with 400.")
    await served.aclose()
    assert plan.released == 1


async def test_who_leaves_before_the_head_ends_the_plan() -> None:
    plan = Slow()
    task = asyncio.create_task(Holding(plan, hold_after=30)(work()))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert plan.was_cancelled


async def test_who_leaves_while_held_ends_the_plan() -> None:
    plan = Slow()
    served = await held(plan)(work())
    assert await anext(served.answer.chunks()) == COMMENT
    await served.aclose()
    assert plan.was_cancelled


async def test_an_answer_that_nobody_read_is_closed() -> None:
    plan = Slow()
    served = await held(plan)(work())
    plan.may_answer.set()
    await asyncio.sleep(0.01)
    await served.aclose()
    assert plan.released == 1 and not plan.was_cancelled
