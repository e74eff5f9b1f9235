"""What each verb of a rule makes of one request: who is asked, by which plan, and who stands by. Pure arithmetic.

Only who may serve is ever asked. A plan that is left with too few parts becomes `single` (or `retrieve`) with whoever
may; a rule that is left with nobody is passed over.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, structs

from classifiers.contract import Assessment
from router.domain import Ask, Combine, Decision, Part, RetrieverSpec, Terms
from router.policy.compiled import Agree, Cascade, Choose, FanOut, Proof, Proven, Route, Rule, Select, Selection, Use


class Standing(Struct, frozen=True):
    """What is known when a rule matched. able: see `eligibility`. costs: dollars this ask would cost at each model.

    proofs: see `Facts`.
    """

    route: Route
    ask: Ask
    assessment: Assessment
    able: Mapping[str, bool | str]
    costs: Mapping[str, float | None]
    retrievers: Mapping[str, RetrieverSpec]
    proofs: Proven = {}

    def against(self, part: Part) -> str | None:
        """Why a part may not be asked; None where it may."""
        if (why := self.able[part.model]) is not True:
            return str(why)
        keeps_back = bool(self.ask.private) and self.route.privacy == "enforce"
        if keeps_back and part.retriever is not None and not self.retrievers[part.retriever].private:
            return f"privacy: the ask holds {', '.join(self.ask.private)} and the retriever is not private"
        return None

    def quality(self, model: str) -> float:
        return self.assessment.quality.get(model, 0.0)

    def cost_of(self, parts: Iterable[Part], *further: tuple[str | None, float]) -> float | None:
        """Dollars of asking all parts once, and further models with a chance each. None where one is unknown."""
        total = 0.0
        for part in parts:
            cost = self.costs[part.model]
            if cost is None:
                return None
            total += cost + (self.retrievers[part.retriever].price if part.retriever is not None else 0.0)
        for model, chance in further:
            if model is None:
                continue
            cost = self.costs[model]
            if cost is None:
                return None
            total += cost * chance
        return total


class Step(Struct, frozen=True):
    """What a rule came to. decision: None where it is passed over. wanted: the models it would have asked."""

    decision: Decision | None
    why: str
    wanted: tuple[str, ...]


def act_on(rule: Rule, standing: Standing, selection: Selection | None) -> Step:
    """Carries a matched rule out as far as a decision. selection: what the selector picked, for `select`."""
    act = rule.act
    if isinstance(act, Use):
        return _first_able(rule, (act.model, *(rule.fallback or ())), "", standing)
    if isinstance(act, Choose):
        return _choose(rule, act, standing)
    if isinstance(act, Cascade):
        return _cascade(rule, act, standing)
    if isinstance(act, Agree):
        return _agree(rule, act, standing)
    if isinstance(act, FanOut):
        return _together(rule, act.ask, act.combine, act.judge, "", standing)
    assert selection is not None
    return _selected(rule, act, selection, standing)


def _first_able(rule: Rule, candidates: Sequence[str], reason: str, standing: Standing) -> Step:
    """The first of some models that may serve; those behind it stand by."""
    names = tuple(dict.fromkeys(candidates))
    serving = [name for name in names if standing.able[name] is True]
    if not serving:
        return Step(None, reason, names)
    decision = Decision("single", serving[0], rule.name, tuple(serving[1:]), standing.costs[serving[0]])
    return Step(decision, reason, names)


def _choose(rule: Rule, act: Choose, standing: Standing) -> Step:
    """The cheapest that keeps the quality, or the best within the cost; see `router.policy.decide`."""
    able, costs, baseline = standing.able, standing.costs, standing.route.baseline
    serving = [name for name in act.among if able[name] is True]
    if act.threshold is not None:
        whole = standing.quality(baseline) if baseline is not None else 0.0
        fit = [name for name in serving if whole - standing.quality(name) <= act.threshold]
        bound, kind = f"a predicted loss of at most {act.threshold:g}", "cheapest"
    elif act.of == "best":
        most = _most_cost(act, baseline, costs)
        fit = [name for name in serving if _price_key(costs[name]) <= most]
        bound, kind = ("any cost" if most == math.inf else f"a cost of at most ${most:.6f}"), "best"
    else:
        bar = (act.keep_quality or 0.0) * (standing.quality(baseline) if baseline is not None else 0.0)
        fit = [name for name in serving if standing.quality(name) >= bar]
        bound, kind = f"quality {bar:.2f}", "cheapest"
    if kind == "best":
        fit.sort(key=lambda name: (-standing.quality(name), _price_key(costs[name])))
        others = sorted((name for name in serving if name not in fit), key=lambda name: _price_key(costs[name]))
    else:
        fit.sort(key=lambda name: _price_key(costs[name]))
        others = sorted((name for name in serving if name not in fit), key=lambda name: -standing.quality(name))
    if fit:
        first = fit[0]
        reason = f"{kind} with {bound}: quality {standing.quality(first):.2f}"
        if kind == "cheapest" and act.threshold is None:
            reason = f"cheapest with quality {standing.quality(first):.2f} >= {bar:.2f}"
    elif kind == "cheapest" and baseline is not None and able[baseline] is True:
        first, reason = baseline, f"nobody keeps {bound}, so the baseline"
    elif others:
        first, reason = others[0], f"nobody keeps {bound}, so the {'cheapest' if kind == 'best' else 'best'}"
    else:
        return Step(None, "nobody of `among` may serve", (*(rule.fallback or ()), *act.among))
    standing_by = (*fit, *others) if rule.fallback is None else rule.fallback
    step = _first_able(rule, (first, *standing_by), reason, standing)
    return step if act.max_risk is None else _until_proven(rule, act.max_risk, step, standing)


def _until_proven(rule: Rule, max_risk: float, step: Step, standing: Standing) -> Step:
    """The step where audits prove the rule's `max_risk`, else the baseline's, with the same models standing by."""
    proof = standing.proofs.get((standing.route.name, rule.name))
    if proof is not None and proof.proves(max_risk):
        shown = f"max_risk {max_risk:g} proven: bound {proof.bound:.3g} from {proof.pairs} audited pairs"
        return structs.replace(step, why=f"{step.why}; {shown}")
    decision, baseline = step.decision, standing.route.baseline
    if decision is None or baseline is None:
        return step
    why = f"{step.why}; {not_proven(max_risk, proof)}"
    if standing.able[baseline] is not True:
        return Step(None, f"{why}, and the baseline would have to serve", (baseline,))
    behind = (decision.model, *decision.fallback) if rule.fallback is None else rule.fallback
    held = _first_able(rule, (baseline, *behind), f"{why}, so the baseline {baseline}", standing)
    assert held.decision is not None
    return structs.replace(held, decision=structs.replace(held.decision, unproven=decision.model))


def not_proven(max_risk: float, proof: Proof | None) -> str:
    """What stands between a rule and its proof, in an operator's words."""
    if proof is None:
        return f"max_risk {max_risk:g} not proven: audits were not looked at with this policy and judge yet"
    shown = f"max_risk {max_risk:g} not proven: bound {proof.bound:.3g} from {proof.pairs} audited pairs"
    needed = "pairs like these never prove it" if proof.more is None else f"about {proof.more} more"
    return f"{shown}; {needed}"


