"""One answer read whole: what was billed is counted once whatever becomes of it, and times that overlap count once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from router.body import parse_body
from router.domain import Decision, ModelSpec
from router.errors import UpstreamBroken
from router.plans.contract import Work
from router.plans.inner import as_inner, as_served, draft
from router.plans.reach import Reach
from router.upstream.health import Health
from router.upstream.openai_relay import OpenAIRelay
from router.upstream.standin import Fault, Reply, StandIn

PLAIN = parse_body(b'{"model":"auto","messages":[{"role":"user","content":"hi"}]}')
STREAMED = parse_body(
    b'{"model":"auto","stream":true,"stream_options":{"include_usage":true},'
    b'"messages":[{"role":"user","content":"hi"}]}'
)


class Bench:
    """One stand-in and a way to reach it."""

    def __init__(self, model: StandIn, spec: ModelSpec, reach: Reach):
        self.model, self.spec, self.reach = model, spec, reach

    def work(self, *, stream: bool) -> Work:
        body = STREAMED if stream else PLAIN
        decision = Decision("cascade", "m", "r")
        return Work("req_1", body, stream, {}, decision, {"m": self.spec}, input_tokens=7)


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    model, relay = StandIn("m", lambda text: f"you said {text}"), OpenAIRelay()
    async with model.serve() as url:
        spec = ModelSpec("m", "small", "m", base_url=f"{url}/v1", retries=0, max_concurrency=2)
        yield Bench(model, spec, Reach({"openai": relay}, Health()))
        await relay.aclose()


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_is_held_as_it_came_and_understood(stream: bool) -> None:
    async with bench() as at:
        work = at.work(stream=stream)
        drafted = await draft(at.reach, at.spec, work)
        assert (drafted.text, drafted.finish_reason, drafted.status) == ("you said hi", "stop", 200)
        assert drafted.usage is not None and drafted.usage.output == at.model.journal[0].output_tokens
        served = as_served(drafted, work)
        assert b"".join([chunk async for chunk in served.answer.chunks()]) == drafted.body
        assert drafted.body.endswith(b"data: [DONE]\n\n") is stream
        assert as_inner(drafted, "vote").usage == drafted.usage
        assert not work.inner and not work.failed


async def test_tool_calls_of_a_stream_are_put_together() -> None:
    tool = b'"tools":[{"type":"function","function":{"name":"weather","parameters":{"type":"object"}}}]'
    async with bench() as at:
        work = at.work(stream=True)
        work.body = parse_body(STREAMED.text.replace('"model":"auto"', f'"model":"auto",{tool.decode()}').encode())
        work.body = parse_body(work.body.text.replace('"hi"', '"weather?"').encode())
        drafted = await draft(at.reach, at.spec, work)
        assert drafted.completion is not None
        [call] = drafted.completion["choices"][0]["message"]["tool_calls"]
        assert (drafted.tool_calls, call["function"]) == (True, {"name": "weather", "arguments": "{}"})


async def test_a_streamed_request_may_be_asked_plainly() -> None:
    async with bench() as at:
        drafted = await draft(at.reach, at.spec, at.work(stream=True), stream=False)
        assert (drafted.text, drafted.stream) == ("you said hi", False)
        assert b'"stream":false' in at.model.journal[0].body


@pytest.mark.parametrize("stream", [False, True])
async def test_a_draft_that_is_cancelled_leaves_its_bill_behind(stream: bool) -> None:
    async with bench() as at:
        at.model.script.append(Reply("on and on " * 50, pieces=100, gap_seconds=0.05, fault=Fault("stall_after", 10)))
        work = at.work(stream=stream)
        task = asyncio.create_task(draft(at.reach, at.spec, work, purpose="vote"))
        received = await at.model.received()
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(received.left.wait(), 1)
        [call] = work.inner
        assert (call.purpose, call.status, call.usage is not None and call.usage.estimated) == ("vote", 499, True)
        assert call.usage is not None and call.usage.input == 7 and (call.usage.output > 0) is stream
        assert work.calling is None and not work.waiting


async def test_a_draft_that_is_cancelled_before_it_was_sent_has_no_bill() -> None:
    async with bench() as at:
        spec = replace(at.spec, retries=3)
        at.model.script.append(Fault("status", status=503))
        work = at.work(stream=False)
        task = asyncio.create_task(draft(at.reach, spec, work))
        while True:
            await asyncio.sleep(0)
            if work.failed:  # now it waits before it tries again
                break
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not work.inner and len(work.failed) == 1


async def test_a_stream_that_breaks_off_is_an_attempt_with_its_bill() -> None:
    async with bench() as at:
        at.model.script.append(Reply("on and on " * 50, fault=Fault("close_after", after=4)))
        work = at.work(stream=True)
        with pytest.raises(UpstreamBroken):
            await draft(at.reach, at.spec, work)
        [call] = work.inner
        assert (call.purpose, call.status) == ("attempt", 502)
        assert isinstance(call.error, UpstreamBroken) and call.usage is not None and call.usage.output > 10


async def test_a_plain_answer_that_breaks_off_is_an_attempt_with_its_bill() -> None:
    async with bench() as at:
        at.model.script.append(Reply("on and on " * 50, fault=Fault("close_after")))
        work = at.work(stream=False)
        with pytest.raises(UpstreamBroken):
            await draft(at.reach, at.spec, work)
        [failed] = work.failed
        assert not work.inner and failed.usage is not None
        assert (failed.usage.estimated, failed.usage.input) == (True, 7) and failed.usage.output > 10


async def test_calls_that_run_at_once_count_their_time_once_and_each_gives_its_place_back() -> None:
    async with bench() as at:
        at.model.script.extend([Reply("a", latency_seconds=0.3), Reply("b", latency_seconds=0.3)])
        work = at.work(stream=False)
        drafts = await asyncio.gather(*(draft(at.reach, at.spec, work) for _ in range(2)))
        seconds = [drafted.seconds for drafted in drafts]
        assert max(seconds) - 0.01 <= work.upstream_seconds < sum(seconds)
        await draft(at.reach, at.spec, work)  # `max_concurrency` is 2
