"""Finds the threshold by which one rule of a policy keeps a promise, on rows that hold outcomes of all its models.

The judge is the one in force, rows are decided as a gateway would, and only those that come to the rule count. What the
rule would do with each at every threshold is `classifiers.training.curves`' and `agreement`'s; nothing is called.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from classifiers.training import curves, measures
from classifiers.training.agreement import agreeing, before_asking, cascading, poll
from classifiers.training.curves import Curve, Promise
from classifiers.training.dataset import OutcomeRow
from classifiers.training.measures import Figure, Floats
from classifiers.training.promise import Plan, halves
from router.ask import read_ask
from router.errors import RequestError, SettingsError
from router.judge import Judge
from router.policy.compiled import Agree, Cascade, Choose, Policy, Route, Rule
from router.policy.suggest import did_you_mean
from router.trial.deciding import Decider, assess
from router.trial.replayed import NOON, cost_of

LEAST_ROWS: Final = 100
SPLITS: Final = 100
Key = Literal["threshold", "trust"]


@dataclass(frozen=True, slots=True)
class Judged:
    """One row that came to the rule. quality: predicted. scores, costs: by model, as they are named in the policy.

    outcome: the row of the file; None for a row of the ledger, which keeps no answers. group: rows of one are never on
    both sides of a split. units: how long the question is; None where its text is not known.
    """

    group: str
    quality: Mapping[str, float]
    scores: Mapping[str, float]
    costs: Mapping[str, float | None]
    outcome: OutcomeRow | None = None
    units: float | None = None


@dataclass(frozen=True, slots=True)
class Tuned:
    """What was found. threshold: None where nothing can be promised. kept, bill: shares of the baseline's quality and
    bill on all rows, at `written`, the threshold as it is written. unseen: in which share of random halves a threshold
    set on one held on the other; unseen_bill: the bill there. beside: see `_beside`.
    """

    route: str
    rule: str
    key: Key
    rows: int
    baseline: str
    promise: Promise
    threshold: Figure
    written: float | None
    kept: Figure
    bill: Figure
    large_share: float | None
    unseen: float
    unseen_bill: Figure
    beside: Mapping[str, float | None]
    notes: tuple[str, ...] = ()


def rule_to_tune(policy: Policy, route: str, name: str | None) -> tuple[Route, Rule]:
    """The route, and the rule of that name, or the only one that has a threshold. Raises SettingsError."""
    found = policy.routes.get(route)
    if found is None:
        raise SettingsError(f"{policy.name} has no route {route}{did_you_mean(route, policy.routes)}")
    tunable = {rule.name: rule for rule in found.rules if isinstance(rule.act, Choose | Cascade | Agree)}
    if name is None:
        if len(tunable) != 1:
            known = (
                f"name one with --rule: {', '.join(tunable)}" if tunable else "give it a `choose`, `cascade`, `agree`"
            )
            raise SettingsError(f"route {route} has {len(tunable)} rules with a threshold; {known}")
        return found, next(iter(tunable.values()))
    if name not in tunable:
        if any(rule.name == name for rule in found.rules):
            raise SettingsError(f"rule {name} has no threshold: only `choose`, `cascade` and `agree` have")
        raise SettingsError(f"route {route} has no rule {name}{did_you_mean(name, tunable)}")
    return found, tunable[name]


def models_of(policy: Policy, route: Route, rule: Rule) -> tuple[str, ...]:
    """Every model whose outcomes are needed, the baseline last. Raises SettingsError for what no data can tell."""
    act = rule.act
    if isinstance(act, Choose):
        names, last = act.among, route.baseline
        if last is None:
            raise SettingsError(f"route {route.name} names no `baseline`, so nothing can be promised against it")
    else:
        assert isinstance(act, Cascade | Agree)
        parts = (act.first,) if isinstance(act, Cascade) else act.ask
        if held := [part.name for part in parts if part.retriever is not None]:
            raise SettingsError(f"what {held[0]}'s passages are worth cannot be known from outcomes")
        names, last = tuple(part.model for part in parts), act.then
    if unpriced := [name for name in (*names, last) if policy.models[name].price is None]:
        raise SettingsError(f"the price of {unpriced[0]} is unknown, so is every bill: give it a `price`")
    return tuple(dict.fromkeys((*(name for name in names if name != last), last)))


def promise_of(rule: Rule, keep_quality: float | None, max_cost: float | None, confidence: float) -> Promise:
    """The promise that is asked for, else the rule's own. Raises SettingsError."""
    if keep_quality is None and max_cost is None and isinstance(rule.act, Choose):
        keep_quality, max_cost = rule.act.keep_quality, rule.act.max_cost
    if (keep_quality is None) == (max_cost is None):
        raise SettingsError("say what is promised: either --keep-quality 0.95 or --max-cost 0.4")
    return Promise(keep_quality, max_cost, confidence)