def _most_cost(act: Choose, baseline: str | None, costs: Mapping[str, float | None]) -> float:
    whole = None if baseline is None else costs[baseline]
    return math.inf if act.max_cost is None or whole is None else act.max_cost * whole


def _cascade(rule: Rule, act: Cascade, standing: Standing) -> Step:
    against = standing.against(act.first)
    wanted = (act.first.model, act.then)
    if against is not None:
        step = _first_able(
            rule, (act.then, *(rule.fallback or ())), f"only `then`; {act.first.name}: {against}", standing
        )
        return Step(step.decision, step.why, wanted)
    if standing.able[act.then] is not True:
        return _alone(rule, act.first, f"only `first`; {act.then}: {standing.able[act.then]}", standing, wanted)
    quality = standing.quality(act.first.model)
    terms = Terms((act.first,), act.then, act.checks, act.trust, quality=quality)
    cost = standing.cost_of((act.first,), (act.then, 1.0 - quality))
    decision = Decision("cascade", act.first.model, rule.name, _standing_by(rule, standing), cost, terms=terms)
    return Step(decision, f"{act.first.name} first, then {act.then}", wanted)


def _agree(rule: Rule, act: Agree, standing: Standing) -> Step:
    asked, left_out = _able_parts(act.ask, standing)
    wanted = (*(part.model for part in act.ask), act.then)
    then_able = standing.able[act.then] is True
    if len(asked) < 2 or not then_able:
        reason = "; ".join([*left_out, *([] if then_able else [f"{act.then}: {standing.able[act.then]}"])])
        if then_able:
            step = _first_able(
                rule, (act.then, *(rule.fallback or ())), f"too few to agree, so `then`; {reason}", standing
            )
            return Step(step.decision, step.why, wanted)
        if asked:
            return _alone(rule, asked[0], f"nobody to turn to, so the first alone; {reason}", standing, wanted)
        return _first_able(rule, rule.fallback or (), reason, standing)
    quality = standing.quality(asked[0].model)
    terms = Terms(asked, act.then, (), act.trust, quality=quality)
    cost = standing.cost_of(asked, (act.then, 1.0 - quality))
    decision = Decision("agree", asked[0].model, rule.name, _standing_by(rule, standing), cost, terms=terms)
    why = f"{', '.join(part.name for part in asked)} must agree, else {act.then}"
    return Step(decision, "; ".join([why, *left_out]), wanted)


