"""How a running gateway takes up a promoted artefact: polled, fetched, verified, tried, then one assignment."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

from classifiers.artefact import Artefact, unpack
from classifiers.contract import Classifier, Embedder
from classifiers.encoder import load_encoder
from classifiers.errors import ArtefactError, ClassifierError
from classifiers.learned import LearnedClassifier
from classifiers.tiers import TIERS, load_classifier, load_tier, weights_of, with_encoder
from router.aside import CANNED_ASKS, CANNED_MODELS, Aside, is_sound
from router.errors import NotFound, SettingsError, StoreAway, StoreError
from router.judge import Judge
from router.settings import Settings

log = logging.getLogger(__name__)


class Registry(Protocol):
    """The part of `router.ledger.registry` that serving needs."""

    async def current(self) -> str | None: ...

    async def fetch(self, sha256: str) -> bytes:
        """Raises NotFound; StoreError for damaged bytes, StoreAway while they cannot be read."""
        ...


def first_judge(settings: Settings) -> Judge:
    """The judge a gateway starts with: of the tier that is set, from the folder named or as shipped.

    The tier `encoder` has the shipped `fast` one to stand in for it; its encoder is loaded at the start, not here.
    Raises SettingsError.
    """
    if settings.classifier != "encoder":
        return Judge(load_judge(settings))
    with _as_settings_error():
        aside = Aside(
            load_tier("encoder", settings.artefact),
            partial(_encoder, settings),
            budget_seconds=settings.encoder_budget_ms / 1000,
        )
        return Judge(load_classifier("fast"), aside=aside)


def load_judge(settings: Settings) -> Classifier:
    """The classifier that is set, ready to be asked, for whoever can wait for an encoder. Raises SettingsError."""
    if settings.classifier not in TIERS:
        raise SettingsError(f"SIGNALBOX_CLASSIFIER: {settings.classifier!r} is none of {', '.join(TIERS)}.")
    with _as_settings_error():
        if settings.classifier != "encoder":
            return load_classifier(settings.classifier, settings.artefact)
        artefact = load_tier("encoder", settings.artefact)
        return LearnedClassifier(with_encoder(artefact, _encoder(settings, weights_of(artefact))))


def _encoder(settings: Settings, weights: str) -> Embedder:
    return load_encoder(settings.encoder_model, weights=weights, threads=settings.encoder_threads)


@contextmanager
def _as_settings_error() -> Iterator[None]:
    try:
        yield
    except ClassifierError as error:
        raise SettingsError(f"The judge cannot be loaded: {error}") from None


class Uptake:
    """Keeps a judge at the registry's current artefact; back at `shipped` where the registry has none.

    A damaged or foreign artefact is refused once, with a log line, and what judged before goes on judging. One of the
    tier `fast` only stands in where the encoder judges; one of the tier `encoder` is foreign where it does not.
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
            await self._put(None)
            self._seen = None
            log.info("the judge is the shipped one again: %s", self._judge.name)
            return
        try:
            packed = await self._registry.fetch(current)
            await self._put(await asyncio.to_thread(load_packed, packed))
        except StoreAway:
            raise
        except (ArtefactError, StoreError, NotFound) as error:
            self._seen = current
            log.error("artefact %s is not taken up, %s judges on: %s", current[:12], self._judge.name, error)
            return
        self._seen = current
        log.info("the judge is now %s (artefact %s)", self._judge.name, current[:12])

    async def _put(self, artefact: Artefact | None) -> None:
        """This artefact in its tier's place, the shipped one in the other. Raises ArtefactError, changing nothing."""
        aside = self._judge.aside
        if artefact is not None and artefact.tier == "encoder":
            if aside is None:
                raise ArtefactError("foreign", "it is of the tier encoder; set SIGNALBOX_CLASSIFIER=encoder to use it")
            await aside.take_up(artefact)
            self._judge.classifier = self._shipped
            return
        classifier = self._shipped if artefact is None else await asyncio.to_thread(_tried, artefact)
        if aside is not None:
            await aside.take_up(None)
        self._judge.classifier = classifier


def load_packed(packed: bytes) -> Artefact:
    """Unpacks and verifies an artefact. Raises ArtefactError. Nothing of it stays on disk."""
    with tempfile.TemporaryDirectory(prefix="signalbox-") as scratch:
        return unpack(packed, Path(scratch))


def _tried(artefact: Artefact) -> Classifier:
    """A judge that has judged canned asks. Raises ArtefactError."""
    classifier = LearnedClassifier(artefact)
    for ask in CANNED_ASKS:
        if not is_sound(classifier.assess(ask, CANNED_MODELS)):
            raise ArtefactError("damaged", "it judges a canned ask with a number that is not finite")
    return classifier
