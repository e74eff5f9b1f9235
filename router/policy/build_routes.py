"""Builds routes and their rules: names resolved, conditions compiled and tried, one verb a rule.

Every refusal is a PolicyError at the place of what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from router.domain import ModelSpec, Part
from router.policy.build import known, known_names
from router.policy.compiled import (
    CONVERSATION_RULE,
    Act,
    Agree,
    Audit,
    CacheSettings,
    Cascade,
    Choose,
    Explore,
    FanOut,
    Option,
    Privacy,
    Route,
    Rule,
    Select,
    Staying,
    Use,
)
from router.policy.conditions import Condition, ConditionError, compile_condition, try_condition
from router.policy.document import Document, Path
from router.policy.rule_schema import RuleEntry, SelectEntry
from router.policy.schema import RouteEntry

RESERVED_RULES = frozenset({"pinned", "default", "cache", "degraded", "explore", CONVERSATION_RULE})
"""What the decision itself says where no rule of the file chose."""

MOST_TEXTS = 1000
"""Of the options that one rule picks from by likeness: what is worked out beforehand grows with their square."""

VERBS = ("use", "choose", "select", "cascade", "agree", "fan_out")
_OF_CHOOSE = ("among", "keep_quality", "max_cost", "threshold", "max_risk")


@dataclass(frozen=True, slots=True)
class Named:
    """What rules may name, and the document to point into when they name something else."""

    document: Document
    models: Mapping[str, ModelSpec]
    options: Mapping[str, Option]

    def model(self, name: str, at: Path) -> str:
        """The name, if it is a model's."""
        if name in self.options:
            raise self.document.error(f"`{name}` is an option; only `ask`, `first` and `select` take those", at)
        return known(self.document, name, self.models, at)

    def several(self, names: list[str] | None, at: Path) -> tuple[str, ...] | None:
        """The names, each a model's and there once; None where the file is silent."""
        for number, name in enumerate(names or ()):
            self.model(name, (*at, number))
        return known_names(self.document, names, self.models, at)

    def part(self, name: str, at: Path) -> Part:
        """Whoever is asked under a name: a model or an option."""
        if name in self.models:
            return Part(name, name)
        known(self.document, name, (*self.models, *self.options), at, "model or option")
        return self.options[name].part

    def parts(self, names: list[str], at: Path) -> tuple[Part, ...]:
        """Several of them, each there once."""
        known_names(self.document, names, (*self.models, *self.options), at, "model or option")
        return tuple(self.part(name, (*at, number)) for number, name in enumerate(names))


def route_of(name: str, entry: RouteEntry, default: str, named: Named) -> Route:
    """One route. default: the policy's. Privacy not stated: enforced where there is a private model to serve."""
    at: Path = ("routes", name)
    document = named.document
    for key, model in (("baseline", entry.baseline), ("default", entry.default)):
        if model is not None:
            named.model(model, (*at, key))
    able: Privacy = "enforce" if any(model.private for model in named.models.values()) else "observe"
    rules: list[Rule] = []
    for number, rule in enumerate(entry.rules):
        place = (*at, "rules", number)
        if rule.name in RESERVED_RULES:
            raise document.error(f"`{rule.name}` is a name of ours; call the rule something else", (*place, "name"))
        if any(rule.name == other.name for other in rules):
            raise document.error(f"two rules are called `{rule.name}`", (*place, "name"))
        rules.append(_rule(rule, place, entry.baseline, named))
        _check_provable(rules[-1], entry, place, named)
    cache = None
    if entry.cache is not None and entry.cache.exact is not None:
        cache = CacheSettings(entry.cache.exact.ttl, entry.cache.private)
    staying = None
    if entry.conversation is not None:
        staying = Staying(entry.conversation.margin, entry.conversation.ttl)
    return Route(
        name,
        entry.default or default,
        entry.baseline,
        tuple(rules),
        cache,
        entry.privacy or able,
        staying,
        _audit(entry, at, named),
        None if entry.explore is None else Explore(entry.explore.rate, entry.explore.band),
    )


def _audit(entry: RouteEntry, at: Path, named: Named) -> Audit | None:
    """How the route is audited; there must be a baseline to compare with."""
    audit = entry.audit
    if audit is None:
        return None
    if entry.baseline is None:
        raise named.document.error("`audit` compares with the route's `baseline`: name one", (*at, "audit"))
    judge = named.model(audit.judge, (*at, "audit", "judge"))
    if judge == entry.baseline and not audit.judges_itself:
        raise named.document.error(
            f"`{judge}` would judge its own answers: name another judge, or say `judges_itself: true`",
            (*at, "audit", "judge"),
        )
    return Audit(audit.rate, judge, audit.budget_per_day, audit.judges_itself, audit.review)


def _check_provable(rule: Rule, entry: RouteEntry, at: Path, named: Named) -> None:
    """Raises PolicyError for a `max_risk` that no audit of the route could ever prove, or of some models alone."""
    act, audit = rule.act, entry.audit
    if not isinstance(act, Choose) or act.max_risk is None:
        return
    document, here = named.document, (*at, "max_risk")
    if audit is None or audit.rate == 0:
        need = "`audit`" if audit is None else "`audit` with a `rate` above 0"
        raise document.error(f"`max_risk` is proven by audits, so it never could be: give the route an {need}", here)
    if audit.judge in act.among and not audit.judges_itself:
        raise document.error(
            f"`{audit.judge}` is among its models and judges the audits, but not its own answers, so `max_risk` never "
            "could be proven of them: name another judge, or say `judges_itself: true`",
            here,
        )


