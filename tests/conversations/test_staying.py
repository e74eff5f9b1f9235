"""When a conversation keeps its model, and when it does not: up is easy, down needs evidence."""

from __future__ import annotations

import pytest
from msgspec import structs

from router.conversations.contract import Remembered
from router.conversations.staying import stay
from router.domain import Verdict
from router.policy.compiled import Facts, Staying
from router.policy.decide import decide
from tests.policy.making import MODELS, ask_of, judged, policy_of

CACHED = MODELS.replace("price: {input: 3, output: 15}", "price: {input: 3, output: 15, cache_read: 0.3}").replace(
    "price: {input: 1, output: 2}", "price: {input: 1, output: 2, cache_read: 0.1}"
)
SETTINGS = Staying(0.05, 3600)


def turn(
    chosen: str, before: Remembered | None, *, ask=None, unhealthy=None, models: str = CACHED, **quality: float
) -> tuple[Verdict, int]:
    """What becomes of a turn for which the rules chose a model; small is 0.5 good, medium 0.7, large 0.8."""
    policy = policy_of(f"\n      - {{name: r, use: {chosen}, fallback: [odd]}}\n", "privacy: observe", models)
    asked = ask or ask_of(output_tokens=100)
    assessment = judged(0.5, **{"small": 0.5, "medium": 0.7, "large": 0.8, **quality})
    verdict = decide(policy, policy.routes["auto"], asked, assessment, Facts(unhealthy=unhealthy or {}))
    return stay(verdict, before, SETTINGS, asked, assessment, policy.models)


def test_the_first_turn_goes_where_the_rules_say() -> None:
    verdict, _ = turn("medium", None)
    assert (verdict.decision.model, verdict.decision.rule) == ("medium", "r")


def test_a_better_model_takes_over_when_it_gains_enough() -> None:
    verdict, _ = turn("large", Remembered("medium", 100))
    assert (verdict.decision.model, verdict.decision.rule) == ("large", "r")


def test_a_little_gain_is_not_worth_a_change() -> None:
    verdict, _ = turn("large", Remembered("medium", 100), large=0.74)
    assert (verdict.decision.model, verdict.decision.rule) == ("medium", "conversation")
    assert verdict.decision.fallback == ("large", "odd")
    assert "stays with medium: large gains only 0.04, 0.06 is needed" in verdict.rules[-1].why


def test_what_the_lost_cache_costs_is_a_part_of_the_bar() -> None:
    long = ask_of(input_tokens=50_000, output_tokens=100)
    short, _ = turn("large", Remembered("medium", 100), large=0.76)
    grown, _ = turn("large", Remembered("medium", 50_000), ask=long, large=0.76)
    assert (short.decision.model, grown.decision.model) == ("large", "medium")


def test_going_down_takes_two_turns_in_a_row() -> None:
    first, turns = turn("small", Remembered("large", 100))
    assert (first.decision.model, turns) == ("large", 1)
    second, turns = turn("small", Remembered("large", 100, turns))
    assert (second.decision.model, turns) == ("small", 0)
    assert "2 turns in a row" in second.rules[-1].why


def test_a_turn_that_needs_the_large_model_takes_the_evidence_away() -> None:
    _, turns = turn("small", Remembered("large", 100))
    _, turns = turn("large", Remembered("large", 100, turns))
    assert turns == 0


def test_nobody_goes_down_to_pay_more() -> None:
    long = ask_of(input_tokens=60_000, output_tokens=100)
    verdict, turns = turn("medium", Remembered("large", 60_000, 5), ask=long)
    assert (verdict.decision.model, turns) == ("large", 0)
    assert "no cheaper without what is cached" in verdict.rules[-1].why


def test_a_model_that_may_not_serve_is_not_kept() -> None:
    verdict, _ = turn("medium", Remembered("large", 100), unhealthy={"large": "down"})
    assert verdict.decision.model == "medium"
    assert "large may not serve: unhealthy: down" in verdict.rules[-1].why


def test_a_private_ask_leaves_a_model_that_is_not_private() -> None:
    private = ask_of(private=("email",))
    verdict, _ = turn("small", Remembered("large", 100), ask=private)
    assert verdict.decision.model == "small"


def test_housekeeping_goes_where_the_rules_say() -> None:
    verdict, _ = turn("small", Remembered("large", 100), ask=ask_of(housekeeping=True))
    assert (verdict.decision.model, verdict.decision.rule) == ("small", "r")


def test_a_model_that_left_the_policy_is_forgotten() -> None:
    verdict, _ = turn("small", Remembered("gone", 100))
    assert verdict.decision.model == "small"


def test_a_cascade_does_not_begin_below_the_model_that_is_in_the_conversation() -> None:
    policy = policy_of("\n      - {name: r, cascade: {first: small, then: large}}\n", "privacy: observe", CACHED)
    ask, assessment = ask_of(), judged(0.5)
    verdict = decide(policy, policy.routes["auto"], ask, assessment, Facts())
    kept, turns = stay(verdict, Remembered("large", 100), SETTINGS, ask, assessment, policy.models)
    assert (kept.decision.plan, kept.decision.model, turns) == ("single", "large", 1)
    assert kept.decision.terms is None


@pytest.mark.parametrize(
    "rule", ["agree: {ask: [small, medium], then: large}", "fan_out: {ask: [small, medium], combine: vote}"]
)
def test_other_plans_are_carried_out_each_time(rule: str) -> None:
    policy = policy_of(f"\n      - {{name: r, {rule}}}\n", "privacy: observe", CACHED)
    verdict = decide(policy, policy.routes["auto"], ask_of(), judged(0.5), Facts())
    assert stay(verdict, Remembered("large", 100), SETTINGS, ask_of(), judged(0.5), policy.models)[0] is verdict


def test_whoever_stays_was_able_to() -> None:
    """Staying never widens who may serve: every model of the kept decision is one that may."""
    for chosen in ("small", "medium", "large"):
        for old in ("small", "medium", "large", "odd"):
            for unhealthy in ({}, {"odd": "down"}, {"medium": "down", "odd": "down"}):
                if chosen in unhealthy:
                    continue
                verdict, _ = turn(chosen, Remembered(old, 10, 1), unhealthy=unhealthy)
                named = (verdict.decision.model, *verdict.decision.fallback)
                assert all(verdict.eligible[name] is True for name in named)
                assert structs.asdict(verdict.decision)["plan"] == "single"
