"""The laws of carrying out: whoever fails or leaves, a private ask stays private, and every call has one row.

The plans are the real ones. Upstreams and retrievers are recording fakes, since what must not happen is a call.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from router.body import parse_body
from router.domain import Decision, Part, RetrieverSpec, Terms
from router.errors import UpstreamError, UpstreamRateLimited, UpstreamRefusedKey, UpstreamTimeout
from router.plans.contract import Served, Work
from router.plans.every_plan import every_plan
from router.plans.reach import Reach
from router.policy.compiled import Facts, Policy, Selection
from router.policy.decide import SelectionNeeded, decide, resolve
from router.upstream.answers import JSON, WholeAnswer, as_stream
from router.upstream.contract import Answer, Call
from router.upstream.health import Health
from router.upstream.passages_told import Passage
from router.upstream.retriever import Retrieved
from tests.policy.making import MODELS, ask_of, policy_of
from tests.policy.random_policies import BESIDE, NAMES, assessments, facts_of, policies, selected, unhealthy
from tests.policy.test_laws import REFUSALS

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
LONG = "There is much to be said about that, and I shall say all of it, one thing after the other, until I am done."
SAID = ["Paris", "paris.", "Lyon", LONG, "", "I'm sorry, but I can't help with that.", '{"best": 1}', "calls"]


class Turn(Struct, frozen=True):
    """What one call brings. says: a text, or an error. pauses: how often others may go first."""

    says: str
    pauses: int


turns = st.builds(
    Turn, st.sampled_from([*SAID, *SAID, "limited", "refused key", "timeout", "400", "breaks off"]), st.integers(0, 3)
)


class Upstreams:
    """One fake for all providers. Each call takes the next turn; after the last, everybody says Paris."""

    def __init__(self, script: list[Turn]):
        self.called: list[str] = []
        self._script = iter(script)

    async def open(self, call: Call) -> Answer:
        self.called.append(call.model.name)
        turn = next(self._script, Turn("Paris", 0))
        for _ in range(turn.pauses):
            await asyncio.sleep(0)
        if turn.says == "limited":
            raise UpstreamRateLimited("limited")
        if turn.says == "refused key":
            raise UpstreamRefusedKey("refused")
        if turn.says == "timeout":
            raise UpstreamTimeout("late")
        if turn.says == "400":
            return WholeAnswer(400, {"content-type": JSON}, b'{"error": {"message": "no"}}')
        completion = _completion(turn.says)
        answer = as_stream(completion) if call.stream else orjson.dumps(completion)
        if turn.says == "breaks off" and call.stream:
            return BreaksOff(answer)
        return WholeAnswer(200, {"content-type": JSON}, answer, streamed=call.stream)

    async def aclose(self) -> None:
        return None


class BreaksOff(WholeAnswer):
    """Half an answer."""

    def __init__(self, body: bytes):
        super().__init__(200, {}, body[: len(body) // 2], streamed=True)

    async def chunks(self) -> Any:
        yield self.body
        raise UpstreamRateLimited("broke off")


def _completion(text: str) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if text == "calls":
        function = {"name": "look_up", "arguments": "{}"}
        message = {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "1", "type": "function", "function": function}],
        }
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    return {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}


class Finder:
    """Finds something, or fails, in turn."""

    def __init__(self, script: list[bool]):
        self.asked: list[str] = []
        self._script = iter(script)

    async def ask(self, retriever: RetrieverSpec, query: str, request_id: str) -> Retrieved:
        self.asked.append(retriever.name)
        await asyncio.sleep(0)
        if next(self._script, True):
            return Retrieved((Passage("30 days"),), 0.0, 0.0)
        return Retrieved((), 0.0, 0.0, 504, UpstreamTimeout("late"))


def decided(policy: Policy, private: tuple[str, ...], assessment: Any, facts: Facts, picked: Any) -> Decision | None:
    selections: dict[str, Selection] = {}
    while True:
        try:
            ask = ask_of(private=private)
            return decide(policy, resolve(policy, "auto"), ask, assessment, facts, selections).decision
        except SelectionNeeded as needed:
            selections[needed.rule.name] = Selection(tuple(picked), "as it was told")
        except REFUSALS:
            return None


def work_of(policy: Policy, decision: Decision, *, stream: bool, n: int | None = None) -> Work:
    values: dict[str, Any] = {"model": "auto", "messages": [{"role": "user", "content": "The capital of France?"}]}
    values |= ({"stream": True} if stream else {}) | ({"n": n} if n else {})
    body = parse_body(json.dumps(values).encode())
    return Work("req_1", body, stream, {}, decision, policy.models, policy.retrievers, input_tokens=10)


async def carried_out(work: Work, upstreams: Upstreams, finder: Finder, leaves_after: int | None) -> Served | None:
    """Who answered, read to the end or to the caller's leaving. leaves_after: steps of the loop after which that is."""
    plan = every_plan(Reach({"openai": upstreams, "litellm": upstreams}, Health()), finder)[work.decision.plan]

    answered: list[Served] = []

    async def whole() -> None:
        answered.append(await plan(work))
        with suppress(UpstreamError):
            async for _ in answered[0].answer.chunks():
                pass
        await answered[0].aclose()

    task = asyncio.create_task(whole())
    if leaves_after is not None:
        for _ in range(leaves_after):
            await asyncio.sleep(0)
        task.cancel()
    await asyncio.wait({task})
    if not task.cancelled() and (failure := task.exception()) is not None and not isinstance(failure, UpstreamError):
        raise failure
    return answered[0] if answered else None


