"""`max_risk`: what does not load, and what a rule does before and after its proof."""

from __future__ import annotations

import pytest

from router.domain import Verdict
from router.errors import PolicyError
from router.policy.compiled import Explore, Facts, Proof
from router.policy.decide import decide
from router.policy.exploring import explore
from tests.policy.making import ask_of, judged, policy_of

AUDITED = "baseline: large\n    audit: {rate: 0.1, judge: odd}"
RULE = "\n      - {name: promise, choose: cheapest, among: [small, large], keep_quality: 0.5, max_risk: 0.02}\n"
FALLING_BACK = RULE.replace("max_risk: 0.02", "max_risk: 0.02, fallback: [medium]")


def decided(proof: Proof | None = None, *, rules: str = RULE, unhealthy: dict[str, str] | None = None) -> Verdict:
    policy = policy_of(rules, route=AUDITED)
    facts = Facts(unhealthy=unhealthy or {}, proofs={} if proof is None else {("auto", "promise"): proof})
    return decide(policy, policy.routes["auto"], ask_of(), judged(0.3), facts)


@pytest.mark.parametrize(
    ("rules", "route", "message"),
    [
        (RULE, "baseline: large", "give the route an `audit`"),
        (RULE, "baseline: large\n    audit: {rate: 0, judge: odd}", "`audit` with a `rate` above 0"),
        (
            RULE.replace("keep_quality: 0.5, ", ""),
            "privacy: observe",
            "`max_risk` needs the route to name its `baseline`",
        ),
        (RULE, "baseline: large\n    audit: {rate: 0.1, judge: small}", "`small` is among its models and judges"),
        (RULE.replace("0.02", "0"), AUDITED, "max_risk"),
        (RULE.replace("0.02", "1"), AUDITED, "max_risk"),
        (RULE.replace("0.02", "true"), AUDITED, "should be a number"),
        ("\n      - {name: r, use: small, max_risk: 0.1}\n", AUDITED, "`max_risk` goes with `choose`, not with `use`"),
        (
            "\n      - {name: r, cascade: {first: small, then: large}, max_risk: 0.1}\n",
            AUDITED,
            "`max_risk` goes with `choose`, not with `cascade`",
        ),
    ],
)
def test_what_could_never_be_proven_does_not_load(rules: str, route: str, message: str) -> None:
    with pytest.raises(PolicyError) as error:
        policy_of(rules, route=route)
    assert message in str(error.value) and "test.yaml:" in str(error.value)


def test_a_judge_of_the_rules_own_models_loads_where_it_may_judge_itself() -> None:
    assert policy_of(RULE, route="baseline: large\n    audit: {rate: 0.1, judge: small, judges_itself: true}")


def test_the_baseline_serves_while_nothing_is_proven_and_says_for_whom() -> None:
    verdict = decided()
    assert (verdict.decision.model, verdict.decision.unproven) == ("large", "small")
    assert "max_risk 0.02 not proven" in verdict.rules[0].why and "so the baseline large" in verdict.rules[0].why
    waiting = decided(Proof(0.081, 140, 0.004, 900)).rules[0].why
    assert "max_risk 0.02 not proven: bound 0.081 from 140 audited pairs; about 900 more" in waiting
    assert "pairs like these never prove it" in decided(Proof(0.2, 140, 0.1, None)).rules[0].why


def test_a_bound_within_max_risk_lets_the_rule_decide() -> None:
    verdict = decided(Proof(0.02, 300))
    assert (verdict.decision.model, verdict.decision.unproven) == ("small", None)
    assert "max_risk 0.02 proven: bound 0.02 from 300 audited pairs" in verdict.rules[0].why


def test_where_the_baseline_may_not_serve_the_rule_is_passed_over_and_the_next_decides() -> None:
    verdict = decided(unhealthy={"large": "down"})
    assert verdict.decision.rule == "default" and not verdict.rules[0].matched
    assert "not proven" in verdict.rules[0].why and "large: unhealthy: down" in verdict.rules[0].why
    after = decided(rules=RULE + "      - {name: next, use: medium}\n", unhealthy={"large": "down"})
    assert (after.decision.rule, after.decision.model) == ("next", "medium")


def test_the_same_models_stand_by_as_ever() -> None:
    assert decided().decision.fallback == ("small",)
    assert decided(rules=FALLING_BACK).decision.fallback == ("medium",)


def test_nothing_is_explored_until_it_is_proven() -> None:
    for proof, model in ((None, "large"), (Proof(0.01), "large")):
        verdict = decided(proof)
        tried = explore(verdict, Explore(1.0, 1.0), ask_of(), judged(0.3), 0.0, in_tool_loop=False)
        assert tried.decision.model == model
        assert (tried is verdict) == (proof is None), "proven, the small model's near tie is tried"
