"""Who may serve, who should, and the laws that hold for every policy that loads."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from router.domain import Verdict
from router.errors import ContextTooLong, ModelNotFound, NoEligibleModel, NothingHealthy, RequestError
from router.policy.compiled import Facts, Policy, Route
from router.policy.decide import decide, resolve
from tests.policy.making import ask_of, judged, policy_of

FACTS = Facts(at=datetime(2026, 1, 5, 12, tzinfo=UTC))
TIERS = {"small": 0, "medium": 1, "large": 2}


def auto(policy: Policy, ask=None, assessment=None, **facts) -> Verdict:
    return decide(policy, policy.routes["auto"], ask or ask_of(), assessment or judged(), replace(FACTS, **facts))


def test_the_first_rule_that_matches_decides() -> None:
    verdict = auto(policy_of(), assessment=judged(0.2))
    assert (verdict.decision.model, verdict.decision.rule, verdict.decision.fallback) == ("small", "easy", ("large",))
    assert [(rule.name, rule.matched) for rule in verdict.rules] == [("private", False), ("easy", True)]
    assert verdict.rules[0].why == "false: size(ask.private) > 0"
    assert verdict.decision.probability == 1.0 and verdict.decision.plan == "single"


def test_the_cheapest_that_keeps_the_quality_is_chosen() -> None:
    policy = policy_of()
    assert auto(policy, assessment=judged(0.6, small=0.5, medium=0.9, large=0.95)).decision.model == "medium"
    assert auto(policy, assessment=judged(0.6, small=0.9, medium=0.9, large=0.95)).decision.model == "small"
    assert auto(policy, assessment=judged(0.6, small=0.5, medium=0.5, large=0.95)).decision.model == "large"


def test_those_left_of_the_choice_stand_by_and_an_empty_list_means_nobody() -> None:
    rule = "\n      - {{name: r, choose: cheapest, among: [large, small, medium], keep_quality: 0.9{}}}\n"
    assessment = judged(0.6, small=0.5, medium=0.9, large=0.95)
    assert auto(policy_of(rule.format("")), assessment=assessment).decision.fallback == ("large", "small")
    assert auto(policy_of(rule.format(", fallback: []")), assessment=assessment).decision.fallback == ()


def test_a_model_without_a_price_comes_last() -> None:
    policy = policy_of("\n      - {name: r, choose: cheapest, among: [odd, large], keep_quality: 0}\n")
    verdict = auto(policy)
    assert verdict.decision.model == "large"
    assert verdict.expected_cost_usd["odd"] is None


def test_where_nobody_keeps_the_quality_the_baseline_serves_and_else_the_best() -> None:
    rule = "\n      - {name: r, choose: cheapest, among: [small, medium], keep_quality: 1}\n"
    hard = judged(0.9, small=0.1, medium=0.4, large=0.9)
    assert auto(policy_of(rule), assessment=hard).decision.model == "large"
    verdict = auto(policy_of(rule), assessment=hard, unhealthy={"large": "down"})
    assert verdict.decision.model == "medium"
    assert "so the best" in verdict.rules[0].why


def test_a_rule_that_cannot_serve_is_passed_over_and_says_why() -> None:
    verdict = auto(policy_of(), ask_of(input_tokens=9000), judged(0.1))
    assert (verdict.decision.model, verdict.decision.rule) == ("large", "easy")
    assert "passed over small: context: 9000 tokens in and 1000 out, room for 8000" in verdict.rules[1].why
    only_small = "\n      - {name: only, use: small}\n      - {name: rest, use: large}\n"
    verdict = auto(policy_of(only_small), ask_of(images=1))
    assert verdict.decision.rule == "rest"
    assert verdict.rules[0].matched is False and "images: not supported" in verdict.rules[0].why


@pytest.mark.parametrize(
    ("ask", "model", "reason"),
    [
        (ask_of(images=1), "small", "images: not supported"),
        (ask_of(json_schema=True), "small", "json_schema: not supported"),
        (ask_of(tools=1), "small", True),
        (ask_of(tools=1, json_schema=True, images=2), "odd", True),
        (ask_of(output_tokens=5000), "small", "max_output: 5000 tokens asked for, 4000 at most"),
        (ask_of(output_tokens=5000, output_assumed=True), "small", True),
        (ask_of(input_tokens=4000, output_tokens=5000, output_assumed=True), "small", True),
        (ask_of(input_tokens=7000), "small", True),
        (ask_of(input_tokens=7001), "small", "context: 7001 tokens in and 1000 out, room for 8000"),
        (ask_of(private=("email",)), "large", "privacy: the ask holds email and the model is not private"),
        (ask_of(private=("email",)), "small", True),
    ],
)
def test_what_stands_against_a_model(ask, model: str, reason: bool | str) -> None:
    policy = policy_of("\n      - {name: all, choose: cheapest}\n", route="privacy: enforce")
    assert auto(policy, ask).eligible[model] == reason


def test_observed_privacy_is_only_noted() -> None:
    policy = policy_of("\n      - {name: r, use: large}\n", route="privacy: observe")
    assert auto(policy, ask_of(private=("card",))).decision.model == "large"


def test_no_rule_means_the_routes_default_then_the_policys() -> None:
    rule = '\n      - {name: r, when: "complexity > 2.0", use: medium}\n'
    verdict = auto(policy_of(rule, route="default: large"))
    assert (verdict.decision.model, verdict.decision.rule, verdict.decision.fallback) == ("large", "default", ())
    verdict = auto(policy_of(rule, route="default: large"), unhealthy={"large": "down"})
    assert (verdict.decision.model, verdict.decision.rule) == ("small", "default")
    assert auto(policy_of("")).decision.rule == "default"


def test_refusals_say_what_stands_against_whom() -> None:
    policy = policy_of("")
    with pytest.raises(ContextTooLong, match="small: context: 90000 tokens in") as long:
        auto(policy, ask_of(input_tokens=90_000))
    assert (long.value.status, long.value.code, long.value.param) == (400, "context_length_exceeded", "messages")
    with pytest.raises(NothingHealthy, match="small: unhealthy: refused 5 times") as ill:
        auto(policy, unhealthy={"small": "refused 5 times"})
    assert ill.value.status == 503 and ill.value.retry_after
    with pytest.raises(NoEligibleModel, match="small: images: not supported"):
        auto(policy, ask_of(images=1))


def test_ill_health_is_only_the_reason_where_nothing_else_is() -> None:
    with pytest.raises(ContextTooLong):
        auto(policy_of(""), ask_of(input_tokens=90_000), unhealthy={"small": "down"})


def test_a_model_named_outright_is_called_or_refused() -> None:
    policy = policy_of()
    target = resolve(policy, "large")
    verdict = decide(policy, target, ask_of(), judged(), FACTS)
    assert (verdict.decision.model, verdict.decision.rule, verdict.decision.fallback) == ("large", "pinned", ())
    assert verdict.rules == ()
    with pytest.raises(NothingHealthy):
        decide(policy, target, ask_of(), judged(), replace(FACTS, unhealthy={"large": "down"}))


def test_naming_a_model_does_not_lift_privacy() -> None:
    strict, loose = policy_of(), policy_of(route="baseline: large\n    privacy: observe")
    ask = ask_of(private=("iban",))
    with pytest.raises(NoEligibleModel, match="privacy: the ask holds iban"):
        decide(strict, resolve(strict, "large"), ask, judged(), FACTS)
    assert decide(loose, resolve(loose, "large"), ask, judged(), FACTS).decision.model == "large"


def test_names_resolve_to_routes_and_models_and_misspelt_ones_get_a_hint() -> None:
    policy = policy_of()
    assert isinstance(resolve(policy, "auto"), Route)
    with pytest.raises(ModelNotFound, match="did you mean `large`") as error:
        resolve(policy, "lagre")
    assert (error.value.status, error.value.code, error.value.param) == (404, "model_not_found", "model")


def test_expected_costs_come_with_every_verdict() -> None:
    verdict = auto(policy_of(), ask_of(input_tokens=1000, output_tokens=1000), judged(0.1))
    assert verdict.decision.expected_cost_usd == 0.0
    assert verdict.expected_cost_usd == {"small": 0.0, "medium": 0.003, "large": 0.018, "odd": None}


def test_conditions_see_everything_they_are_promised() -> None:
    conditions = [
        "ask.input_tokens == 100 && ask.output_tokens == 1000 && ask.chars == 400 && ask.turns == 1",
        "ask.task == 'code' && ask.language == 'en' && ask.tools == 2 && ask.json_schema && ask.images == 1",
        "!ask.housekeeping && 'card' in ask.private",
        "complexity == 0.5 && gain > 0.39 && support == 0.5",
        "quality['large'] > 0.8 && quality.small == 0.5 && cost['large'] > cost['small']",
        "tenant == 'acme' && 'batch' in key.tags && key.tags.exists(t, t.startsWith('ba'))",
        "headers['x-team'] == 'red' && metadata.project.id == 7",
        "hour == 12 && weekday == 1",
    ]
    for condition in conditions:
        policy = policy_of(f'\n      - {{name: r, when: "{condition}", use: large}}\n', route="privacy: observe")
        verdict = auto(
            policy,
            ask_of(tools=2, json_schema=True, images=1, private=("card",)),
            tenant="acme",
            key_tags=("batch",),
            headers={"x-team": "red"},
            metadata={"project": {"id": 7}},
        )
        assert verdict.decision.rule == "r", (condition, verdict.rules)


def test_a_condition_that_errs_counts_as_not_matched_and_is_counted_and_shown() -> None:
    policy = policy_of("\n      - {name: r, when: \"headers['x-team'] == 'red'\", use: large}\n")
    before = policy.condition_errors
    verdict = auto(policy)
    assert verdict.decision.rule == "default"
    assert verdict.rules[0].matched is False and "counts as not matched" in verdict.rules[0].why
    assert policy.condition_errors == before + 1
    assert auto(policy, headers={"x-team": "red"}).decision.rule == "r"
    assert policy.condition_errors == before + 1


def test_a_condition_that_is_neither_true_nor_false_counts_as_not_matched() -> None:
    policy = policy_of('\n      - {name: r, when: "metadata.flag", use: large}\n')
    verdict = auto(policy, metadata={"flag": "yes"})
    assert verdict.decision.rule == "default" and policy.condition_errors == 1
    assert "not true or false" in verdict.rules[0].why
    assert auto(policy, metadata={"flag": True}).decision.rule == "r"


# --- laws -----------------------------------------------------------------------------------------------------------

NAMES = ["small", "medium", "large", "odd"]
CONDITIONS = [
    "size(ask.private) > 0",
    "complexity < 0.35",
    "complexity >= 0.7 && gain > 0.1",
    "ask.tools > 0 || ask.images > 0",
    "quality['medium'] > 0.6",
    "cost['large'] > 0.01",
    "headers['x-a'] == 'b'",
    "metadata.a.b == 1",
    "hour >= 8 && weekday < 6",
]
unique_names = st.lists(st.sampled_from(NAMES), unique=True, max_size=4)


@st.composite
def rules(draw: st.DrawFn, number: int) -> str:
    parts = [f"name: r{number}"]
    if (condition := draw(st.none() | st.sampled_from(CONDITIONS))) is not None:
        parts.append(f'when: "{condition}"')
    if draw(st.booleans()):
        parts.append(f"use: {draw(st.sampled_from(NAMES))}")
    else:
        parts.append("choose: cheapest")
        if among := draw(unique_names):
            parts.append(f"among: [{', '.join(among)}]")
        if draw(st.booleans()):
            parts.append(f"keep_quality: {draw(st.floats(0, 1)):.3f}")
    if draw(st.booleans()):
        parts.append(f"fallback: [{', '.join(draw(unique_names))}]")
    return f"\n      - {{{', '.join(parts)}}}"


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    text = "".join(draw(rules(number)) for number in range(draw(st.integers(1, 4))))
    privacy = draw(st.sampled_from(["", "\n    privacy: observe", "\n    privacy: enforce"]))
    default = draw(st.sampled_from(["", *(f"\n    default: {name}" for name in NAMES)]))
    return policy_of(text + "\n", route=f"baseline: {draw(st.sampled_from(NAMES))}{privacy}{default}")


asks = st.builds(
    lambda **needs: ask_of(**needs),
    input_tokens=st.integers(0, 300_000),
    output_tokens=st.integers(1, 100_000),
    tools=st.integers(0, 3),
    json_schema=st.booleans(),
    images=st.integers(0, 2),
    housekeeping=st.booleans(),
    private=st.sampled_from([(), ("email",), ("card", "key")]),
)
shares = st.floats(0, 1)
assessments = st.builds(
    lambda complexity, *q: judged(complexity, small=q[0], medium=q[1], large=q[2], odd=q[3]),
    shares, shares, shares, shares, shares,
)  # fmt: skip
unhealthy = st.dictionaries(st.sampled_from(NAMES), st.just("down"), max_size=4)


@given(policies(), asks, assessments, unhealthy, st.sampled_from(["auto", *NAMES]))
def test_every_policy_that_loads_decides_every_ask_or_refuses_it_with_a_reason(
    policy: Policy, ask, assessment, ill: dict[str, str], requested: str
) -> None:
    target = resolve(policy, requested)
    try:
        verdict = decide(policy, target, ask, assessment, replace(FACTS, unhealthy=ill))
    except (ContextTooLong, NothingHealthy, NoEligibleModel) as refusal:
        assert isinstance(refusal, RequestError) and ": " in refusal.message
        return
    served = (verdict.decision.model, *verdict.decision.fallback)
    assert len(set(served)) == len(served)
    assert all(verdict.eligible[name] is True for name in served)
    assert set(verdict.eligible) == set(verdict.expected_cost_usd) == set(NAMES)
    if isinstance(target, Route) and verdict.decision.rule != "default":
        assert verdict.rules[-1].matched and verdict.rules[-1].name == verdict.decision.rule
        assert not any(rule.matched for rule in verdict.rules[:-1])


@given(policies(), asks, assessments, unhealthy, st.sampled_from(["auto", *NAMES]))
def test_a_private_ask_under_enforcement_never_reaches_a_model_that_is_not_private(
    policy: Policy, ask, assessment, ill: dict[str, str], requested: str
) -> None:
    target = resolve(policy, requested)
    if (target if isinstance(target, Route) else policy.routes["auto"]).privacy != "enforce":
        return
    try:
        verdict = decide(policy, target, replace(ask, private=("email",)), assessment, replace(FACTS, unhealthy=ill))
    except RequestError:
        return
    served = (verdict.decision.model, *verdict.decision.fallback)
    assert all(policy.models[name].private for name in served)


@given(shares, shares, st.floats(0, 1), st.floats(0, 1), st.floats(0.5, 1))
def test_a_harder_assessment_never_gets_a_smaller_tier_under_the_same_rules(
    one: float, other: float, easy: float, hard: float, keep: float
) -> None:
    easy, hard = sorted((easy, hard))
    policy = policy_of(
        f'\n      - {{name: easy, when: "complexity < {easy:.6f}", use: small, fallback: [medium]}}'
        f'\n      - {{name: hard, when: "complexity >= {hard:.6f}", use: large, fallback: [medium]}}'
        f"\n      - {{name: between, choose: cheapest, among: [small, medium, large], keep_quality: {keep:.6f}}}\n"
    )
    lighter, harder = (auto(policy, assessment=judged(c)).decision.model for c in sorted((one, other)))
    assert TIERS[lighter] <= TIERS[harder]


@given(policies(), asks, assessments)
def test_the_same_ask_is_decided_the_same_way_twice(policy: Policy, ask, assessment) -> None:
    def once() -> object:
        try:
            return auto(policy, ask, assessment)
        except RequestError as error:
            return error.message

    assert once() == once()
