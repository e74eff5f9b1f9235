"""Likeness by the encoder where the gateway judges with it: beside the event loop, and only as long as its time allows.

Where the encoder is late, busy or broken, word vectors decide, and the trace says so.
"""

from __future__ import annotations

import asyncio

from classifiers.matching import Matcher, text_of, texts_to_embed
from router.aside import Aside
from router.domain import Ask
from router.policy.compiled import Policy, Selection
from router.policy.decide import SelectionNeeded
from router.selection.by_embedding import KEPT, ByEmbedding, Options, option_sets, picked, texts_of


class EmbeddedAside:
    """`ByEmbedding` stands in. Sets of options are embedded by `prepare`, which takes seconds; until then too."""

    def __init__(self, by_embedding: ByEmbedding, aside: Aside):
        self._stand_in, self._aside = by_embedding, aside
        self._matchers: dict[Options, Matcher] = {}

    async def prepare(self, policy: Policy) -> None:
        await self._stand_in.prepare(policy)
        for options in option_sets(policy):
            if options not in self._matchers:
                texts = [texts_of(option) for option in options]
                embeddings = await self._aside.embed_all(texts_to_embed(texts))
                if embeddings is not None:
                    made = await asyncio.to_thread(Matcher, texts, self._stand_in.vectors(), embeddings)
                    self._matchers = dict([*self._matchers.items(), (options, made)][-KEPT:])

    async def wait(self, needed: SelectionNeeded, ask: Ask) -> Selection:
        matcher = self._matchers.get(needed.select.among)
        if matcher is None:
            return await self._stand_in.wait(needed, ask)
        embedding = await self._aside.embed(text_of(ask.text))
        if isinstance(embedding, str):
            stood_in = await self._stand_in.wait(needed, ask)
            return Selection(stood_in.options, f"{stood_in.why}; encoder {embedding}")
        return picked(needed, matcher.scores(ask.text, embedding))