def judged_rows(
    policy: Policy, route: Route, rule: Rule, rows: Sequence[OutcomeRow], judge: Judge, names: Mapping[str, str]
) -> list[Judged]:
    """The rows that come to the rule and hold outcomes of all its models. names: see `replayed.names_in`."""
    wanted, decider = models_of(policy, route, rule), Decider(policy)
    missing = [name for name in wanted if name not in names]
    if missing:
        known = sorted({model for row in rows for model in row.scores})
        hint = did_you_mean(missing[0], known) or f"; it has {', '.join(known)}"
        raise SettingsError(f"the data has no outcomes of {missing[0]}: say which with --as {missing[0]}=NAME{hint}")
    found = []
    for row in rows:
        if any(names[name] not in row.scores for name in wanted):
            continue
        ask = read_ask({"messages": [{"role": "user", "content": row.query}]}, policy.scanner)
        assessment = assess(judge, ask, policy.cards)
        try:
            decision = decider.decide(route, ask, assessment, NOON)[1].decision
        except RequestError:
            continue
        if decision.rule == rule.name:
            costs = {name: cost_of(row, ask, policy, name, names[name]) for name in wanted}
            scores = {name: row.scores[names[name]] for name in wanted}
            found.append(Judged(row.query, assessment.quality, scores, costs, row, float(len(row.query))))
    return found


def tune(
    policy: Policy, route: Route, rule: Rule, rows: Sequence[Judged], promise: Promise, names: Mapping[str, str]
) -> Tuned:
    """The threshold, and what it comes to. Raises SettingsError or TrainingError where the rows cannot say."""
    wanted = models_of(policy, route, rule)
    if len(rows) < LEAST_ROWS:
        raise SettingsError(
            f"only {len(rows)} rows come to rule {rule.name} with outcomes of {', '.join(wanted)}; "
            f"{LEAST_ROWS} are needed to say anything"
        )
    *first, last = wanted
    _refuse_unless_better(rows, first, last)
    plan = _plan(rule, rows, wanted, names)
    curve = _curve(rule, route, rows) if isinstance(rule.act, Choose) else curves.of_plan(_needed(plan))
    figure, place = curves.spread(curve, promise), curves.set_threshold(curve, promise)
    nothing = place is None or (promise.keep_quality is not None and place == 0)
    stands = 0 if place is None else place
    quality, cost = curve.quality[stands], curve.cost[stands]
    held, there = curves.kept_on_unseen(curve, promise, halves([row.group for row in rows], 0, SPLITS))
    key: Key = "threshold" if isinstance(rule.act, Choose) else "trust"
    return Tuned(
        route=route.name,
        rule=rule.name,
        key=key,
        rows=len(rows),
        baseline=last,
        promise=promise,
        threshold=Figure(None) if nothing else figure,
        written=None if nothing else _written(float(curve.thresholds[stands]), key),
        kept=measures.bootstrap(curves.share_of(quality, curve.best), len(rows), 0),
        bill=measures.bootstrap(curves.share_of(cost, curve.whole), len(rows), 0),
        large_share=None if plan is None else float(np.mean(plan.trust < curve.thresholds[stands])),
        unseen=held,
        unseen_bill=there,
        beside=_beside(rows, first[0], last, promise),
        notes=_notes(rule),
    )


