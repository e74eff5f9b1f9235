"""The selector that asks a model, with a clock of its own: slow readers, cancelled requests, what each call costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from classifiers.contract import AskText, Assessment
from router.domain import Ask, Part
from router.plans.contract import InnerCall
from router.plans.reach import Reach
from router.policy.compiled import Facts, Policy, Selection
from router.policy.decide import SelectionNeeded, decide
from router.policy.load import parse_policy
from router.selection.by_embedding import ByEmbedding
from router.selection.by_model import ByModel
from router.selection.selectors import Selectors
from router.upstream.health import Health
from router.upstream.openai_relay import OpenAIRelay
from router.upstream.standin import Fault, Reply, StandIn
from tests.selection.conftest import policy_text

ASK = Ask(AskText("how many days of leave do I have"), 10, 100, 32, 1)
UNSURE = Assessment(0.5, {}, 0.0, 0.0, "unknown", "und", "none")


class Reader:
    """A stand-in that reads options, and the selector that asks it."""

    def __init__(self, model: StandIn, policy: Policy, by_model: ByModel):
        self.model, self.policy, self.by_model = model, policy, by_model
        self.inner: list[InnerCall] = []

    async def select(self, ask: Ask = ASK, facts: Facts | None = None) -> Selection:
        needed = needed_of(self.policy, ask, facts or Facts())
        return await self.by_model.select(needed, ask, facts or Facts(), self.policy.models, "req_1", self.inner)


def needed_of(policy: Policy, ask: Ask, facts: Facts) -> SelectionNeeded:
    with pytest.raises(SelectionNeeded) as needed:
        decide(policy, policy.routes["read"], ask, UNSURE, facts)
    return needed.value


@asynccontextmanager
async def reading(
    reads: Callable[[str], Reply | str], *, seconds: float = 5.0, clock: Callable[[], float] | None = None
) -> AsyncIterator[Reader]:
    model, relay = StandIn("reader", reads), OpenAIRelay()
    async with model.serve() as url:
        policy = parse_policy(policy_text(url, "http://e.test", "http://c.test"))
        reach = Reach({"openai": relay}, Health())
        by_model = ByModel(reach, seconds=seconds, **({"clock": clock} if clock is not None else {}))
        try:
            yield Reader(model, policy, by_model)
        finally:
            await relay.aclose()


@pytest.mark.parametrize("fault", [Fault("hang"), Fault("stall_after")])
async def test_a_slow_reader_abstains_when_its_time_is_over_and_its_prompt_is_taken_as_billed(fault: Fault) -> None:
    async with reading(lambda _: Reply("code", fault=fault), seconds=0.2) as reader:
        chosen = await reader.select()
        assert chosen.abstained and chosen.why == "reader took longer than 0.2 s to choose"
        [call] = reader.inner
        assert call.purpose == "select" and call.status == 504 and call.error is not None
        assert call.usage is not None and call.usage.estimated and call.usage.uncached_input > 100


async def test_a_reader_that_is_slow_three_times_in_a_row_rests_and_is_asked_again_later() -> None:
    now = [100.0]
    async with reading(lambda _: Reply("code", fault=Fault("hang")), seconds=0.05, clock=lambda: now[0]) as reader:
        whys = [(await reader.select()).why for _ in range(5)]
        assert [why.endswith("to choose") for why in whys] == [True, True, True, False, False]
        assert whys[-1] == "reader was too slow to choose and rests"
        now[0] += 10.1
        assert (await reader.select()).why.endswith("to choose")
        assert len(reader.inner) == 4


async def test_a_request_that_is_cancelled_while_it_is_read_leaves_a_row_all_the_same() -> None:
    async with reading(lambda _: Reply("code", fault=Fault("hang"))) as reader:
        task = asyncio.create_task(reader.select())
        await reader.model.received()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        [call] = reader.inner
        assert call.usage is not None and call.usage.uncached_input > 0


async def test_an_ask_without_text_is_not_put_to_anybody() -> None:
    async with reading(lambda _: "code") as reader:
        chosen = await reader.select(Ask(AskText("  "), 800, 100, 0, 0, images=1))
        assert chosen.why == "the ask has no text to choose by"
        assert not reader.model.journal


async def test_a_reader_that_is_unwell_or_spent_is_not_asked_whatever_the_answer_needs() -> None:
    needs_tools = Ask(AskText("hello"), 10, 100, 5, 1, images=1)
    async with reading(lambda _: "code") as reader:
        for facts in (Facts(unhealthy={"reader": "5 failures"}), Facts(spent={"reader": "budget: spent"})):
            chosen = await reader.select(needs_tools, facts)
            assert chosen.why.startswith("reader may not be asked to choose: ")
        assert not reader.model.journal


async def test_a_long_ask_is_shown_by_its_head_and_tail() -> None:
    async with reading(lambda _: '{"options": ["staff"]}') as reader:
        chosen = await reader.select(Ask(AskText("leave " * 200_000, ("y" * 5_000,)), 10, 100, 5, 1))
        assert chosen.options == (("staff", 1.0),)
        assert len(reader.model.journal[0].body) < 10_000


async def test_halves_of_characters_are_put_as_text_can_be_put() -> None:
    async with reading(lambda _: '{"options": ["staff"]}') as reader:
        assert not (await reader.select(Ask(AskText("leave \ud83d pay"), 10, 100, 5, 1))).abstained


async def test_usage_that_is_not_told_is_estimated() -> None:
    async with reading(lambda _: "code") as reader:
        chosen = await reader.select()
        assert chosen == Selection((("code", 1.0),), "reader chose")
        [call] = reader.inner
        assert call.usage is not None and call.usage.output > 0
        assert call.called.name == "reader" and call.finish_reason == "stop"


def test_an_option_knows_whom_it_asks() -> None:
    policy = parse_policy(policy_text("http://r.test", "http://e.test", "http://c.test"))
    assert policy.options["code"].part == Part("code", "expert")


async def test_a_request_that_is_decided_twice_has_its_options_read_once() -> None:
    async with reading(lambda _: '{"options": ["staff"]}') as reader:
        selects = Selectors(ByEmbedding(), reader.by_model).calling(reader.policy, "req_1", reader.inner)
        needed = needed_of(reader.policy, ASK, Facts())
        assert await selects(needed, ASK, Facts()) == await selects(needed, ASK, Facts())
        assert len(reader.inner) == len(reader.model.journal) == 1