def _rule(entry: RuleEntry, at: Path, baseline: str | None, named: Named) -> Rule:
    document = named.document
    verbs = [verb for verb in VERBS if getattr(entry, verb) is not None]
    if len(verbs) != 1:
        found = f"; it has {' and '.join(f'`{verb}`' for verb in verbs)}" if verbs else ""
        raise document.error(f"rule `{entry.name}` needs either `use` or `choose`, or one of the plans{found}", at)
    verb = verbs[0]
    for key in _OF_CHOOSE:
        if verb != "choose" and getattr(entry, key) is not None:
            raise document.error(f"`{key}` goes with `choose`, not with `{verb}`", (*at, key), at_key=True)
    act = _act(verb, entry, at, baseline, named)
    fallback = named.several(entry.fallback, (*at, "fallback"))
    condition = None if entry.when is None else _condition(entry, entry.when, (*at, "when"), named)
    return Rule(entry.name, act, condition, fallback)


def _act(verb: str, entry: RuleEntry, at: Path, baseline: str | None, named: Named) -> Act:
    """What a rule does, every name in it known."""
    here = (*at, verb)
    if entry.use is not None:
        return Use(named.model(entry.use, here))
    if entry.choose is not None:
        return _choose(entry, at, baseline, named)
    if entry.select is not None:
        return _select(entry.select, here, named)
    if (cascade := entry.cascade) is not None:
        first, then = named.part(cascade.first, (*here, "first")), named.model(cascade.then, (*here, "then"))
        if first.name == then:
            raise named.document.error("`then` must be another than `first`", (*here, "then"))
        return Cascade(first, then, tuple(dict.fromkeys(cascade.checks)), cascade.trust)
    if (agree := entry.agree) is not None:
        return Agree(named.parts(agree.ask, (*here, "ask")), named.model(agree.then, (*here, "then")), agree.trust)
    assert entry.fan_out is not None
    asked = named.parts(entry.fan_out.ask, (*here, "ask"))
    judge = _judge(entry.fan_out.combine, entry.fan_out.judge, here, named)
    return FanOut(asked, entry.fan_out.combine, judge)


def _choose(entry: RuleEntry, at: Path, baseline: str | None, named: Named) -> Choose:
    document = named.document
    for key, goes_with in (("keep_quality", "cheapest"), ("max_cost", "best")):
        if getattr(entry, key) is None:
            continue
        if baseline is None:
            raise document.error(f"`{key}` needs the route to name its `baseline`", (*at, key))
        if entry.choose != goes_with:
            raise document.error(f"`{key}` goes with `choose: {goes_with}`", (*at, key), at_key=True)
    if entry.max_risk is not None and baseline is None:
        raise document.error("`max_risk` needs the route to name its `baseline`", (*at, "max_risk"))
    if entry.threshold is not None and entry.keep_quality is None and entry.max_cost is None:
        raise document.error("`threshold` is what keeps a `keep_quality` or a `max_cost`: give one", (*at, "threshold"))
    among = named.several(entry.among, (*at, "among")) or tuple(named.models)
    if entry.max_cost is not None and baseline is not None:
        for name in dict.fromkeys((baseline, *among)):
            if named.models[name].price is None:
                raise document.error(
                    f"the price of `{name}` is unknown, so is its cost: give it a `price`", (*at, "max_cost")
                )
    assert entry.choose is not None
    return Choose(entry.choose, among, entry.keep_quality, entry.max_cost, entry.threshold, entry.max_risk)


def _select(entry: SelectEntry, at: Path, named: Named) -> Select:
    document = named.document
    if not named.options:
        raise document.error("`select` needs `options` to pick from", at)
    if (entry.by == "model") != (entry.model is not None):
        need = "`by: model` needs the `model` that reads" if entry.by == "model" else "`model` goes with `by: model`"
        raise document.error(need, at)
    if entry.model is not None:
        named.model(entry.model, (*at, "model"))
    if entry.top > 1 and entry.combine is None:
        raise document.error("`top` above 1 needs `combine`: what becomes of several answers", (*at, "top"))
    if entry.top == 1 and (entry.combine is not None or entry.judge is not None):
        raise document.error("`combine` and `judge` go with `top` above 1", at)
    judge = None if entry.combine is None else _judge(entry.combine, entry.judge, at, named)
    among = known_names(document, entry.among, named.options, (*at, "among"), "option") or tuple(named.options)
    options = tuple(named.options[name] for name in among)
    if entry.by == "model" and entry.threshold is not None:
        raise document.error(
            "`threshold` goes with `by: embedding`: a model that reads gives no scores", (*at, "threshold")
        )
    texts = sum(1 + len(option.examples) for option in options)
    if entry.by == "embedding" and texts > MOST_TEXTS:
        raise document.error(
            f"its options have {texts} descriptions and examples; likeness takes {MOST_TEXTS} at most", at
        )
    return Select(options, entry.model, entry.top, entry.threshold, entry.combine, judge)


def _judge(combine: str, judge: str | None, at: Path, named: Named) -> str | None:
    if (combine == "vote") != (judge is None):
        need = "nobody weighs a `vote`: leave `judge` out" if combine == "vote" else f"`{combine}` needs a `judge`"
        raise named.document.error(need, at)
    return None if judge is None else named.model(judge, (*at, "judge"))


def _condition(entry: RuleEntry, when: str, at: Path, named: Named) -> Condition:
    priced = {name: model.price is not None for name, model in named.models.items()}
    try:
        condition = compile_condition(when, named.models, [name for name, known in priced.items() if not known])
        try_condition(condition, priced)
    except ConditionError as error:
        filled = at in named.document.filled
        message = "the condition that its variable makes cannot be used" if filled else str(error)
        raise named.document.error(f"rule `{entry.name}`: {message}", at, offset=error.offset) from None
    return condition
