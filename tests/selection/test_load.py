"""What a policy may not ask of a selector is refused where it is loaded, at its place."""

from __future__ import annotations

import pytest

from router.errors import PolicyError
from router.policy.load import parse_policy
from tests.selection.conftest import policy_text

URLS = ("http://r.test", "http://e.test", "http://c.test")


def test_a_model_that_reads_takes_no_threshold() -> None:
    text = policy_text(*URLS).replace("by: model, model: reader", "by: model, model: reader, threshold: 0.5", 1)
    with pytest.raises(PolicyError, match=r"policy.*:\d+:\d+: .*`threshold` goes with `by: embedding`"):
        parse_policy(text)


def test_more_texts_than_can_be_compared_are_refused() -> None:
    many = [f"question {number}" for number in range(200)]
    options = "".join(f"  more{number}: {{use: clerk, description: d, examples: {many}}}\n" for number in range(5))
    with pytest.raises(PolicyError, match="likeness takes 1000 at most"):
        parse_policy(policy_text(*URLS).replace("default: clerk\n", f"{options}default: clerk\n", 1))


def test_a_thousand_texts_can_be_compared() -> None:
    many = [f"question {number}" for number in range(198)]
    options = "".join(f"  more{number}: {{use: clerk, description: d, examples: {many}}}\n" for number in range(4))
    policy = parse_policy(policy_text(*URLS).replace("default: clerk\n", f"{options}default: clerk\n", 1))
    assert len(policy.options) == 6
