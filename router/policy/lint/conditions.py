"""Conditions that can never hold, words that nobody can be judged as, and rules that stand in another's shadow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from classifiers.languages import LANGUAGES
from classifiers.tasks import TASKS
from router.policy.compiled import Policy, Route, Rule, Select
from router.policy.lint.finding import Finding, Path
from router.policy.lint.shapes import always, covers, impossible, words_asked
from router.policy.suggest import did_you_mean
from router.privacy import KINDS

_KNOWN = {
    "ask.task": ("task", (*TASKS, "unknown")),
    "ask.language": ("language", (*LANGUAGES, "und")),
    "ask.private": ("kind of private text", KINDS),
}


def condition_findings(policy: Policy) -> Iterator[Finding]:
    """Findings about conditions, in the order of the file."""
    for route in policy.routes.values():
        dead: set[str] = set()
        for number, rule in enumerate(route.rules):
            at: Path = ("routes", route.name, "rules", number, "when")
            never = [*_never(policy, route, rule, at)]
            if never:
                dead.add(rule.name)
            yield from never
        alive = [(number, rule) for number, rule in enumerate(route.rules) if rule.name not in dead]
        yield from _shadowed(route, alive)


def _never(policy: Policy, route: Route, rule: Rule, at: Path) -> Iterator[Finding]:
    source = None if rule.condition is None else rule.condition.source
    if (why := impossible(source)) is not None:
        says = f"route {route.name}: `{rule.name}` can never fire: {why}"
        yield Finding(at, says, "mend its condition or take the rule out")
        return
    for name, word in dict.fromkeys(words_asked(source)):
        if name not in _KNOWN:
            continue
        kind, words = _KNOWN[name]
        if word not in words:
            says = f"route {route.name}: `{rule.name}` asks for the {kind} `{word}`, which there is not"
            yield Finding(at, says, f"write one that there is{did_you_mean(word, words)}")
        elif word == "national_id" and not policy.countries:
            says = f"route {route.name}: `{rule.name}` asks for national ids, and none are looked for"
            yield Finding(at, says, "name the countries under `privacy`")


def _shadowed(route: Route, rules: Sequence[tuple[int, Rule]]) -> Iterator[Finding]:
    """Rules that only act where an earlier one cannot serve. A selector may abstain, so `select` shadows nobody."""
    told: set[int] = set()
    for place, (_, rule) in enumerate(rules):
        behind = [(number, later) for number, later in rules[place + 1 :] if number not in told]
        if isinstance(rule.act, Select) or not behind:
            continue
        source = None if rule.condition is None else rule.condition.source
        if always(source):
            names = ", ".join(later.name for _, later in behind)
            says = f"route {route.name}: `{rule.name}` always matches, so these act only when it cannot serve: {names}"
            yield Finding(
                ("routes", route.name, "rules", behind[0][0]),
                says,
                "give it a condition, put it last, or use `fallback`",
            )
            return
        for number, later in behind:
            if later.condition is not None and covers(source, later.condition.source):
                told.add(number)
                says = (
                    f"route {route.name}: `{later.name}` stands in the shadow of `{rule.name}`, which holds wherever "
                    "it does"
                )
                yield Finding(
                    ("routes", route.name, "rules", number, "when"),
                    says,
                    "put the narrower one first, or use `fallback`",
                )
