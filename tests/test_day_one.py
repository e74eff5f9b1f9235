"""The promise of the first day: the shipped judge under policies/default.yaml, on chat prompts it was not trained on.

What answers would cost is estimated (no model is called); `python bench/day_one.py` prints the whole table.
"""

import pytest

from bench import day_one
from bench.day_one import ROOT, Worth
from router.policy.load import load_policy


@pytest.fixture(scope="module")
def policy():
    return load_policy(ROOT / "policies/default.yaml", {"ANTHROPIC_API_KEY": "unused"})


@pytest.fixture(scope="module")
def rows(policy) -> dict[str, Worth]:
    return {row.name: row for row in day_one.table(day_one.held_out(), policy, "shipped")}


def test_at_least_nine_in_ten_trivial_prompts_go_to_the_small_model(rows):
    assert rows["shipped"].trivial_to_small >= 0.90


def test_at_least_eight_in_ten_expert_prompts_go_to_the_large_model(rows):
    assert rows["shipped"].expert_to_large >= 0.80


def test_spend_is_at_most_sixty_percent_of_always_large(rows):
    assert rows["shipped"].spend <= 0.60
    assert rows["always large"].spend == 1.0


def test_greetings_thanks_and_translations_never_go_to_the_large_model(policy):
    prompts = day_one.never_large()
    assert len(prompts) >= 40
    choice = day_one.choose(prompts, day_one.shipped_judge(), policy)
    assert [prompt.text for prompt, large in zip(prompts, choice, strict=True) if large] == []


@pytest.mark.parametrize("trivial", ["random", "prompt length"])
def test_the_judge_sends_experts_up_and_trivia_down_better_than(trivial, rows):
    judge, other = rows["shipped"], rows[trivial]
    assert judge.expert_to_large > other.expert_to_large
    assert judge.trivial_to_small > other.trivial_to_small
