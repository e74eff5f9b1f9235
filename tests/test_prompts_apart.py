"""The prompts that measure the judge, and those of the demo, are apart from those that train it, and well made.

Nearness is by overlap of normalised text; it finds copies and light edits, not the same question in other words.
"""

import json
import re
import unicodedata
from collections import Counter
from itertools import product
from pathlib import Path

import pytest

from router.demo import questions

ROOT = Path(__file__).resolve().parent.parent
EVEN = ROOT / "tests/data/chat_even_lengths.jsonl"
NATURAL = ROOT / "tests/data/chat_natural_lengths.jsonl"
TEST = ROOT / "tests/data/judge_test.jsonl"
SEED = ROOT / "classifiers/training/seed"
LEVELS = ("trivial", "easy", "hard", "expert")


def normalised(text: str) -> str:
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold()))


def grams(text: str, n: int = 4) -> frozenset[str]:
    return frozenset(text[i : i + n] for i in range(max(1, len(text) - n + 1)))


def alike(a: frozenset[str], b: frozenset[str], limit: float) -> bool:
    """Whether the Jaccard similarity reaches the limit; sets of too different size cannot."""
    if min(len(a), len(b)) < limit * max(len(a), len(b)):
        return False
    shared = len(a & b)
    return shared >= limit * (len(a) + len(b) - shared)


def whole(row: dict) -> str:
    """A prompt with the turns before it: "go on" alone says nothing."""
    return " ".join([*row["earlier"], row["prompt"]])


def near(left: list[str], right: list[str]) -> list[tuple[str, str]]:
    """Pairs that are one text but for case, marks and a few letters."""
    lefts, rights = ([(t, normalised(t)) for t in texts] for texts in (left, right))
    ours = [(t, n, grams(n), frozenset(n.split())) for t, n in lefts]
    theirs = [(t, n, grams(n), frozenset(n.split())) for t, n in rights]
    return [
        (a, b)
        for (a, na, ga, wa), (b, nb, gb, wb) in product(ours, theirs)
        if na == nb or alike(ga, gb, 0.6) or (min(len(wa), len(wb)) >= 4 and alike(wa, wb, 0.75))
    ]


@pytest.fixture(scope="module", params=[EVEN, NATURAL, TEST], ids=["even", "natural", "test"])
def held_out(request: pytest.FixtureRequest) -> list[dict]:
    return [json.loads(line) for line in request.param.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def seed() -> list[str]:
    rows = [json.loads(line) for file in SEED.glob("*.jsonl") for line in file.read_text(encoding="utf-8").splitlines()]
    return [whole(row) for row in rows]


def test_nearness_sees_a_light_edit_and_lets_another_question_pass():
    assert near(["What's the capital of Peru??"], ["what s the capital of peru"])
    assert near(["how do i undo my last git commit"], ["How do I undo my last git commit, please"])
    assert not near(["what is the capital of Peru"], ["why does bread rise"])


def test_no_held_out_prompt_is_a_near_duplicate_of_a_training_prompt(held_out, seed):
    assert len(seed) >= 150
    assert near([whole(row) for row in held_out], seed) == []


def test_no_demo_question_is_a_near_duplicate_of_a_training_prompt(seed):
    assert near([q.text for q in questions.load()], seed) == []


def test_no_demo_question_is_a_near_duplicate_of_a_held_out_prompt(held_out):
    assert near([q.text for q in questions.load()], [whole(row) for row in held_out]) == []


def test_the_two_held_out_sets_are_apart():
    even, natural = (
        [whole(json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()] for file in (EVEN, NATURAL)
    )
    assert near(even, natural) == []


def test_the_held_out_set_is_large_distinct_and_balanced(held_out):
    assert len({normalised(whole(row)) for row in held_out}) == len(held_out) >= 180
    by_level = Counter(row["level"] for row in held_out)
    assert set(by_level) == set(LEVELS)
    assert min(by_level.values()) >= 40
    assert sum(n >= 5 for n in Counter(row["language"] for row in held_out).values()) >= 5
    assert sum(bool(row["earlier"]) for row in held_out) >= 8


def test_in_one_set_the_length_of_a_prompt_does_not_give_its_level_away():
    held_out = [json.loads(line) for line in EVEN.read_text(encoding="utf-8").splitlines()]
    simple, demanding = (
        [len(row["prompt"]) for row in held_out if row["level"] in levels] for levels in (LEVELS[:2], LEVELS[2:])
    )
    wins = sum((a < b) + 0.5 * (a == b) for a, b in product(simple, demanding))
    assert 0.35 <= wins / (len(simple) * len(demanding)) <= 0.65


def test_in_that_set_each_level_has_short_and_long_prompts():
    held_out = [json.loads(line) for line in EVEN.read_text(encoding="utf-8").splitlines()]
    for level in LEVELS:
        lengths = [len(row["prompt"]) for row in held_out if row["level"] == level]
        assert min(lengths) <= 40
        assert max(lengths) >= 220
