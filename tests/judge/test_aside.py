"""The encoder beside the event loop: in time or not at all, and never an error."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest

from classifiers.contract import AskText, Assessment, Embedder
from classifiers.errors import ArtefactError, EncoderError
from classifiers.heuristic import HeuristicClassifier
from classifiers.learned import LearnedClassifier
from router.aside import LATE_BEFORE_REST, Aside
from router.judge import Judge
from tests.judge.asks import CARDS
from tests.judge.encoders import Held, Letters, Raises, SaysNaN, encoder_artefact

FAST = HeuristicClassifier()


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def beside(
    embedder: Embedder, *, budget_seconds: float = 5.0, clock: Callable[[], float] = time.monotonic
) -> AsyncIterator[Judge]:
    """A judge whose encoder is `embedder`."""
    aside = Aside(encoder_artefact(), lambda weights: embedder, budget_seconds=budget_seconds, clock=clock)
    await aside.start()
    try:
        yield Judge(FAST, aside=aside)
    finally:
        await aside.aclose()


async def said(judge: Judge, text: str = "hello") -> Assessment:
    judged = await judge.assess_aside(AskText(text), CARDS)
    assert judged is not None
    return judged


def counted(judge: Judge) -> dict[str, int]:
    assert judge.aside is not None
    return {result: count for result, count in judge.aside.counts.items() if count}


async def test_the_encoder_answers_off_the_loop_with_features_that_name_their_function() -> None:
    letters = Letters()
    async with beside(letters) as judge:
        judged = await said(judge)
    alone = encoder_artefact(embedder=Letters())
    assert judged.classifier == f"encoder@{alone.digest}" == judge.name
    assert judged.features_digest == alone.featurise.digest
    assert judged.features is not None
    assert np.array_equal(judged.features, alone.featurise(AskText("hello")))
    assert len(letters.threads) == 1 and threading.get_ident() not in letters.threads
    assert counted(judge) == {"answered": 1}


async def test_a_string_put_there_to_push_an_ask_is_left_out_by_the_encoder_too() -> None:
    pushed = AskText("vq zx qpr tlk wvx bnq rrt zzk what is the capital of Kenya?")
    alone = LearnedClassifier(encoder_artefact(embedder=Letters()))
    assert len(alone.readings(pushed)) > 1
    async with beside(Letters()) as judge:
        judged = await said(judge, pushed.text)
    assert judged.complexity == pytest.approx(alone.assess(pushed, CARDS).complexity, abs=1e-6)


async def test_many_at_once_are_embedded_in_few_batches_and_nobody_gets_anothers_answer() -> None:
    letters = Letters(0.02)
    async with beside(letters) as judge:
        texts = [f"{'x' * number} what is {number}?" for number in range(16)]
        together = await asyncio.gather(*(said(judge, text) for text in texts))
    assert len(letters.batches) < 8
    featurise = encoder_artefact(embedder=Letters()).featurise
    for text, judged in zip(texts, together, strict=True):
        assert judged.features is not None
        assert np.allclose(judged.features, featurise(AskText(text)), atol=1e-5)


async def test_a_late_encoder_is_not_waited_for_and_the_answer_says_so() -> None:
    held = Held()
    async with beside(held, budget_seconds=0.02) as judge:
        began = time.monotonic()
        judged = await said(judge)
        assert time.monotonic() - began < 2.0
        assert judged.classifier == f"{FAST.name} (encoder late)"
        assert judge.well, "one late answer is no fault"
        held.go.set()
    assert counted(judge) == {"late": 1}


async def test_an_encoder_that_is_late_again_and_again_rests_and_is_asked_again_later() -> None:
    held, clock = Held(), Clock()
    async with beside(held, budget_seconds=0.005, clock=clock) as judge:
        names = [(await said(judge)).classifier for _ in range(LATE_BEFORE_REST + 1)]
        assert names == [f"{FAST.name} (encoder late)"] * LATE_BEFORE_REST + [f"{FAST.name} (encoder resting)"]
        assert not judge.well and judge.state == f"{FAST.name} (encoder resting)"
        held.go.set()
        clock.now += 11.0
        assert judge.aside is not None
        judge.aside._budget_seconds = 5.0
        assert (await said(judge)).classifier == judge.name
        assert judge.well and judge.state == judge.name


@pytest.mark.parametrize("embedder", [Raises(), SaysNaN()], ids=lambda part: type(part).__name__)
async def test_a_broken_encoder_is_asked_three_times_and_then_rests(embedder: Letters) -> None:
    clock = Clock()
    async with beside(embedder, clock=clock) as judge:
        whys = [(await said(judge)).classifier.partition(" ")[2] for _ in range(5)]
        assert whys == ["(encoder failed)"] * 3 + ["(encoder resting)"] * 2
        assert not judge.well
        clock.now += 11.0
        assert (await said(judge)).classifier.endswith("(encoder failed)")
    assert len(embedder.batches) == 4
    assert counted(judge) == {"failed": 4, "resting": 2}


async def test_an_encoder_that_cannot_be_loaded_is_told_and_done_without(caplog: pytest.LogCaptureFixture) -> None:
    def load(weights: str) -> Embedder:
        raise EncoderError("missing", "No module named 'torch'; install it with: pip install torch==2.13.0")

    aside = Aside(encoder_artefact(), load, budget_seconds=1.0)
    judge = Judge(FAST, aside=aside)
    with caplog.at_level(logging.ERROR):
        await aside.start()
    assert "pip install torch==2.13.0" in caplog.text
    assert (await said(judge)).classifier == f"{FAST.name} (encoder missing)" == judge.state
    assert not judge.well
    await aside.aclose()


async def test_a_caller_who_leaves_is_not_computed() -> None:
    held = Held()
    async with beside(held) as judge:
        first = asyncio.create_task(said(judge, "first"))
        assert await asyncio.to_thread(held.began.wait, 10)
        leaves = asyncio.create_task(said(judge, "leaves"))
        await asyncio.sleep(0.01)
        leaves.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaves
        held.go.set()
        await first
        await said(judge, "last")
    assert held.batches == [["first"], ["last"]]


async def test_too_many_at_once_are_busy_and_not_queued_without_end() -> None:
    held = Held()
    async with beside(held) as judge:
        asked = [asyncio.create_task(said(judge)) for _ in range(300)]
        assert await asyncio.to_thread(held.began.wait, 10)
        await asyncio.sleep(0.05)
        held.go.set()
        names = [(await task).classifier for task in asked]
    busy = names.count(f"{FAST.name} (encoder busy)")
    assert 0 < busy < 300 and names.count(judge.name) == 300 - busy
    assert counted(judge) == {"answered": 300 - busy, "busy": busy}


async def test_closing_leaves_no_thread_and_whoever_waits_gets_the_fast_answer() -> None:
    before = threading.active_count()
    held = Held()
    aside = Aside(encoder_artefact(), lambda weights: held, budget_seconds=5.0)
    await aside.start()
    judge = Judge(FAST, aside=aside)
    asked = [asyncio.create_task(said(judge, "first"))]
    assert await asyncio.to_thread(held.began.wait, 10)
    asked.append(asyncio.create_task(said(judge, "second")))
    await asyncio.sleep(0.01)
    closing = asyncio.create_task(aside.aclose())
    await asyncio.sleep(0.01)
    held.go.set()
    await closing
    assert {(await task).classifier for task in asked} == {judge.name, f"{FAST.name} (encoder busy)"}
    assert (await said(judge)).classifier == f"{FAST.name} (encoder missing)"
    workers = [thread for thread in threading.enumerate() if thread.name == "signalbox-encoder"]
    assert not workers
    assert threading.active_count() <= before + 1, "only the loop's own helper thread stays"


async def test_another_artefact_is_taken_up_if_it_is_for_the_same_encoder_and_judges() -> None:
    async with beside(Letters()) as judge:
        assert judge.aside is not None
        first, other = judge.name, encoder_artefact(seed=1)
        await judge.aside.take_up(other)
        assert judge.name == (await said(judge)).classifier == f"encoder@{other.digest}" != first
        with pytest.raises(ArtefactError, match="another encoder"):
            await judge.aside.take_up(encoder_artefact(weights="b" * 64))
        assert judge.name == f"encoder@{other.digest}"
        await judge.aside.take_up(None)
        assert judge.name == first


async def test_what_cannot_judge_a_canned_ask_is_not_taken_up() -> None:
    async with beside(SaysNaN()) as judge:
        assert judge.aside is not None
        before = judge.name
        with pytest.raises(ArtefactError, match="not finite"):
            await judge.aside.take_up(encoder_artefact(seed=1))
        assert judge.name == before


def test_features_that_are_only_read_say_what_they_lack() -> None:
    featurise = encoder_artefact().featurise
    with pytest.raises(EncoderError, match=r"classifiers\.tiers"):
        featurise(AskText("hello"))


async def test_the_encoder_is_loaded_in_the_thread_that_uses_it() -> None:
    letters, loaded_in = Letters(), set[int]()

    def load(weights: str) -> Embedder:
        loaded_in.add(threading.get_ident())
        return letters

    aside = Aside(encoder_artefact(), load, budget_seconds=5.0)
    await aside.start()
    assert (await said(Judge(FAST, aside=aside))).classifier == aside.name
    assert letters.threads == loaded_in and threading.get_ident() not in loaded_in
    await aside.aclose()
