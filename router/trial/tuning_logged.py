"""Rows for setting a threshold, from what the ledger kept: requests that an audit answered a second time."""

from __future__ import annotations

from classifiers.contract import Classifier
from classifiers.learned import LearnedClassifier
from classifiers.training.forward import LEARNED_UNTIL
from router.domain import Outcome
from router.judge import Judge
from router.ledger.contract import Store
from router.ledger.logged import judged_requests
from router.ledger.pairs import OtherAnswer, other_answers
from router.ledger.window import Window
from router.policy.compiled import Policy, Route, Rule
from router.prices import estimate_usd
from router.trial.deciding_logged import LoggedDecider
from router.trial.tuning import LEAST_ROWS, Judged, models_of


async def logged_rows(
    store: Store, window: Window, policy: Policy, route: Route, rule: Rule, judge: Judge
) -> tuple[list[Judged], tuple[str, ...]]:
    """(the audited requests that would come to the rule and know all its models, what could not be known).

    Quality is predicted anew from the features where they are kept, else as it was then. Audits that the judge learned
    from are left out where enough others are there: on what it has learned by heart a threshold would be too bold.
    """
    wanted, decider = models_of(policy, route, rule), LoggedDecider(policy, judge)
    others, found = await other_answers(store, window), []
    async for batch in judged_requests(store, window):
        for row in batch:
            other = others.get(row.request_id)
            if other is None or row.route != route.name or {row.model, other.row.model} != set(wanted):
                continue
            if decider.place(row).rule == rule.name:
                found.append((row.at_unix, _judged(row, other, policy, judge)))
    known = learned_until(judge.classifier)
    fresh = [row for at_unix, row in found if at_unix >= known]
    if len(fresh) == len(found):
        return fresh, tuple(decider.notes())
    if len(fresh) >= LEAST_ROWS:
        note = f"{len(found) - len(fresh)} audits are left out, for the judge has learned from them"
        return fresh, (*decider.notes(), note)
    note = f"the judge has learned from {len(found) - len(fresh)} of these audits, so the threshold is somewhat bold"
    return [row for _, row in found], (*decider.notes(), note)


def learned_until(classifier: Classifier) -> float:
    """The moment up to which a retrained judge has learned from requests, in unix seconds; 0 for any other."""
    artefact = classifier.artefact if isinstance(classifier, LearnedClassifier) else None
    return float((artefact.manifest.get(LEARNED_UNTIL) if artefact is not None else None) or 0.0)


def _judged(row: Outcome, other: OtherAnswer, policy: Policy, judge: Judge) -> Judged:
    own, beside = str(row.model), str(other.row.model)
    costs = {
        model: estimate_usd(of.usage.input, of.usage.output, policy.models[model].price)
        for model, of in ((own, row), (beside, other.row))
    }
    return Judged(row.request_id, _quality(row, policy, judge), {own: other.own_score, beside: other.score}, costs)


def _quality(row: Outcome, policy: Policy, judge: Judge) -> dict[str, float]:
    classifier = judge.classifier
    if (
        row.features is not None
        and isinstance(classifier, LearnedClassifier)
        and classifier.features_digest == row.features_digest
    ):
        return dict(classifier.assess_features(row.features, policy.cards).quality)
    return dict(row.quality)
