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
from router.judge import Canary, Judge
from router.ledger.registry import Standing
from router.settings import Settings

log = logging.getLogger(__name__)


class Registry(Protocol):
    """The part of `router.ledger.registry` that serving needs."""

    async def standing(self) -> Standing: ...

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
    """Keeps a judge at the registry's current artefact, with the canary beside it that the registry names; back at
    `shipped` where the registry has none.

    A damaged or foreign artefact is refused once, with a log line, and what judged before goes on judging; a canary of
    that sort is left out. One of the tier `fast` only stands in where the encoder judges; one of the tier `encoder` is
    foreign where it does not.
    """

    def __init__(self, registry: Registry, judge: Judge):
        self._registry = registry
        self._judge = judge
        self._shipped = judge.classifier
        self._seen: str | None = None
        self._seen_beside: tuple[str, float] | None = None

    async def poll(self) -> None:
        """Takes up what is current, and who judges a share beside it, if that has changed."""
        standing = await self._registry.standing()
        if standing.current != self._seen:
            await self._follow(standing.current)
        beside = None if standing.canary is None else (standing.canary, standing.share)
        if beside != self._seen_beside:
            await self._follow_beside(beside)

    async def _follow(self, current: str | None) -> None:
        if current is None:
            await self._put(None)
            log.info("the judge is the shipped one again: %s", self._judge.name)
        elif (artefact := await self._fetched(current)) is not None:
            try:
                await self._put(artefact)
                log.info("the judge is now %s (artefact %s)", self._judge.name, current[:12])
            except ArtefactError as error:
                self._refuse(current, error)
        self._seen = current

    async def _follow_beside(self, beside: tuple[str, float] | None) -> None:
        judge, before = self._judge, self._judge.canary
        if beside is not None and before is not None and before.sha256 == beside[0]:
            judge.canary = Canary(before.judge, beside[1], before.sha256)
        else:
            artefact = None if beside is None else await self._fetched(beside[0])
            canary = None
            if artefact is not None and beside is not None:
                try:
                    canary = Canary(await self._made(artefact), beside[1], beside[0])
                except ArtefactError as error:
                    self._refuse(beside[0], error)
            judge.failures += before.judge.failures if before is not None else 0
            judge.canary = canary
        self._seen_beside = beside
        if judge.canary is not None:
            log.info("%s judges %g of the conversations", judge.canary.judge.name, judge.canary.share)
        elif before is not None:
            log.info("%s judges all conversations again", judge.name)

    async def _fetched(self, sha256: str) -> Artefact | None:
        """None, with a log line, where it cannot be used. Raises StoreAway."""
        try:
            return await asyncio.to_thread(load_packed, await self._registry.fetch(sha256))
        except StoreAway:
            raise
        except (ArtefactError, StoreError, NotFound) as error:
            self._refuse(sha256, error)
            return None

    def _refuse(self, sha256: str, error: Exception) -> None:
        log.error("artefact %s is not taken up, %s judges on: %s", sha256[:12], self._judge.name, error)

    async def _put(self, artefact: Artefact | None) -> None:
        """This artefact in its tier's place, the shipped one in the other. Raises ArtefactError, changing nothing."""
        aside, judge = self._judge.aside, self._judge
        classifier, embedding = await self._seats(artefact)
        if aside is not None:
            await aside.take_up(embedding)
        judge.classifier = classifier

    async def _made(self, artefact: Artefact) -> Judge:
        """A judge beside the one that serves, as that would be with this artefact. Raises ArtefactError."""
        aside = self._judge.aside
        classifier, embedding = await self._seats(artefact)
        return Judge(classifier, aside=None if aside is None else await aside.beside(embedding))

    async def _seats(self, artefact: Artefact | None) -> tuple[Classifier, Artefact | None]:
        """(who judges quickly, what judges with the encoder; None for the shipped one). Raises ArtefactError."""
        if artefact is None:
            return self._shipped, None
        if artefact.tier == "encoder":
            if self._judge.aside is None:
                raise ArtefactError("foreign", "it is of the tier encoder; set SIGNALBOX_CLASSIFIER=encoder to use it")
            return self._shipped, artefact
        return await asyncio.to_thread(_tried, artefact), None


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
