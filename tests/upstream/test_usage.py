"""Tokens land in disjoint buckets, whoever counted them and whatever the counters are called."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.domain import Usage
from router.upstream.usage import read_usage

KNOWN = [
    pytest.param(
        {"prompt_tokens": 100, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 64}},
        Usage(uncached_input=36, cache_read=64, output=20),
        id="OpenAI: cached tokens are part of the prompt",
    ),
    pytest.param(
        {"prompt_tokens": 10, "completion_tokens": 50, "completion_tokens_details": {"reasoning_tokens": 40}},
        Usage(uncached_input=10, output=50, reasoning=40),
        id="OpenAI: reasoning is part of the completion",
    ),
    pytest.param(
        {"input_tokens": 10, "cache_read_input_tokens": 90, "cache_creation_input_tokens": 5, "output_tokens": 7},
        Usage(uncached_input=10, cache_read=90, cache_write=5, output=7),
        id="Anthropic: cached tokens stand beside the input",
    ),
    pytest.param(
        {
            "prompt_tokens": 105,
            "completion_tokens": 7,
            "prompt_tokens_details": {"cached_tokens": 90, "cache_creation_tokens": 5},
            "cache_read_input_tokens": 90,
            "cache_creation_input_tokens": 5,
        },
        Usage(uncached_input=10, cache_read=90, cache_write=5, output=7),
        id="litellm: counted in, and named twice",
    ),
    pytest.param(
        {"input_tokens": 100, "input_tokens_details": {"cached_tokens": 30}, "output_tokens": 4},
        Usage(uncached_input=70, cache_read=30, output=4),
        id="OpenAI responses: cached tokens are part of the input",
    ),
    pytest.param(
        {"prompt_tokens": 100, "completion_tokens": 4, "prompt_cache_hit_tokens": 80, "prompt_cache_miss_tokens": 20},
        Usage(uncached_input=20, cache_read=80, output=4),
        id="DeepSeek",
    ),
    pytest.param(
        {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 45,
            "completion_tokens_details": {"reasoning_tokens": 30},
        },
        Usage(uncached_input=10, output=35, reasoning=30),
        id="xAI: reasoning stands beside the completion",
    ),
    pytest.param({"prompt_tokens": 10, "total_tokens": 14}, Usage(uncached_input=10, output=4), id="only a total"),
    pytest.param(
        {"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 50}},
        Usage(cache_read=5, output=1),
        id="more cached than there were",
    ),
    pytest.param(
        {"prompt_tokens": 5, "completion_tokens": None, "prompt_tokens_details": None},
        Usage(uncached_input=5),
        id="nulls",
    ),
    pytest.param({}, None, id="nothing"),
    pytest.param(None, None, id="null"),
    pytest.param({"prompt_tokens": "many", "completion_tokens": True}, None, id="no numbers"),
    pytest.param({"prompt_tokens": -4, "completion_tokens": float("inf")}, None, id="no counts"),
]


@pytest.mark.parametrize(("counted", "expected"), KNOWN)
def test_known_shapes_are_read(counted: Any, expected: Usage | None) -> None:
    assert read_usage(counted) == expected


names = st.sampled_from(
    """prompt_tokens completion_tokens total_tokens input_tokens output_tokens cached_tokens reasoning_tokens
    cache_read_input_tokens cache_creation_input_tokens prompt_cache_hit_tokens prompt_tokens_details
    completion_tokens_details input_tokens_details cache_write_tokens""".split()
)
anything = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
objects = st.dictionaries(names, anything | st.dictionaries(names, anything, max_size=3), max_size=8)


@given(objects | anything)
def test_nothing_makes_it_raise_and_no_bucket_is_negative(counted: Any) -> None:
    usage = read_usage(counted)
    if usage is not None:
        buckets = (usage.uncached_input, usage.cache_read, usage.cache_write, usage.output, usage.reasoning)
        assert all(isinstance(bucket, int) and bucket >= 0 for bucket in buckets)
        assert usage.reasoning <= usage.output and not usage.estimated


@given(st.integers(1, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_the_buckets_of_an_openai_prompt_add_up_to_it(prompt: int, read: int, write: int, output: int) -> None:
    details = {"cached_tokens": read, "cache_write_tokens": write}
    usage = read_usage({"prompt_tokens": prompt, "completion_tokens": output, "prompt_tokens_details": details})
    assert usage is not None and usage.input == prompt and usage.output == output
