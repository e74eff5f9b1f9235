"""How much quality a rule loses against its baseline, by requests that audits had answered twice; nothing is called.

For each such request: whom would the rule take today, with this judge? The loss is the baseline's score less that
model's; 0 where it is the baseline. What is made of the losses is `classifiers.training.risk`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from classifiers.contract import Assessment, Classifier
from classifiers.learned import LearnedClassifier
from router.domain import Decision, Outcome
from router.errors import RequestError
from router.ledger.pairs import ScoredPair
from router.policy.compiled import Facts, Policy, Proof, Route, Rule, Select
from router.policy.proofs import to_prove
from router.trial.deciding import Decider
from router.trial.logged_asks import NEVER_KNOWN, ask_of

_CERTAIN = Proof(0.0)


@dataclass(frozen=True, slots=True)
class Losses:
    """Scores of a rule's requests in order of time: the baseline's answer, and that of whom the rule would take.

    left_out: audited requests of the rule that cannot say, since their judgement is not known or a third model would
    have answered.
    """

    baseline: Sequence[float]
    taken: Sequence[float]
    left_out: int


class Counterfactual:
    """Decides logged requests of a route as if every `max_risk` of the policy were proven. name: of who judges now."""

    def __init__(self, policy: Policy, name: str, classifier: Classifier | None = None):
        self._policy, self._name, self._classifier = _apart(policy), name, classifier
        self._decider = Decider(self._policy, knows_text=False)
        self._proven = {(route.name, rule.name): _CERTAIN for route, rule, _ in to_prove(policy)}
        self._unknown = bool(policy.names.roots & NEVER_KNOWN.keys())

    def losses(self, route_name: str, rule_name: str, pairs: Sequence[ScoredPair]) -> Losses:
        """Of the pairs that come to a rule. pairs: oldest first, of any route."""
        route = self._policy.routes[route_name]
        rule = next(rule for rule in route.rules if rule.name == rule_name)
        baseline, taken, left_out = [], [], 0
        for pair in pairs:
            if pair.row.route != route_name:
                continue
            found = self._scores(route, rule, pair)
            if found is None:
                continue
            if len(found) == 2:
                baseline.append(found[0])
                taken.append(found[1])
            else:
                left_out += 1
        return Losses(baseline, taken, left_out)

    def _scores(self, route: Route, rule: Rule, pair: ScoredPair) -> tuple[float, ...] | None:
        """(the baseline's score, that of whom the rule would take); empty where they cannot be known; None where the
        request does not come to the rule."""
        row, other = pair.row, pair.other
        assessment = self._assessment(row)
        if assessment is None:
            return ()
        decision = self._decision(route, rule, row, assessment)
        if decision is None or decision.rule != rule.name:
            return None
        scores = {str(row.model): other.own_score, str(other.row.model): other.score}
        if route.baseline not in scores or decision.model not in scores:
            return ()
        return scores[route.baseline], scores[decision.model]

    def _decision(self, route: Route, rule: Rule, row: Outcome, assessment: Assessment) -> Decision | None:
        """What the rule decides, where the request came to it; else what the route does. Who could not serve then,
        cannot now."""
        if row.policy == self._policy.label and row.classifier == self._name:
            if not any(trace.matched and trace.name == rule.name for trace in row.rules):
                return None  # headers and the like are not logged; which rule matched is
            route = replace(route, rules=(replace(rule, condition=None),))
        elif self._unknown or any(isinstance(other.act, Select) for other in route.rules):
            return None  # it cannot be known which rule it would come to
        unable = {name: str(able) for name, able in row.eligible.items() if able is not True}
        at = datetime.fromtimestamp(row.at_unix, UTC)
        facts = Facts(tenant=row.tenant, at=at, unhealthy=unable, proofs=self._proven)
        try:
            return self._decider.decide(route, ask_of(row), assessment, facts)[1].decision
        except RequestError:
            return None

    def _assessment(self, row: Outcome) -> Assessment | None:
        """As this judge said, or says now of what is left of the ask; None where it cannot."""
        classifier, known = self._classifier, {card.name for card in self._policy.cards} <= row.quality.keys()
        if row.classifier == self._name and known and row.complexity is not None:
            task, language = row.task or "unknown", row.language or "und"
            return Assessment(
                row.complexity, row.quality, row.gain or 0.0, row.support or 0.0, task, language, row.classifier
            )
        if (
            row.features is None
            or not isinstance(classifier, LearnedClassifier)
            or classifier.features_digest != row.features_digest
        ):
            return None
        return classifier.assess_features(np.asarray(row.features, np.float32), self._policy.cards)


def _apart(policy: Policy) -> Policy:
    """The same policy with conditions of its own: those in use count how often they erred on requests."""
    routes = {
        name: replace(
            route,
            rules=tuple(
                rule if rule.condition is None else replace(rule, condition=replace(rule.condition, errors=0))
                for rule in route.rules
            ),
        )
        for name, route in policy.routes.items()
    }
    return replace(policy, routes=routes)