behaviour = (
    st.lists(turns, max_size=8),
    st.lists(st.booleans(), max_size=3),
    st.booleans(),
    st.none() | st.integers(0, 12),
)


@given(policies(), assessments, facts_of, unhealthy, selected, *behaviour)
def test_a_private_ask_reaches_nothing_that_is_not_private_whoever_fails(
    policy: Policy, assessment, given_facts, ill, picked, script, finds, stream: bool, leaves_after: int | None
) -> None:
    if policy.routes["auto"].privacy != "enforce":
        return
    facts = Facts(at=NOON, unhealthy=ill, **given_facts)
    if (decision := decided(policy, ("email",), assessment, facts, picked)) is None:
        return
    upstreams, finder = Upstreams(script), Finder(finds)
    asyncio.run(carried_out(work_of(policy, decision, stream=stream), upstreams, finder, leaves_after))
    assert all(policy.models[name].private for name in upstreams.called)
    assert all(policy.retrievers[name].private for name in finder.asked)


HOUSE = policy_of(models=MODELS + BESIDE)
parts = st.lists(
    st.sampled_from([*(Part(name, name) for name in NAMES), *(option.part for option in HOUSE.options.values())]),
    min_size=2,
    max_size=4,
    unique_by=lambda part: part.name,
)


@st.composite
def decisions(draw: st.DrawFn) -> Decision:
    """Any that a policy over the house's models may come to, and some more."""
    asked, then, judge = tuple(draw(parts)), draw(st.sampled_from(NAMES)), draw(st.sampled_from(NAMES))
    fallback = tuple(draw(st.lists(st.sampled_from(NAMES), max_size=2, unique=True)))
    plan = draw(st.sampled_from(["single", "retrieve", "cascade", "agree", "agree", "fan_out", "fan_out", "fan_out"]))
    quality, trust = draw(st.floats(0, 1)), draw(st.floats(0, 1))
    if plan == "single":
        return Decision("single", then, "x", fallback)
    if plan == "retrieve":
        terms = Terms((HOUSE.options["home"].part,))
    elif plan == "cascade":
        terms = Terms(asked[:1], then, ("empty", "refusal"), draw(st.none() | st.just(trust)), quality=quality)
    elif plan == "agree":
        terms = Terms(asked, then, (), trust, quality=quality)
    else:
        combine = draw(st.sampled_from(["vote", "best_of", "fuse"]))
        terms = Terms(asked, combine=combine, judge=None if combine == "vote" else judge, quality=quality)
    return Decision(plan, terms.parts[0].model, "x", fallback, terms=terms)


@settings(max_examples=600)
@given(decisions(), *behaviour, st.sampled_from([None, None, 2]))
def test_every_call_has_exactly_one_row_whoever_fails_or_leaves(
    decision: Decision, script, finds, stream: bool, leaves_after: int | None, n: int | None
) -> None:
    upstreams, finder = Upstreams(script), Finder(finds)
    work = work_of(HOUSE, decision, stream=stream, n=n)
    served = asyncio.run(carried_out(work, upstreams, finder, leaves_after))
    rows = [call.called.name for call in work.inner if call.purpose != "retrieve"]
    rows += [attempt.model.name for attempt in work.failed]
    own = served.model if served is not None else work.calling
    if own is not None:  # the request's own row, as `router.entry` has it
        rows.append(own.name)
    assert sorted(rows) == sorted(upstreams.called)
    assert [call.called.name for call in work.inner if call.purpose == "retrieve"] == finder.asked
    assert set(upstreams.called) <= {
        decision.model,
        *decision.fallback,
        *((part.model for part in decision.terms.parts) if decision.terms else ()),
        *((decision.terms.then, decision.terms.judge) if decision.terms else ()),
    }
