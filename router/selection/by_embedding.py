"""`select: {by: embedding}`: options are picked by how like the ask is to their descriptions and examples.

The arithmetic is `classifiers.matching`'s. What is known of a set of options beforehand is worked out once, and kept as
long as that set is in use.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from functools import cache
from threading import Lock
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifiers.artefact import load_default
from classifiers.contract import AskText, Classifier, Embedder
from classifiers.learned import LearnedClassifier
from classifiers.matching import Matcher, OptionTexts, text_of, texts_to_embed
from classifiers.vectors import WordVectors
from router.domain import Ask
from router.policy.compiled import Option, Policy, Select, Selection
from router.policy.decide import SelectionNeeded

THRESHOLD: Final = 0.5
"""Where the rule names none. The scale is worked out so that it parts an option's own examples from others'."""
KEPT: Final = 32
"""Sets of options, the latest: those of the policy, of the one before it, and of policies that decide beside it."""

Options = tuple[Option, ...]

log = logging.getLogger(__name__)


@cache
def shipped_vectors() -> WordVectors:
    """The word vectors of the judge that ships."""
    vectors = load_default().featurise.vectors
    assert vectors is not None
    return vectors


def vectors_of(classifier: Classifier) -> Callable[[], WordVectors]:
    """Those of a judge that has some, so that a table of 20 MB is held once; else those that ship."""
    artefact = classifier.artefact if isinstance(classifier, LearnedClassifier) else None
    if artefact is not None and artefact.tier == "fast" and (vectors := artefact.featurise.vectors) is not None:
        return lambda: vectors
    return shipped_vectors


class ByEmbedding:
    """Safe to share between threads. vectors: made when the first set of options comes. embedder: takes the place of
    the word vectors, for whoever can wait for it; else see `router.selection.embedded_aside`."""

    def __init__(self, vectors: Callable[[], WordVectors] = shipped_vectors, embedder: Embedder | None = None):
        self.vectors, self._embedder = vectors, embedder
        self._matchers: dict[Options, Matcher] = {}
        self._lock = Lock()

    async def wait(self, needed: SelectionNeeded, ask: Ask) -> Selection:
        """As `select`; a new set of options is worked out beside the event loop."""
        if needed.select.among in self._matchers:
            return self.select(needed, ask)
        return await asyncio.to_thread(self.select, needed, ask)

    def select(self, needed: SelectionNeeded, ask: Ask) -> Selection:
        """A fraction of a millisecond for a set of options that is known. Never raises: what fails abstains."""
        try:
            return picked(needed, self.scores(needed.select.among, ask.text))
        except Exception:
            log.exception("rule %s cannot select by likeness", needed.rule.name)
            return Selection((), "likeness could not be worked out")

    def scores(self, options: Options, ask: AskText) -> NDArray[np.float64]:
        """How well an ask fits each option, 0..1."""
        embedding = None if self._embedder is None else self._embedder.embed([text_of(ask)])[0]
        return self.matcher(options).scores(ask, embedding)

    async def prepare(self, policy: Policy) -> None:
        """Works out what selecting by this policy needs, so that no request has to wait for it."""
        for options in option_sets(policy):
            try:
                await asyncio.to_thread(self.matcher, options)
            except Exception:
                log.exception("policy %s: options cannot be matched by likeness", policy.label)

    def matcher(self, options: Options) -> Matcher:
        """Of a set of options, made where there is none yet."""
        found = self._matchers.get(options)
        if found is None:
            with self._lock:
                found = self._matchers.get(options)
                if found is None:
                    found = self._made(options)
                    self._matchers = dict([*self._matchers.items(), (options, found)][-KEPT:])
        return found

    def _made(self, options: Options) -> Matcher:
        texts = [texts_of(option) for option in options]
        embeddings = None
        if self._embedder is not None:
            embeddings = self._embedder.embed(texts_to_embed(texts))
        return Matcher(texts, self.vectors(), embeddings)


def option_sets(policy: Policy) -> Iterator[Options]:
    """The sets of options that the policy picks from by likeness."""
    for route in policy.routes.values():
        for rule in route.rules:
            if isinstance(rule.act, Select) and rule.act.model is None:
                yield rule.act.among


def texts_of(option: Option) -> OptionTexts:
    """What is known of an option; tags are read with the description."""
    return OptionTexts(" ".join((option.description, *option.tags)), option.examples)


def picked(needed: SelectionNeeded, scores: NDArray[np.float64]) -> Selection:
    """The best options above the threshold that may serve, at most as many as the rule wants."""
    select = needed.select
    threshold = THRESHOLD if select.threshold is None else select.threshold
    by_score = sorted(zip(select.among, scores.tolist(), strict=True), key=lambda pair: -pair[1])
    against = {option.name: needed.standing.against(option.part) for option in select.among}
    offered = [(option.name, score) for option, score in by_score if against[option.name] is None]
    left_out = "; ".join(f"{name}: {why}" for name, why in against.items() if why is not None)
    taken = tuple((name, score) for name, score in offered if score >= threshold)[: select.top]
    told = [f"by likeness, threshold {threshold:.2f}"]
    if not taken and offered:
        told = [f"the most like is {offered[0][0]} with {offered[0][1]:.2f}, below {threshold:.2f}"]
    elif not taken:
        told = ["none of the options may serve"]
    return Selection(taken, "; ".join(filter(None, [*told, left_out])))
