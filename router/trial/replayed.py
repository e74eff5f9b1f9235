"""What a policy would have done with every row of an outcome file: who would have answered, how well, for how much.

The judge is the real one, the outcomes are those of the file, and nothing is called. Dollars are of the policy's prices
and the file's tokens; where the file counts none of an answer, `OUTPUT_TOKENS` are assumed. Plans of several calls are
carried out on the file's answers (`classifiers.training.agreement`); what cannot be known is left out, and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from classifiers.training.agreement import agreeing, cascading, poll
from classifiers.training.dataset import OutcomeRow
from classifiers.training.pairing import OUTPUT_TOKENS
from router.ask import read_ask
from router.domain import Ask, Decision, Part
from router.errors import RequestError, SettingsError
from router.judge import Judge
from router.policy.compiled import Facts, Policy
from router.policy.decide import resolve
from router.policy.suggest import did_you_mean
from router.prices import estimate_usd
from router.trial.deciding import Decider, assess

NOON = Facts(at=datetime(2026, 1, 5, 12, tzinfo=UTC))
"""Who asks, as far as a file can tell: nobody in particular, on a Monday at noon."""

_CALLERS_OWN = ("tenant", "key", "headers", "metadata", "hour", "weekday", "budget")


@dataclass(frozen=True, slots=True)
class Replayed:
    """One row. model: who would have answered. quality: what the file says of that answer. predicted: what was
    predicted of it before. cost_usd: all calls of the plan; None where a price is unknown.

    refused: the error's code. left_out: why nothing can be said; then quality is None.
    """

    row: OutcomeRow
    task: str
    model: str | None = None
    plan: str = ""
    rule: str = ""
    quality: float | None = None
    predicted: float | None = None
    cost_usd: float | None = None
    refused: str | None = None
    left_out: str | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """All rows that some policy could be asked about. scores, costs: of every model on every row, by its name in the
    policy; a row without all of them is not among `rows`. notes: what could not be known."""

    policy: Policy
    names: Mapping[str, str]
    rows: tuple[Replayed, ...]
    scores: Mapping[str, np.ndarray]
    costs: Mapping[str, np.ndarray]
    incomplete: int = 0
    notes: tuple[str, ...] = ()

    @property
    def left_out(self) -> Counter[str]:
        return Counter(row.left_out for row in self.rows if row.left_out is not None)

    @property
    def refused(self) -> Counter[str]:
        return Counter(row.refused for row in self.rows if row.refused is not None)


def names_in(policy: Policy, given: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """Which model of the data stands for which of the policy. given: `policyname=DATANAME`. Raises SettingsError.

    Without a word a model stands for itself where the data knows its name, or the last part of its upstream id.
    """
    names = {}
    for pair in given:
        name, equals, data = pair.partition("=")
        if not equals or name not in policy.models:
            hint = did_you_mean(name, policy.models)
            raise SettingsError(f"--as wants policyname=DATANAME with a model of the policy, not {pair!r}{hint}")
        if data not in known:
            raise SettingsError(f"the data has no model {data!r}{did_you_mean(data, known)}")
        names[name] = data
    for name, model in policy.models.items():
        for candidate in (name, model.model, model.model.rsplit("/", 1)[-1]):
            if candidate in known:
                names.setdefault(name, candidate)
    if not names:
        raise SettingsError(
            f"no model of the policy is in the data: name some with --as {next(iter(policy.models))}=DATANAME; "
            f"the data has {', '.join(sorted(known))}"
        )
    return names


def replay(policy: Policy, route: str, rows: Sequence[OutcomeRow], judge: Judge, names: Mapping[str, str]) -> Replay:
    """Decides every row by a route. names: see `names_in`. Raises ModelNotFound for a route that is not there."""
    target, decider = resolve(policy, route), Decider(policy, judge.classifier)
    complete = [row for row in rows if all(data in row.scores for data in names.values())]
    placed = []
    costs: dict[str, list[float]] = {name: [] for name in names}
    for row in complete:
        values = {"messages": [{"role": "user", "content": row.query}]}
        ask = read_ask(values, policy.scanner)
        bill = {name: cost_of(row, ask, policy, name, data) for name, data in names.items()}
        for name, cost in bill.items():
            costs[name].append(np.nan if cost is None else cost)
        assessment = assess(judge, ask, policy.cards)
        try:
            decision = decider.decide(target, ask, assessment, NOON)[1].decision
        except RequestError as error:
            placed.append(Replayed(row, assessment.task, refused=error.code))
            continue
        placed.append(_carried_out(row, decision, assessment.quality, assessment.task, bill, names))
    return Replay(
        policy,
        names,
        tuple(placed),
        {name: np.array([row.scores[data] for row in complete]) for name, data in names.items()},
        {name: np.array(bill) for name, bill in costs.items()},
        len(rows) - len(complete),
        tuple(_notes(policy, decider, complete, names)),
    )


def cost_of(row: OutcomeRow, ask: Ask, policy: Policy, name: str, data: str) -> float | None:
    """Dollars of one model's answer to one row; the file's own where the policy knows no price."""
    price, written = policy.models[name].price, row.output_tokens.get(data)
    if price is None:
        return row.costs.get(data)
    return estimate_usd(ask.input_tokens, round(OUTPUT_TOKENS if written is None else written), price)


class _Unknown(Exception):
    """What a plan would have come to, the file cannot tell."""


def _carried_out(
    row: OutcomeRow,
    decision: Decision,
    predicted: Mapping[str, float],
    task: str,
    bill: Mapping[str, float | None],
    names: Mapping[str, str],
) -> Replayed:
    """What the decision would have come to, by the file's answers."""
    terms = decision.terms
    try:
        for name in (decision.model, *([terms.then] if terms is not None and terms.then else [])):
            _known(name, names)
        if decision.plan == "single":
            model, quality, cost = decision.model, row.scores[names[decision.model]], bill[decision.model]
        elif terms is None or decision.plan == "retrieve" or terms.judge is not None:
            raise _Unknown(f"what a plan `{decision.plan}` answers cannot be known from a file")
        else:
            parts = [_votes(part, row, names) for part in terms.parts]
            model, quality, cost = _several(row, decision, parts, bill, names)
    except _Unknown as unknown:
        return Replayed(row, task, plan=decision.plan, rule=decision.rule, left_out=str(unknown))
    return Replayed(row, task, model, decision.plan, decision.rule, quality, predicted.get(model), cost)


