"""Prices add up, unknown is never free, and the map is read without litellm."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.domain import Price, Usage
from router.prices import cost_nano, estimate_usd, lookup, read_litellm_map

SONNET = Price(3.0, 15.0, 0.3, 3.75)
tokens = st.integers(0, 10_000_000)
usages = st.builds(Usage, tokens, tokens, tokens, tokens)
dollars = st.floats(0, 1000, allow_nan=False)
prices = st.builds(Price, dollars, dollars, st.none() | dollars, st.none() | dollars)


def test_a_million_tokens_cost_what_the_price_says() -> None:
    assert cost_nano(Usage(uncached_input=1_000_000), SONNET) == 3_000_000_000
    assert cost_nano(Usage(output=1_000_000), SONNET) == 15_000_000_000
    assert cost_nano(Usage(cache_read=1_000_000), SONNET) == 300_000_000
    assert cost_nano(Usage(cache_write=1_000_000), SONNET) == 3_750_000_000


def test_an_unknown_price_gives_no_cost_and_a_free_one_gives_zero() -> None:
    assert cost_nano(Usage(100, output=5), None) is None
    assert estimate_usd(100, 5, None) is None
    assert cost_nano(Usage(100, output=5), Price(0, 0)) == 0


def test_cached_tokens_cost_as_much_as_others_where_no_price_says_otherwise() -> None:
    price = Price(2.0, 8.0)
    assert cost_nano(Usage(10, 20, 30), price) == cost_nano(Usage(60), price)


def test_reasoning_is_a_part_of_output_and_not_billed_twice() -> None:
    assert cost_nano(Usage(output=100, reasoning=80), SONNET) == cost_nano(Usage(output=100), SONNET)


@given(usages, usages, prices)
def test_pricing_adds_up_but_for_the_rounding(one: Usage, two: Usage, price: Price) -> None:
    both = Usage(
        one.uncached_input + two.uncached_input,
        one.cache_read + two.cache_read,
        one.cache_write + two.cache_write,
        one.output + two.output,
    )
    first, second, together = cost_nano(one, price), cost_nano(two, price), cost_nano(both, price)
    assert first is not None and second is not None and together is not None
    assert abs(first + second - together) <= 1 + together * 1e-12
    assert isinstance(together, int)


@given(tokens, tokens, prices)
def test_an_estimate_is_the_cost_of_the_same_tokens_uncached(into: int, out: int, price: Price) -> None:
    cost, estimate = cost_nano(Usage(into, output=out), price), estimate_usd(into, out, price)
    assert cost is not None and estimate is not None
    assert cost == pytest.approx(estimate * 1e9, rel=1e-9, abs=1)


def test_the_map_knows_models_with_and_without_their_provider() -> None:
    bare, full = lookup("claude-sonnet-4-5"), lookup("anthropic/claude-sonnet-4-5")
    assert bare == full and bare is not None and bare.price is not None
    assert (bare.price.input, bare.price.output, bare.price.cache_read) == (3.0, 15.0, 0.3)
    assert bare.price.source.startswith("litellm ") and "installed" in bare.price.source
    assert bare.context == 200_000 and bare.supports == {"tools", "json_schema", "images"}


def test_a_model_is_never_priced_as_another_providers() -> None:
    assert lookup("someone-else/claude-sonnet-4-5") is None
    assert lookup("qwen2.5:3b") is None
    assert lookup("sample_spec") is None


def test_models_that_do_not_chat_are_not_looked_up() -> None:
    assert "text-embedding-3-small" in read_litellm_map().entries
    assert lookup("text-embedding-3-small") is None


def test_reading_the_map_does_not_import_litellm() -> None:
    code = "import sys; from router.prices import lookup; assert lookup('gpt-4.1'); assert 'litellm' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
