"""Decides anew what the ledger logged: its asks without their text, its assessments, its callers as far as it knows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from classifiers.learned import LearnedClassifier
from router.domain import Outcome
from router.errors import RequestError
from router.judge import Judge
from router.policy.compiled import Facts, Policy
from router.policy.expected import cost_at
from router.trial.deciding import Decider, pinned
from router.trial.logged_asks import NEVER_KNOWN, ask_of
from router.trial.moves import Placed


class LoggedDecider:
    """One policy, asked about requests that another (or itself) decided."""

    def __init__(self, policy: Policy, judge: Judge):
        self.policy, self._judge = policy, judge
        self._decider = Decider(policy, knows_text=False)
        self.guessed: set[str] = set()
        """Models whose quality was never predicted for a logged request, and could not be out of its features."""

    def place(self, row: Outcome) -> Placed:
        """Where the request would go. Dollars are of the tokens that it took in the end."""
        task = row.task or "unknown"
        route = self.policy.routes.get(row.route or "")
        if route is None:
            return Placed(row.request_id, task, left_out=f"{self.policy.name} has no route {row.route}")
        facts = Facts(tenant=row.tenant, at=datetime.fromtimestamp(row.at_unix, UTC))
        quality = self._quality(row)
        given = {
            "complexity": row.complexity,
            "gain": row.gain,
            "support": row.support,
            "quality": quality,
            "task": row.task,
            "language": row.language,
        }
        try:
            _, verdict = self._decider.decide(route, ask_of(row), pinned(self.policy, given), facts)
        except RequestError as error:
            return Placed(row.request_id, task, refused=error.code)
        decision = verdict.decision
        cost = cost_at(decision, self.policy, row.usage.input, row.usage.output)
        predicted = pinned(self.policy, given).quality.get(decision.model)
        return Placed(row.request_id, task, decision.model, decision.rule, decision.plan, predicted, predicted, cost)

    def notes(self) -> list[str]:
        """What could not be known."""
        blind = [words for root, words in NEVER_KNOWN.items() if root in self.policy.names.roots]
        notes = (
            [f"{self.policy.name}: the ledger keeps no {', '.join(blind)}; such conditions saw none"] if blind else []
        )
        if self._decider.selectors_blind:
            count = self._decider.selectors_blind
            notes.append(f"{self.policy.name}: a selector would have read {count} asks, and their text is not known")
        if self.guessed:
            names = ", ".join(sorted(self.guessed))
            notes.append(f"{self.policy.name}: no quality was logged of {names}; their tier's was taken")
        return notes

    def _quality(self, row: Outcome) -> Mapping[str, float]:
        """As it was predicted then; for models that were not there then, read off the features where they are kept."""
        missing = [card for card in self.policy.cards if card.name not in row.quality]
        if not missing:
            return row.quality
        classifier = self._judge.classifier
        if (
            row.features is not None
            and isinstance(classifier, LearnedClassifier)
            and classifier.features_digest == row.features_digest
        ):
            return {**classifier.assess_features(row.features, missing).quality, **row.quality}
        self.guessed.update(card.name for card in missing)
        return row.quality
