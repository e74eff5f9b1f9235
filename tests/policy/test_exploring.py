"""Exploration: another model now and then, only where it hardly matters, with the exact chance of it in the ledger."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.domain import Verdict
from router.policy.compiled import Explore, Facts
from router.policy.decide import decide
from router.policy.exploring import LEAST_CHANCE, explore
from tests.policy.making import ask_of, judged, policy_of

RULE = "\n      - {name: r, choose: cheapest, among: [small, medium, large], keep_quality: 0}\n"
POLICY = policy_of(RULE)
NEAR = judged(0.5, small=0.80, medium=0.83, large=0.84)


def explored(draw: float, rate: float = 0.1, *, ask=None, assessment=NEAR, policy=POLICY, tool_loop=False, band=0.05):
    verdict = decide(policy, policy.routes["auto"], ask or ask_of(), assessment, Facts())
    return explore(verdict, Explore(rate, band), ask or ask_of(), assessment, draw, in_tool_loop=tool_loop)


def test_near_ties_share_the_rate_and_the_decided_model_has_the_rest() -> None:
    assert [explored(draw).decision.model for draw in (0.0, 0.04, 0.05, 0.09, 0.1, 0.9)] == [
        "medium", "medium", "large", "large", "small", "small"
    ]  # fmt: skip
    assert explored(0.0).decision.probability == pytest.approx(0.05)
    assert explored(0.5).decision.probability == pytest.approx(0.9)


def test_the_decided_model_stands_by_first() -> None:
    assert explored(0.0).decision.fallback == ("small", "large")
    assert explored(0.0).rules[-1].name == "explore"
    assert explored(0.0).decision.rule == "r"


def test_what_is_far_apart_is_not_tried() -> None:
    apart = judged(0.5, small=0.5, medium=0.7, large=0.9)
    assert explored(0.0, assessment=apart).decision.probability == 1.0


@pytest.mark.parametrize(
    "case",
    [
        {"ask": ask_of(private=("email",))},
        {"ask": ask_of(housekeeping=True)},
        {"tool_loop": True},
        {"rate": 0.0},
        {"policy": policy_of("\n      - {name: r, use: small}\n")},
        {"policy": policy_of("\n      - {name: r, cascade: {first: small, then: large}, fallback: [medium]}\n")},
        {"policy": policy_of("\n      - {name: r, when: 'false', use: small}\n")},
    ],
)
def test_what_is_never_explored(case: dict) -> None:
    verdict: Verdict = explored(0.0, **case)
    assert verdict.decision.probability == 1.0 and verdict.decision.model == "small"


def test_the_logged_chances_are_those_with_which_models_are_taken() -> None:
    draw = random.Random(1)
    n = 20_000
    taken: Counter[str] = Counter()
    inverse: Counter[str] = Counter()
    for _ in range(n):
        decision = explored(draw.random(), 0.2).decision
        taken[decision.model] += 1
        inverse[decision.model] += 1 / decision.probability
    for model, chance in (("small", 0.8), ("medium", 0.1), ("large", 0.1)):
        assert taken[model] / n == pytest.approx(chance, abs=0.01)
        assert inverse[model] / n == pytest.approx(1, abs=0.1)


@given(st.floats(0, 1, exclude_max=True), st.floats(0.0001, 1), st.floats(0, 1))
def test_no_chance_is_below_the_floor(draw: float, rate: float, band: float) -> None:
    decision = explored(draw, rate, band=band).decision
    explored_one = decision.model != "small"
    assert not explored_one or decision.probability >= LEAST_CHANCE
    assert 0 <= decision.probability <= 1