def _together(
    rule: Rule,
    parts: Sequence[Part],
    combine: Combine,
    judge: str | None,
    why: str,
    standing: Standing,
    options: tuple[str, ...] = (),
) -> Step:
    """Several at once; with one of them left, that one alone."""
    asked, left_out = _able_parts(parts, standing)
    wanted = tuple(dict.fromkeys((*(part.model for part in parts), *([judge] if judge else []))))
    told = "; ".join(filter(None, [why, *left_out]))
    if not asked:
        return _first_able(rule, rule.fallback or (), told, standing)
    if len(asked) == 1:
        return _alone(rule, asked[0], told, standing, wanted, options)
    if judge is not None and standing.able[judge] is not True:
        return Step(None, f"{told}; {judge} may not judge: {standing.able[judge]}", wanted)
    terms = Terms(asked, None, combine=combine, judge=judge, quality=standing.quality(asked[0].model))
    cost = standing.cost_of(asked, (judge, 1.0))
    first = judge if combine == "fuse" and judge is not None else asked[0].model
    decision = Decision("fan_out", first, rule.name, _standing_by(rule, standing), cost, terms=terms, options=options)
    return Step(decision, told or f"{', '.join(part.name for part in asked)}, then {combine}", wanted)


def _selected(rule: Rule, act: Select, selection: Selection, standing: Standing) -> Step:
    """The options that were picked, of those that may serve."""
    by_name = {option.name: option.part for option in act.among}
    picked = [name for name, _score in selection.options if name in by_name][: act.top]
    if not picked:
        return Step(None, f"nothing selected: {selection.why}", ())
    told = ", ".join(f"{name} {score:.2f}" for name, score in selection.options[: act.top])
    why = f"selected {told}" + (f" ({selection.why})" if selection.why else "")
    parts = [by_name[name] for name in picked]
    if len(parts) > 1 and act.combine is not None:
        return _together(rule, parts, act.combine, act.judge, why, standing, tuple(picked))
    wanted = (parts[0].model,)
    return _alone(rule, parts[0], why, standing, wanted, (picked[0],))


def _alone(
    rule: Rule,
    part: Part,
    why: str,
    standing: Standing,
    wanted: tuple[str, ...],
    options: tuple[str, ...] = (),
) -> Step:
    """One part by itself; the rule's fallback stands by, and serves where the part may not."""
    against = standing.against(part)
    fallback = _standing_by(rule, standing, but=part.model)
    if against is not None:
        step = _first_able(rule, rule.fallback or (), f"{why}; {part.name}: {against}", standing)
        return Step(step.decision, step.why, wanted)
    cost = standing.cost_of((part,))
    if part.retriever is None:
        return Step(Decision("single", part.model, rule.name, fallback, cost, options=options), why, wanted)
    terms = Terms((part,), quality=standing.quality(part.model))
    return Step(Decision("retrieve", part.model, rule.name, fallback, cost, terms=terms, options=options), why, wanted)


def _able_parts(parts: Sequence[Part], standing: Standing) -> tuple[tuple[Part, ...], list[str]]:
    """The parts that may be asked, and what stands against the others."""
    asked, left_out = [], []
    for part in parts:
        against = standing.against(part)
        if against is None:
            asked.append(part)
        else:
            left_out.append(f"{part.name}: {against}")
    return tuple(asked), left_out


def _standing_by(rule: Rule, standing: Standing, but: str | None = None) -> tuple[str, ...]:
    return tuple(name for name in rule.fallback or () if standing.able[name] is True and name != but)


def _price_key(cost: float | None) -> float:
    return math.inf if cost is None else cost