def _several(
    row: OutcomeRow,
    decision: Decision,
    parts: Sequence[str],
    bill: Mapping[str, float | None],
    names: Mapping[str, str],
) -> tuple[str, float, float | None]:
    """(who answers, how well, for how much) of a vote, or of a first answer that is checked."""
    terms = decision.terms
    assert terms is not None
    asking, one = sum(_dollars(bill[name]) for name in parts), np.array
    voters = [names[name] for name in parts]
    if decision.plan == "fan_out":
        winner = poll([row], voters)
        return parts[_place_of(row, voters)], float(winner.score[0]), _or_none(asking)
    assert terms.then is not None
    large, dear = row.scores[names[terms.then]], _dollars(bill[terms.then])
    given = one([terms.quality]), one([large]), one([asking]), one([dear])
    if decision.plan == "cascade":
        plan, bar = cascading([row], voters[0], *given), terms.trust or 0.0
    else:
        plan, bar = agreeing(poll([row], voters), *given), terms.trust or 0.0
    accepted = plan.trust[0] >= bar
    model = parts[_place_of(row, voters)] if accepted else terms.then
    return model, float(plan.quality(bar)[0]), _or_none(float(plan.cost(bar)[0]))


def _place_of(row: OutcomeRow, voters: Sequence[str]) -> int:
    """Which of the voters gave the answer that won; ties go to the first."""
    answers = [row.answers[voter] for voter in voters]
    ranked = Counter(answer for answer in answers if answer is not None).most_common(1)
    return answers.index(ranked[0][0]) if ranked else 0


def _votes(part: Part, row: OutcomeRow, names: Mapping[str, str]) -> str:
    if part.retriever is not None:
        raise _Unknown("what a retriever's passages are worth cannot be known from a file")
    _known(part.model, names)
    if names[part.model] not in row.answers:
        raise _Unknown(f"the data holds no `answer` of {names[part.model]}, so its plan cannot be carried out")
    return part.model


def _known(name: str, names: Mapping[str, str]) -> None:
    if name not in names:
        raise _Unknown(f"the data has no model for {name}: name it with --as {name}=DATANAME")


def _dollars(cost: float | None) -> float:
    return float("nan") if cost is None else cost


def _or_none(cost: float) -> float | None:
    return None if cost != cost else cost


def _notes(policy: Policy, decider: Decider, rows: Sequence[OutcomeRow], names: Mapping[str, str]) -> Iterator[str]:
    own = [root for root in _CALLERS_OWN if root in policy.names.roots]
    if own:
        yield f"conditions see nobody in particular, on a Monday at noon (UTC): {', '.join(own)} cannot be known"
    if decider.models_not_asked:
        yield f"a model would have read the options {decider.models_not_asked} times; those rules were passed over"
    silent = [data for data in names.values() if any(row.output_tokens.get(data) is None for row in rows)]
    if silent:
        yield f"{OUTPUT_TOKENS:.0f} output tokens are assumed where the data counts none: {', '.join(silent)}"
