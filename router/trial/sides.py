"""One side of a comparison: a policy, with the judge whose assessments it goes by, deciding logged requests anew."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from classifiers.learned import LearnedClassifier
from router.domain import Outcome
from router.judge import Judge
from router.policy.compiled import Policy
from router.trial.deciding_logged import LoggedDecider

NO_FEATURES: Final = "without features that the judge can read"


@dataclass(frozen=True, slots=True)
class Chosen:
    """Whom a side would have had answer. left_out: why it cannot be said."""

    model: str | None = None
    left_out: str | None = None


class Side:
    """classifier: judges by the features that were kept; None goes by the assessments that were logged."""

    def __init__(self, name: str, policy: Policy, judge: Judge, classifier: LearnedClassifier | None = None):
        self.name, self.classifier = name, classifier
        self._policy = policy
        self._decider = LoggedDecider(policy, judge)

    def choose(self, row: Outcome) -> Chosen:
        """The model, if it is one that answers alone."""
        judged = self._judged(row)
        if judged is None:
            return Chosen(left_out=NO_FEATURES)
        placed = self._decider.place(judged)
        if placed.left_out is not None:
            return Chosen(left_out=placed.left_out)
        if placed.model is None:
            return Chosen(left_out=f"refused ({placed.refused})")
        if placed.plan not in ("single", ""):
            return Chosen(left_out=f"answered by a plan of several calls ({placed.plan})")
        return Chosen(placed.model)

    def notes(self) -> list[str]:
        """What could not be known of the requests."""
        return self._decider.notes()

    def _judged(self, row: Outcome) -> Outcome | None:
        classifier = self.classifier
        if classifier is None:
            return row
        if row.features is None or row.features_digest != classifier.features_digest:
            return None
        found = classifier.assess_features(row.features, self._policy.cards)
        return replace(
            row,
            complexity=found.complexity,
            gain=found.gain,
            support=found.support,
            quality=found.quality,
            task=found.task,
            language=found.language,
        )