def _notes(rule: Rule) -> tuple[str, ...]:
    """What is not simulated."""
    if isinstance(rule.act, Cascade):
        return (
            "of the checks only whether an answer could be read was simulated, and no sureness of tokens: what serves "
            "turns to the large model more often than this says, for more of its bill",
        )
    if isinstance(rule.act, Agree):
        return ("votes are billed in full; answers count as the same where the data writes them the same",)
    return ()


def _needed(plan: Plan | None) -> Plan:
    assert plan is not None
    return plan


def _plan(rule: Rule, rows: Sequence[Judged], wanted: Sequence[str], names: Mapping[str, str]) -> Plan | None:
    """A cascade or a vote on the rows; None for `choose`."""
    act, (*first, last) = rule.act, wanted
    if isinstance(act, Choose):
        return None
    asking = sum((_costs(rows, name) for name in first), np.zeros(len(rows)))
    trust = np.array([row.quality.get(first[0], 0.0) for row in rows])
    large, whole = _scores(rows, last), _costs(rows, last)
    outcomes = [row.outcome for row in rows if row.outcome is not None]
    if isinstance(act, Cascade):
        if len(outcomes) == len(rows) and all(names[first[0]] in row.answers for row in outcomes):
            return cascading(outcomes, names[first[0]], trust, large, asking, whole)
        return before_asking(trust, _scores(rows, first[0]), large, asking, whole)
    if len(outcomes) < len(rows):
        raise SettingsError("the ledger keeps no answers that could be compared: tune `agree` on a file with --data")
    return agreeing(poll(outcomes, [names[name] for name in first]), trust, large, asking, whole)


def _curve(rule: Rule, route: Route, rows: Sequence[Judged]) -> Curve:
    act, last = rule.act, route.baseline
    assert isinstance(act, Choose) and last is not None
    losses = np.stack([[row.quality.get(last, 0.0) - row.quality.get(name, 0.0) for row in rows] for name in act.among])
    quality, cost = ([of(rows, name) for name in act.among] for of in (_scores, _costs))
    return curves.of_losses(
        losses.T, np.stack(quality, axis=1), np.stack(cost, axis=1), _scores(rows, last), _costs(rows, last)
    )


def _scores(rows: Iterable[Judged], model: str) -> Floats:
    return np.array([row.scores[model] for row in rows])


def _costs(rows: Iterable[Judged], model: str) -> Floats:
    return np.array([np.nan if (cost := row.costs[model]) is None else cost for row in rows])


def _refuse_unless_better(rows: Sequence[Judged], first: Sequence[str], last: str) -> None:
    whole, bill = _scores(rows, last), _costs(rows, last)
    if not bill.sum() > 0.0:
        raise SettingsError(f"{last} costs nothing by its price, so there is no bill to save")
    for name in first:
        if _scores(rows, name).mean() >= whole.mean() - 1e-9:
            raise SettingsError(
                f"{last} is no better than {name} on these rows ({whole.mean():.3f} and "
                f"{_scores(rows, name).mean():.3f}): no threshold is needed, let {name} serve"
            )


def _beside(rows: Sequence[Judged], first: str, last: str, promise: Promise) -> dict[str, float | None]:
    """What random, and length where it is known, come to where they keep the same promise between the two models: the
    share of the bill, or of the quality where the promise is one of cost."""
    rankings = {"random": np.random.default_rng(0).random(len(rows))}
    units = [row.units for row in rows]
    if all(value is not None for value in units):
        _, numbers = np.unique(np.array(units, dtype=np.float64), return_inverse=True)
        rankings["length"] = 1.0 - numbers / max(int(numbers.max()), 1)
    found: dict[str, float | None] = {}
    for name, trust in rankings.items():
        plan = before_asking(trust, _scores(rows, first), _scores(rows, last), _costs(rows, first), _costs(rows, last))
        curve = curves.of_plan(plan)
        place = curves.set_threshold(curve, promise)
        worth = curve.bill if promise.keep_quality is not None else curve.kept
        found[name] = None if place is None else worth(place)
    return found


def _written(threshold: float, key: Key) -> float:
    """Four digits, rounded to the cautious side: more trust is wanted, less loss is allowed."""
    if key == "trust":
        return min(1.0, float(np.ceil(threshold * 1e4) / 1e4))
    return max(-1.0, float(np.floor(threshold * 1e4) / 1e4))
