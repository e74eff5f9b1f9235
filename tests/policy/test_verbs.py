"""Every verb of a rule: what it makes of an ask, what is left of it when somebody may not serve, what is refused."""

from __future__ import annotations

import pytest

from router.domain import Part
from router.errors import PolicyError
from router.policy.compiled import Facts, Selection
from router.policy.decide import SelectionNeeded, decide
from tests.policy.making import MODELS, ask_of, judged, policy_of

OPTIONS = (
    MODELS
    + """
retrievers:
  handbook: {url: "http://h.test/search", price: 0.001}
  cellar: {url: "http://c.test/search", private: true}
options:
  rules: {use: small, with: handbook, description: Rules for staff}
  wine:  {use: small, with: cellar, description: What is in the cellar}
  proof: {use: large, description: Proofs}
"""
)


def decided(rule: str, *, ask=None, quality: float = 0.6, unhealthy=None, selections=None, models: str = OPTIONS):
    policy = policy_of(f"\n      - {{name: r, {rule}}}\n", models=models)
    facts = Facts(unhealthy=unhealthy or {})
    return decide(policy, policy.routes["auto"], ask or ask_of(), judged(1 - quality), facts, selections or {})


def test_a_cascade_asks_the_first_and_keeps_the_second_ready() -> None:
    decision = decided("cascade: {first: small, then: large, trust: 0.7}").decision
    assert (decision.plan, decision.model) == ("cascade", "small")
    assert decision.terms is not None
    assert (decision.terms.then, decision.terms.trust, decision.terms.quality) == ("large", 0.7, 0.6)
    assert decision.terms.checks == ("empty", "refusal", "truncated", "schema", "code", "units")


def test_a_cascade_that_lost_one_of_its_two_is_the_other_alone() -> None:
    rule = "cascade: {first: small, then: large}, fallback: [medium]"
    one = decided(rule, unhealthy={"small": "down"})
    assert (one.decision.plan, one.decision.model, one.decision.fallback) == ("single", "large", ("medium",))
    assert "small: unhealthy: down" in one.rules[0].why
    other = decided(rule, unhealthy={"large": "down"}).decision
    assert (other.plan, other.model, other.fallback) == ("single", "small", ("medium",))


def test_agreement_is_asked_of_those_who_may_serve() -> None:
    rule = "agree: {ask: [small, medium, odd], then: large, trust: 0.6}"
    assert [part.name for part in decided(rule).decision.terms.parts] == ["small", "medium", "odd"]
    two = decided(rule, unhealthy={"odd": "down"}).decision
    assert (two.plan, [part.name for part in two.terms.parts]) == ("agree", ["small", "medium"])
    none = decided(rule, unhealthy={"odd": "down", "medium": "down"}).decision
    assert (none.plan, none.model) == ("single", "large")


def test_a_fan_out_over_a_model_and_a_data_source() -> None:
    decision = decided("fan_out: {ask: [large, rules], combine: fuse, judge: large}").decision
    assert (decision.plan, decision.model) == ("fan_out", "large")
    assert decision.terms.parts == (Part("large", "large"), Part("rules", "small", "handbook"))


def test_without_its_judge_a_fan_out_is_passed_over() -> None:
    verdict = decided("fan_out: {ask: [small, medium], combine: best_of, judge: large}", unhealthy={"large": "down"})
    assert verdict.decision.rule == "default" and "large" in verdict.rules[0].why


def test_a_private_ask_is_kept_from_retrievers_that_are_not_private() -> None:
    private = ask_of(private=("email",))
    rule = "fan_out: {ask: [rules, wine], combine: vote}"
    decision = decided(rule, ask=private).decision
    assert (decision.plan, decision.model) == ("retrieve", "small")
    assert [part.retriever for part in decision.terms.parts] == ["cellar"]


def test_a_selector_is_asked_for_and_then_followed() -> None:
    rule = "select: {by: embedding, among: [rules, proof]}"
    with pytest.raises(SelectionNeeded) as need:
        decided(rule)
    assert [option.name for option in need.value.select.among] == ["rules", "proof"]
    picked = decided(rule, selections={"r": Selection((("rules", 0.8), ("proof", 0.1)))}).decision
    assert (picked.plan, picked.model, picked.options) == ("retrieve", "small", ("rules",))
    abstained = decided(rule, selections={"r": Selection((), "the best is below 0.40")})
    assert abstained.decision.rule == "default"
    assert "nothing selected: the best is below 0.40" in abstained.rules[0].why


