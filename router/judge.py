"""Asks the classifier, and stands in for it when it fails: a judge in trouble answers "unsure", never an error.

What a policy makes of an assessment is `router.policy.decide`'s; what it makes of none stands here. A classifier that
is too slow for the event loop is asked through `router.aside`, and the quick one stands in for it.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from msgspec import structs

from classifiers.contract import AskText, Assessment, Classifier, ModelCard
from router.aside import Aside, is_sound
from router.domain import Ask, ModelSpec, Verdict
from router.errors import ContextTooLong, PolicyRefusal, RateLimited
from router.policy.beside import in_share
from router.policy.compiled import Facts, Policy, Route, Selection
from router.policy.decide import NOTHING_SELECTED, decide

log = logging.getLogger(__name__)

SLOW_SECONDS = 0.05
TRIES_BEFORE_REST = 3
REST_SECONDS = 10.0


class Judge:
    """A classifier behind a guard. `classifier` may be exchanged at any time by one assignment.

    An assessment that raises, is not finite or came slowly counts against it; after three in a row it rests for ten
    seconds, so that a slow classifier costs the event loop three asks and not all of them. aside: the encoder tier,
    where it was chosen; `classifier` then answers for it when it cannot. canary: who judges a share in its place.
    """

    def __init__(
        self,
        classifier: Classifier,
        clock: Callable[[], float] = time.monotonic,
        *,
        aside: Aside | None = None,
        slow_seconds: float = SLOW_SECONDS,
    ):
        self.classifier = classifier
        self.aside = aside
        self.canary: Canary | None = None
        self.failures = 0
        """Assessments that failed or were slow, so far."""
        self._clock = clock
        self._slow_seconds = slow_seconds
        self._well = True
        self._in_a_row = 0
        self._rests_until = -math.inf

    @property
    def well(self) -> bool:
        """Whether it can be relied on: False from a failure, or a rest for slowness, to the next sound assessment."""
        return self._well and (self.aside is None or self.aside.well)

    @property
    def name(self) -> str:
        """Of the classifier that is to judge."""
        return self.classifier.name if self.aside is None else self.aside.name

    @property
    def state(self) -> str:
        """Who judges just now, as assessments say it; with `(resting)` after it while nobody is asked."""
        if self.aside is not None and self.aside.trouble is None:
            return self.aside.name
        resting = " (resting)" if self._clock() < self._rests_until else ""
        return _named(self.classifier.name, None if self.aside is None else self.aside.trouble) + resting

    def of(self, tenant: str, conversation: str) -> Judge:
        """Who judges a conversation: always the same, as long as the canary and its share are."""
        canary = self.canary
        if canary is None or not in_share(f"{canary.sha256}\0{tenant}", conversation, canary.share):
            return self
        return canary.judge

    async def assess_aside(self, ask: AskText, models: Sequence[ModelCard]) -> Assessment | None:
        """The encoder's assessment where it comes in time, else the quick classifier's, which says so in its name."""
        if self.aside is None:
            return self.assess(ask, models)
        answer = await self.aside.assess(ask, models)
        if isinstance(answer, Assessment):
            return answer
        quick = self.assess(ask, models)
        return None if quick is None else structs.replace(quick, classifier=_named(quick.classifier, answer))

    def assess(self, ask: AskText, models: Sequence[ModelCard]) -> Assessment | None:
        """The classifier's assessment, or None where it has none to give."""
        started = self._clock()
        if started < self._rests_until:
            return None
        classifier = self.classifier
        try:
            assessment = classifier.assess(ask, models)
            sound = is_sound(assessment)
        except Exception:
            log.exception("classifier %s failed", classifier.name)
            self._well = False
            self._failed()
            return None
        if not sound:
            log.error("classifier %s answered with a number that is not finite", classifier.name)
            self._well = False
            self._failed()
            return None
        if self._clock() - started > self._slow_seconds:
            self._failed()
        else:
            self._well, self._in_a_row = True, 0
        return assessment

    def _failed(self) -> None:
        self.failures += 1
        self._in_a_row += 1
        if self._in_a_row >= TRIES_BEFORE_REST:
            self._well, self._in_a_row = False, 0
            self._rests_until = self._clock() + REST_SECONDS
            log.warning("classifier %s rests for %.0f s", self.classifier.name, REST_SECONDS)


@dataclass(frozen=True, slots=True)
class Canary:
    """A judge beside another, for a share of its conversations; another artefact is dealt others. sha256: of its
    artefact."""

    judge: Judge
    share: float
    sha256: str


def unsure(models: Sequence[ModelCard]) -> Assessment:
    """What is assumed where nobody judged: everything is as likely as not, and nothing supports it."""
    return Assessment(0.5, {model.name: 0.5 for model in models}, 0.0, 0.0, "unknown", "und", "unsure")


def decide_judged(
    assessment: Assessment | None,
    policy: Policy,
    target: Route | ModelSpec,
    ask: Ask,
    facts: Facts,
    selections: Mapping[str, Selection] = NOTHING_SELECTED,
) -> tuple[Assessment, Verdict]:
    """The policy on what a judge said, with the assessment it went by. Raises what `decide` raises.

    Where nobody could judge, rules are passed over and the default serves: rule `degraded`. Only where the default
    may not serve (a private ask, say) are the rules asked after all, with figures that say nothing.
    """
    if assessment is not None:
        return assessment, decide(policy, target, ask, assessment, facts, selections)
    assessment = unsure(policy.cards)
    if not isinstance(target, Route):
        return assessment, decide(policy, target, ask, assessment, facts, selections)
    try:
        verdict = decide(policy, replace(target, rules=()), ask, assessment, facts)
    except (PolicyRefusal, ContextTooLong, RateLimited):
        verdict = decide(policy, target, ask, assessment, facts, selections)
    decision = structs.replace(verdict.decision, rule="degraded")
    return assessment, structs.replace(verdict, decision=decision)


def _named(classifier: str, trouble: str | None) -> str:
    """`fast@digest (encoder late)`: who answered, and why it was not the encoder."""
    return classifier if trouble is None else f"{classifier} (encoder {trouble})"
