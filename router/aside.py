"""The encoder tier beside the event loop: in a thread of its own, in batches, and only as long as its time allows.

It answers with an assessment or with why there is none; who stands in then is `router.judge`'s.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence
from copy import copy
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from classifiers.artefact import Artefact
from classifiers.batching import Batcher, Full
from classifiers.contract import AskText, Assessment, Embedder, ModelCard
from classifiers.embedded import HEAD_TOKENS, TAIL_TOKENS
from classifiers.errors import ArtefactError, ClassifierError
from classifiers.learned import LearnedClassifier
from classifiers.tiers import weights_of, with_encoder
from router.telemetry.names import ENCODER_RESULTS

log = logging.getLogger(__name__)

Trouble = Literal["late", "busy", "failed", "resting", "missing"]
"""Why the encoder did not judge: its time was over; too many wait; it raised; it rests; it could not be loaded."""

FAILURES_BEFORE_REST: Final = 3
LATE_BEFORE_REST: Final = 20
"""In a row. Some are late wherever many come at once; where none is in time, asking costs CPU for nothing."""
REST_SECONDS: Final = 10.0
HEAVIEST_TOKENS: Final = 1024.0
"""Of a batch, padding included. More gained nothing."""
FEW: Final = 4
"""Texts of a long list that are embedded between one ask and the next."""
BATCH_SHARE: Final = 1 / 3
"""Of the budget that one batch should take, so that who waits for the one before is in time too."""

CANNED_ASKS = (AskText("hi"), AskText("Prove that there are infinitely many primes of the form 4k + 3."), AskText(""))
CANNED_MODELS = (ModelCard("small", "small", "small"), ModelCard("large", "large", "large"))

Work = tuple[LearnedClassifier | None, AskText]
"""Whose columns are wanted of an ask; None for the embedding of its text alone."""


class Aside:
    """An encoder behind a guard. load: makes the embedder with these weights, in seconds; called once, by `start`.

    budget_seconds: how long one ask may wait for its answer. After three failures in a row, or twenty answers in a row
    that came late, it rests for ten seconds.
    """

    def __init__(
        self,
        artefact: Artefact,
        load: Callable[[str], Embedder],
        *,
        budget_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._weights = weights_of(artefact)
        self._shipped = artefact
        self._classifier = LearnedClassifier(artefact)
        self._load = load
        self._budget_seconds = budget_seconds
        self._clock = clock
        self._embedder: Embedder | None = None
        self._batcher: Batcher[Work, NDArray[np.float32]] | None = None
        self._failed_in_a_row = self._late_in_a_row = 0
        self._rests_until = -math.inf
        self.counts: dict[str, int] = dict.fromkeys(ENCODER_RESULTS, 0)
        """Asks so far, by what came of them."""

    @property
    def name(self) -> str:
        return self._classifier.name

    @property
    def well(self) -> bool:
        """False while it cannot be asked, and from a failure to the next sound answer."""
        return self.trouble is None and not self._failed_in_a_row

    @property
    def trouble(self) -> Trouble | None:
        """Why it is not asked just now, if so."""
        if self._batcher is None:
            return "missing"
        return "resting" if self._clock() < self._rests_until else None

    async def start(self) -> None:
        """Loads the encoder. One that cannot be loaded is told in the log; then the quick classifier answers."""
        seconds = self._budget_seconds * BATCH_SHARE
        # Loaded in the thread that uses it: the first batch of another thread would take more than a second.
        batcher = Batcher(
            self._run, weigh=_tokens, heaviest=HEAVIEST_TOKENS, seconds=seconds, prepare=self._load_embedder
        )
        try:
            await asyncio.wrap_future(batcher.ready)
        except ClassifierError as error:
            log.error("the encoder is not there, the fast judge answers for it: %s", error)
            return
        except Exception:
            log.exception("the encoder cannot be loaded, the fast judge answers for it")
            return
        self._classifier = self._able(self._classifier.artefact)
        self._batcher = batcher

    def _load_embedder(self) -> None:
        self._embedder = self._load(self._weights)

    async def aclose(self) -> None:
        """Ends the thread, after the batch it is at."""
        batcher, self._batcher = self._batcher, None
        if batcher is not None and not await asyncio.to_thread(batcher.close):
            log.warning("the encoder is still at its last batch; its thread ends with the process")

    async def assess(self, ask: AskText, models: Sequence[ModelCard]) -> Assessment | Trouble:
        """The encoder's assessment, or why there is none. Whoever is cancelled while waiting is not computed."""
        answer = await self._assess(ask, models)
        self.counts["answered" if isinstance(answer, Assessment) else answer] += 1
        return answer

    async def take_up(self, artefact: Artefact | None) -> None:
        """Judge with this artefact from now on, None for the first one. Raises ArtefactError and changes nothing where
        it needs another encoder or cannot judge a canned ask."""
        classifier = self._able(artefact or self._shipped)
        if self._batcher is not None and artefact is not None:
            for ask in CANNED_ASKS:
                vectors = await asyncio.wrap_future(self._batcher.submit((classifier, ask)))
                if not is_sound(classifier.assess_readings(vectors, CANNED_MODELS)):
                    raise ArtefactError("damaged", "it judges a canned ask with a number that is not finite")
        self._classifier = classifier

    async def beside(self, artefact: Artefact | None) -> Aside:
        """Another judge, None for the first one, on the same encoder, in the same batches, within the same budget.
        Raises as `take_up` does. It lives no longer than this one."""
        other = copy(self)
        other._failed_in_a_row = other._late_in_a_row = 0
        await other.take_up(artefact)
        return other

    async def embed(self, text: str) -> NDArray[np.float32] | Trouble:
        """The embedding of one text, or why there is none: within the same budget, and under the same guard."""
        vector = await self._computed((None, AskText(text)))
        if isinstance(vector, str):
            return vector
        if not np.isfinite(vector).all():
            log.error("encoder %s made an embedding that is not finite", self.name)
            return self._failed()
        self._failed_in_a_row = self._late_in_a_row = 0
        return vector

    async def embed_all(self, texts: Sequence[str]) -> NDArray[np.float32] | None:
        """Of many texts, for whoever can wait; a few at a time, so that asks come in between. None where it fails."""
        vectors: list[NDArray[np.float32]] = []
        try:
            for start in range(0, len(texts), FEW):
                if self._batcher is None:
                    return None
                work = [self._batcher.submit((None, AskText(text))) for text in texts[start : start + FEW]]
                vectors += await asyncio.gather(*map(asyncio.wrap_future, work))
        except Full:
            return None
        except Exception:
            log.exception("encoder %s could not embed %d texts", self.name, len(texts))
            return None
        return np.stack(vectors) if vectors and np.isfinite(vectors).all() else None

    async def _assess(self, ask: AskText, models: Sequence[ModelCard]) -> Assessment | Trouble:
        classifier = self._classifier
        vectors = await self._computed((classifier, ask))
        if isinstance(vectors, str):
            return vectors
        assessment = classifier.assess_readings(vectors, models)
        if not is_sound(assessment):
            log.error("encoder %s answered with a number that is not finite", classifier.name)
            return self._failed()
        self._failed_in_a_row = self._late_in_a_row = 0
        return assessment

    async def _computed(self, work: Work) -> NDArray[np.float32] | Trouble:
        """What comes out of the thread within the budget."""
        batcher = self._batcher
        if (trouble := self.trouble) is not None or batcher is None:
            return trouble or "missing"
        try:
            async with asyncio.timeout(self._budget_seconds):
                return await asyncio.wrap_future(batcher.submit(work))
        except Full:
            return "busy"
        except TimeoutError:
            self._late_in_a_row += 1
            if self._late_in_a_row >= LATE_BEFORE_REST:
                self._rest(f"was late {LATE_BEFORE_REST} times in a row")
            return "late"
        except Exception:
            log.exception("encoder %s failed", self.name)
            return self._failed()

    def _failed(self) -> Trouble:
        self._failed_in_a_row += 1
        if self._failed_in_a_row % FAILURES_BEFORE_REST == 0:
            self._rest(f"failed {FAILURES_BEFORE_REST} times in a row")
        return "failed"

    def _run(self, work: Sequence[Work]) -> Sequence[NDArray[np.float32]]:
        """In the thread. A batch is of one classifier but beside a canary, and while an artefact is taken up."""
        made: dict[int, NDArray[np.float32]] = {}
        for wanted in {id(classifier): classifier for classifier, _ in work}.values():
            asks = {place: ask for place, (classifier, ask) in enumerate(work) if classifier is wanted}
            if wanted is not None:
                vectors: Sequence[NDArray[np.float32]] = _columns(wanted, list(asks.values()))
            else:
                assert self._embedder is not None
                vectors = list(self._embedder.embed([ask.text for ask in asks.values()]))
            made.update(zip(asks, vectors, strict=True))
        return [made[place] for place in range(len(work))]

    def _rest(self, why: str) -> None:
        self._late_in_a_row = 0
        self._rests_until = self._clock() + REST_SECONDS
        log.warning("encoder %s %s and rests for %.0f s", self.name, why, REST_SECONDS)

    def _able(self, artefact: Artefact) -> LearnedClassifier:
        if weights_of(artefact) != self._weights:
            raise ArtefactError("foreign", f"{artefact.digest} was trained with another encoder than the one loaded")
        return LearnedClassifier(artefact if self._embedder is None else with_encoder(artefact, self._embedder))


def _columns(classifier: LearnedClassifier, asks: Sequence[AskText]) -> list[NDArray[np.float32]]:
    """For each ask the vectors of its readings, hardly ever more than one."""
    readings = [classifier.readings(ask) for ask in asks]
    vectors = classifier.artefact.featurise.many([reading for several in readings for reading in several])
    return np.split(vectors, np.cumsum([len(several) for several in readings])[:-1])


def is_sound(assessment: Assessment) -> bool:
    """Whether every number of it is finite."""
    total = assessment.complexity + assessment.gain + assessment.support + sum(assessment.quality.values())
    return math.isfinite(total)


def _tokens(work: Work) -> float:
    """About how many tokens of an ask are embedded."""
    ask, most = work[1], HEAD_TOKENS + TAIL_TOKENS
    text = ask.text[: 4 * most]
    if ask.earlier and len(text) < 80:  # it may be read with the turn it follows
        text += ask.earlier[-1][: 4 * most]
    return min(len(text.encode("utf-8", "surrogatepass")) / 4, most) + 2.0