def test_two_options_are_asked_together() -> None:
    rule = "select: {by: embedding, top: 2, combine: fuse, judge: large}"
    picked = decided(rule, selections={"r": Selection((("rules", 0.8), ("proof", 0.7), ("wine", 0.6)))}).decision
    assert (picked.plan, picked.options) == ("fan_out", ("rules", "proof"))


def test_a_threshold_from_data_takes_the_place_of_the_promise() -> None:
    rule = "choose: cheapest, among: [small, large], keep_quality: 1, threshold: {}"
    assert decided(rule.format(0.5), quality=0.6).decision.model == "small"  # loses 0.32 against 0.92
    assert decided(rule.format(0.3), quality=0.6).decision.model == "large"


def test_the_best_within_the_bill() -> None:
    rule = "choose: best, among: [small, medium, large], max_cost: {}"
    assert decided(rule.format(1)).decision.model == "large"
    assert decided(rule.format(0.5)).decision.model == "medium"
    assert decided(rule.format(0)).decision.model == "small"


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("use: small, choose: cheapest", "it has `use` and `choose`"),
        ("when: 'true'", "needs either `use` or `choose`, or one of the plans"),
        ("use: small, threshold: 0.1", "`threshold` goes with `choose`"),
        ("choose: cheapest, threshold: 0.1", "`threshold` is what keeps"),
        ("choose: best, keep_quality: 0.9", "`keep_quality` goes with `choose: cheapest`"),
        ("choose: best, max_cost: 0.5", "the price of `odd` is unknown"),
        ("cascade: {first: small, then: small}", "must be another"),
        ("cascade: {first: smal, then: large}", "no model or option is called `smal`; did you mean `small`?"),
        ("use: small, fallback: [proof]", "`proof` is an option; only"),
        ("choose: cheapest, among: [small, proof]", "`proof` is an option; only"),
        ("cascade: {first: small, then: proof}", "`proof` is an option; only `ask`, `first` and `select` take those"),
        ("use: proof", "`proof` is an option"),
        ("cascade: {first: small, then: large, checks: [speling]}", "checks"),
        ("agree: {ask: [small], then: large}", "at least 2"),
        ("agree: {ask: [small, small], then: large}", "`small` is there twice"),
        ("fan_out: {ask: [small, large], combine: fuse}", "`fuse` needs a `judge`"),
        ("fan_out: {ask: [small, large], combine: vote, judge: large}", "leave `judge` out"),
        ("select: {by: model}", "`by: model` needs the `model` that reads"),
        ("select: {by: embedding, model: small}", "`model` goes with `by: model`"),
        ("select: {by: embedding, among: [prof]}", "no option is called `prof`; did you mean `proof`?"),
        ("select: {by: embedding, top: 2}", "`top` above 1 needs `combine`"),
        ("select: {by: embedding, combine: vote}", "go with `top` above 1"),
    ],
)
def test_what_makes_no_sense_is_refused(rule: str, says: str) -> None:
    with pytest.raises(PolicyError) as refused:
        decided(rule)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ("options: {small: {use: small, description: x}}", "`small` is a model already"),
        ("options: {a: {use: smal, description: x}}", "no model is called `smal`"),
        ("options: {a: {use: small, with: handbok, description: x}}", "no retriever is called `handbok`"),
        ("limits: [{name: a, per: key}]", "limit `a` bounds nothing"),
        ("limits: [{name: a, per: model, only: [smal], dollars_per_day: 1}]", "did you mean `small`?"),
        ("limits: [{name: a, per: route, only: [aut], dollars_per_day: 1}]", "no route is called `aut`"),
        ("limits: [{name: a, per: all, only: [x], dollars_per_day: 1}]", "`only` means nothing"),
        (
            "limits: [{name: a, per: key, dollars_per_day: 1}, {name: a, per: key, dollars_per_day: 2}]",
            "two limits are called `a`",
        ),
        ("canary: {policy: x.yaml, share: 1}", "less than 1"),
    ],
)
def test_parts_beside_the_rules_are_checked_too(part: str, says: str) -> None:
    with pytest.raises(PolicyError) as refused:
        policy_of(models=f"{MODELS}{part}\n")
    assert says in str(refused.value)
