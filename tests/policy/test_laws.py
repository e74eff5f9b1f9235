"""The laws that hold for every policy that loads, over all verbs, options, retrievers, selections and refusals."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from router.domain import Ask, Decision, Verdict
from router.errors import ContextTooLong, NoEligibleModel, NothingHealthy
from router.policy.compiled import Choose, Explore, Facts, Policy, Route, Selection
from router.policy.decide import SelectionNeeded, decide, resolve
from router.policy.exploring import explore
from tests.policy.making import MODELS, ask_of, judged, policy_of
from tests.policy.random_policies import (
    BESIDE,
    NAMES,
    asks,
    assessments,
    bounds,
    facts_of,
    policies,
    selected,
    small_asks,
    unhealthy,
)

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
REFUSALS = (ContextTooLong, NothingHealthy, NoEligibleModel)
PLANS_OF_SEVERAL = {"cascade", "agree", "fan_out"}


def decided(
    policy: Policy, requested: str, ask: Ask, assessment, given_facts: dict[str, Any], ill: dict[str, str], picked
) -> Verdict:
    """The verdict, with every selector that is asked saying the same."""
    facts, selections = Facts(at=NOON, unhealthy=ill, **given_facts), {}
    while True:
        try:
            return decide(policy, resolve(policy, requested), ask, assessment, facts, selections)
        except SelectionNeeded as needed:
            assert needed.rule.name not in selections, "asked twice"
            known = {option.name for option in needed.select.among}
            options = tuple(pair for pair in picked if pair[0] in known)[: needed.select.top]
            selections[needed.rule.name] = Selection(options, "as it was told")


def models_in(decision: Decision) -> set[str]:
    """Every model that carrying out a decision can call."""
    names = {decision.model, *decision.fallback}
    if (terms := decision.terms) is not None:
        names |= {part.model for part in terms.parts}
        names |= {name for name in (terms.then, terms.judge) if name is not None}
    return names


def retrievers_in(decision: Decision) -> set[str]:
    """Every retriever that is sent the ask."""
    parts = () if decision.terms is None else decision.terms.parts
    return {part.retriever for part in parts if part.retriever is not None}


requested = st.sampled_from(["auto", "auto", "auto", *NAMES])


@given(policies(), asks | small_asks, assessments, facts_of, unhealthy, selected, requested)
def test_every_policy_that_loads_decides_every_ask_or_refuses_it_with_a_reason(
    policy: Policy, ask, assessment, given_facts, ill, picked, name: str
) -> None:
    try:
        verdict = decided(policy, name, ask, assessment, given_facts, ill, picked)
    except REFUSALS as refusal:
        assert ": " in refusal.message
        return
    decision = verdict.decision
    assert all(verdict.eligible[model] is True for model in models_in(decision))
    alone = () if decision.plan in PLANS_OF_SEVERAL else (decision.model,)  # several may be asked again, one by one
    assert len({*alone, *decision.fallback}) == len(alone) + len(decision.fallback)
    assert set(verdict.eligible) == set(verdict.expected_cost_usd) == set(NAMES)
    if isinstance(resolve(policy, name), Route) and decision.rule != "default":
        assert verdict.rules[-1].matched and verdict.rules[-1].name == decision.rule
        assert not any(rule.matched for rule in verdict.rules[:-1])
    assert all(rule.why for rule in verdict.rules)


@given(policies(), small_asks, assessments, facts_of, unhealthy, selected)
def test_a_plan_has_all_that_carrying_it_out_takes(policy, ask, assessment, given_facts, ill, picked) -> None:
    try:
        decision = decided(policy, "auto", ask, assessment, given_facts, ill, picked).decision
    except REFUSALS:
        return
    terms = decision.terms
    if decision.plan == "single":
        assert terms is None
        return
    assert terms is not None and 0 <= terms.quality <= 1
    if decision.plan == "retrieve":
        assert len(terms.parts) == 1 and terms.parts[0].retriever is not None
        assert terms.parts[0].model == decision.model
    if decision.plan == "cascade":
        assert len(terms.parts) == 1 and terms.then is not None
    if decision.plan == "agree":
        assert len(terms.parts) >= 2 and terms.then is not None and terms.trust is not None
    if decision.plan == "fan_out":
        assert len(terms.parts) >= 2 and (terms.combine == "vote") == (terms.judge is None)


LEAKS_BY_RETRIEVER = policy_of(
    "\n      - {name: r0, fan_out: {ask: [shelf, home], combine: vote}, fallback: [large, small]}\n",
    route="baseline: large\n    privacy: enforce",
    models=MODELS + BESIDE,
)


@example(LEAKS_BY_RETRIEVER, ask_of(), judged(), {"headers": {}, "metadata": {}}, {}, [], "auto")
@given(policies(), asks | small_asks, assessments, facts_of, unhealthy, selected, requested)
def test_a_private_ask_under_enforcement_reaches_nothing_that_is_not_private(
    policy: Policy, ask, assessment, given_facts, ill, picked, name: str
) -> None:
    """By no rule, plan, option, retriever, fallback, selector or judge, whoever is unwell."""
    if policy.routes["auto"].privacy != "enforce":
        return
    target = resolve(policy, name)
    private = ask_of(**{**{key: getattr(ask, key) for key in ("input_tokens", "tools")}, "private": ("email",)})
    facts, selections = Facts(at=NOON, unhealthy=ill, **given_facts), {}
    while True:
        try:
            decision = decide(policy, target, private, assessment, facts, selections).decision
            break
        except SelectionNeeded as needed:
            reader = needed.select.model
            if reader is not None and needed.standing.able[reader] is not True:
                selections[needed.rule.name] = Selection((), "whoever reads may not")  # as every selector does
            else:
                assert reader is None or policy.models[reader].private
                selections[needed.rule.name] = Selection(tuple(picked), "as it was told")
        except REFUSALS:
            return
    assert all(policy.models[model].private for model in models_in(decision))
    assert all(policy.retrievers[retriever].private for retriever in retrievers_in(decision))


@given(policies(), asks | small_asks, assessments, facts_of, unhealthy, selected, bounds)
def test_a_rule_with_a_max_risk_decides_for_the_baseline_alone_until_its_facts_hold_a_proof(
    policy: Policy, ask, assessment, given_facts, ill, picked, proofs
) -> None:
    """And is never explored, whoever stands by, whoever is unwell, whatever is proven of other rules."""
    try:
        verdict = decided(policy, "auto", ask, assessment, {**given_facts, "proofs": proofs}, ill, picked)
    except REFUSALS:
        return
    route, decision = policy.routes["auto"], verdict.decision
    limits = {rule.name: rule.act.max_risk for rule in route.rules if isinstance(rule.act, Choose)}
    max_risk, proof = limits.get(decision.rule), proofs.get(("auto", decision.rule))
    if max_risk is None or (proof is not None and proof.bound <= max_risk):
        assert decision.unproven is None
        return
    assert decision.model == route.baseline and decision.unproven is not None
    assert "not proven" in verdict.rules[-1].why
    assert explore(verdict, Explore(1.0, 1.0), ask, assessment, 0.0, in_tool_loop=False) is verdict


def test_the_random_policies_meet_rules_proven_and_not_and_passed_over() -> None:
    seen: set[str] = set()

    @settings(max_examples=300, derandomize=True, database=None)
    @given(policies(), small_asks, assessments, unhealthy, bounds)
    def decide_one(policy: Policy, ask: Ask, assessment, ill, proofs) -> None:
        with suppress(*REFUSALS):
            verdict = decided(policy, "auto", ask, assessment, {"proofs": proofs}, ill, ())
            told = " ".join(rule.why for rule in verdict.rules)
            seen.update(
                words for words in (" proven: bound", "not proven", "the baseline would have to") if words in told
            )

    decide_one()
    assert len(seen) == 3


def test_the_random_policies_reach_every_plan() -> None:
    """A law that no plan ever meets would hold for nothing."""
    seen: set[str] = set()

    @settings(max_examples=250, derandomize=True, database=None)
    @given(policies(), small_asks, assessments, selected)
    def decide_one(policy: Policy, ask: Ask, assessment, picked) -> None:
        with suppress(*REFUSALS):
            seen.add(decided(policy, "auto", ask, assessment, {}, {}, picked).decision.plan)

    decide_one()
    assert seen == {"single", "retrieve", *PLANS_OF_SEVERAL}
