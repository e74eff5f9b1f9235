"""How a running gateway takes up a promoted artefact: polled, fetched, verified, tried, then one assignment."""

from __future__ import annotations

import asyncio
import logging
import math
import tempfile
from pathlib import Path
from typing import Protocol

from classifiers.artefact import unpack
from classifiers.contract import AskText, Classifier, ModelCard
from classifiers.errors import ArtefactError
from classifiers.heuristic import HeuristicClassifier
from classifiers.learned import LearnedClassifier
from router.errors import NotFound, SettingsError, StoreAway, StoreError
from router.judge import Judge
from router.settings import Settings

log = logging.getLogger(__name__)

_CANNED_ASKS = (AskText("hi"), AskText("Prove that there are infinitely many primes of the form 4k + 3."), AskText(""))
_CANNED_MODELS = (ModelCard("small", "small", "small"), ModelCard("large", "large", "large"))


class Registry(Protocol):
    """The part of `router.ledger.registry` that serving needs."""

    async def current(self) -> str | None: ...

    async def fetch(self, sha256: str) -> bytes:
        """Raises NotFound; StoreError for damaged bytes, StoreAway while they cannot be read."""
        ...


def first_classifier(settings: Settings) -> Classifier:
    """The judge to start with: the folder named, rules if asked for, else the shipped one. Raises SettingsError."""
    if settings.classifier == "heuristic":
        return HeuristicClassifier()
    if settings.classifier != "fast":
        raise SettingsError(f"SIGNALBOX_CLASSIFIER: {settings.classifier!r} is none of fast, heuristic.")
    try:
        return LearnedClassifier.load(settings.artefact)
    except ArtefactError as error:
        raise SettingsError(f"The judge cannot be loaded: {error}") from None


class Uptake:
    """Keeps a judge at the registry's current artefact; back at `shipped` where the registry has none.

    A damaged or foreign artefact is refused once, with a log line, and what judged before goes on judging.
    """

    def __init__(self, registry: Registry, judge: Judge):
        self._registry = registry
        self._judge = judge
        self._shipped = judge.classifier
        self._seen: str | None = None

    async def poll(self) -> None:
        """Takes up what is current if that has changed."""
        current = await self._registry.current()
        if current == self._seen:
            return
        if current is None:
            self._judge.classifier, self._seen = self._shipped, None
            log.info("the judge is the shipped one again: %s", self._shipped.name)
            return
        try:
            packed = await self._registry.fetch(current)
            classifier = await asyncio.to_thread(load_packed, packed)
        except StoreAway:
            raise
        except (ArtefactError, StoreError, NotFound) as error:
            self._seen = current
            log.error("artefact %s is not taken up, %s judges on: %s", current[:12], self._judge.classifier.name, error)
            return
        self._judge.classifier, self._seen = classifier, current
        log.info("the judge is now %s (artefact %s)", classifier.name, current[:12])


def load_packed(packed: bytes) -> LearnedClassifier:
    """Unpacks, verifies and tries an artefact. Raises ArtefactError. Nothing of it stays on disk."""
    with tempfile.TemporaryDirectory(prefix="signalbox-") as scratch:
        classifier = LearnedClassifier(unpack(packed, Path(scratch)))
    for ask in _CANNED_ASKS:
        assessment = classifier.assess(ask, _CANNED_MODELS)
        if not all(math.isfinite(value) for value in (assessment.complexity, assessment.gain, assessment.support)):
            raise ArtefactError("damaged", "it judges a canned ask with a number that is not finite")
    return classifier
