"""Likeness by an encoder beside the event loop; word vectors stand in where it is late, broken or not yet ready."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from classifiers.contract import AskText, Assessment, Embedder
from classifiers.matching import texts_to_embed
from router.aside import Aside
from router.domain import Ask
from router.policy.compiled import Facts, Policy
from router.policy.decide import SelectionNeeded, decide
from router.policy.load import parse_policy
from router.selection.by_embedding import ByEmbedding, texts_of
from router.selection.embedded_aside import EmbeddedAside
from tests.judge.encoders import Held, Letters, Raises, SaysNaN, encoder_artefact
from tests.selection.conftest import policy_text

POLICY = parse_policy(policy_text("http://r.test", "http://e.test", "http://c.test"))
ASK = Ask(AskText("how many days of leave do I have"), 10, 100, 32, 1)


@asynccontextmanager
async def beside(embedder: Embedder, budget_seconds: float = 5.0) -> AsyncIterator[EmbeddedAside]:
    aside = Aside(encoder_artefact(), lambda weights: embedder, budget_seconds=budget_seconds)
    await aside.start()
    try:
        yield EmbeddedAside(ByEmbedding(), aside)
    finally:
        await aside.aclose()


def needed(policy: Policy = POLICY) -> SelectionNeeded:
    with pytest.raises(SelectionNeeded) as raised:
        decide(policy, policy.routes["auto"], ASK, Assessment(0.5, {}, 0.0, 0.0, "unknown", "und", "none"), Facts())
    return raised.value


async def test_options_are_embedded_once_and_asks_one_by_one() -> None:
    letters = Letters()
    async with beside(letters) as selector:
        await selector.prepare(POLICY)
        await selector.prepare(POLICY)
        embedded = [text for batch in letters.batches for text in batch]
        assert sorted(embedded) == sorted(texts_to_embed([texts_of(option) for option in POLICY.options.values()]))
        chosen = await selector.wait(needed(), ASK)
        assert chosen.options[0][0] == "staff" and "encoder" not in chosen.why
        assert letters.batches[-1] == [ASK.text.text]


async def test_word_vectors_decide_until_the_options_are_embedded() -> None:
    letters = Letters()
    async with beside(letters) as selector:
        chosen = await selector.wait(needed(), ASK)
        assert chosen.options[0][0] == "staff"
        assert not letters.batches


async def test_word_vectors_decide_where_the_encoder_is_late_and_the_trace_says_so() -> None:
    letters = Letters()
    async with beside(letters, budget_seconds=0.2) as selector:
        await selector.prepare(POLICY)
        letters.seconds = 0.5
        chosen = await selector.wait(needed(), ASK)
        assert chosen.options[0][0] == "staff"
        assert chosen.why.endswith("encoder late")


@pytest.mark.parametrize("embedder", [Raises(), SaysNaN()])
async def test_an_encoder_in_trouble_leaves_it_to_word_vectors(embedder: Letters) -> None:
    async with beside(embedder) as selector:
        await selector.prepare(POLICY)
        assert (await selector.wait(needed(), ASK)).options[0][0] == "staff"


async def test_an_encoder_that_breaks_later_is_told_in_the_trace() -> None:
    class Breaks(Letters):
        broken = False

        def embed(self, texts):  # type: ignore[no-untyped-def]
            return super().embed(texts) * (float("nan") if self.broken else 1.0)

    letters = Breaks()
    async with beside(letters) as selector:
        await selector.prepare(POLICY)
        letters.broken = True
        chosen = await selector.wait(needed(), ASK)
        assert chosen.options[0][0] == "staff" and chosen.why.endswith("encoder failed")


async def test_an_encoder_that_is_not_there_leaves_it_to_word_vectors() -> None:
    selector = EmbeddedAside(ByEmbedding(), Aside(encoder_artefact(), lambda weights: Held(), budget_seconds=1.0))
    await selector.prepare(POLICY)
    assert (await selector.wait(needed(), ASK)).options[0][0] == "staff"
