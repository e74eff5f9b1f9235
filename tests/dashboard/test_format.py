"""Figures read well, and rounding never lies: something is never nothing, and not quite all is never all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.dashboard.format import count, duration, moment, money, price, score, share, short_id, short_moment, ticked


@pytest.mark.parametrize(
    ("usd", "text"),
    [(0.0042, "$0.0042"), (12.3, "$12.30"), (0.0, "$0.00"), (1204.5, "$1,204.50"), (0.07312, "$0.0731"),
     (0.0000018, "$0.0000018"), (0.25, "$0.2500"), (0.996, "$1.00"), (-0.5, "−$0.5000"), (-12.0, "−$12.00"),
     (None, "unknown"), (1e-9, "$0.0000000010")],
)  # fmt: skip
def test_money(usd: float | None, text: str) -> None:
    assert money(usd) == text


@given(st.integers(-(10**15), 10**15))
def test_money_never_shows_an_amount_as_nothing_and_stays_near_it(nano: int) -> None:
    usd = nano / 1e9
    shown = float(money(usd).replace("−", "-").replace("$", "").replace(",", ""))
    assert (shown == 0) is (nano == 0)
    assert shown == pytest.approx(usd, rel=0.051, abs=0)


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(0, 10, "0%"), (10, 10, "100%"), (9999, 10000, "99.9%"), (1, 100_000, "<0.1%"), (1, 3, "33%"), (1, 30, "3.3%"),
     (1, 50, "2%"), (0, 0, "–"), (None, 3, "–"), (3, None, "–"), (-1, 4, "−25%"), (30, 10, "300%")],
)  # fmt: skip
def test_shares(part: float | None, whole: float | None, text: str) -> None:
    assert share(part, whole) == text


@given(st.integers(0, 10**9), st.integers(1, 10**9))
def test_a_share_is_all_or_nothing_only_when_it_is(part: int, whole: int) -> None:
    part = min(part, whole)
    assert (share(part, whole) == "100%") is (part == whole)
    assert (share(part, whole) == "0%") is (part == 0)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(0.0, "0.00 ms"), (0.424, "0.42 ms"), (4.21, "4.2 ms"), (99.96, "100 ms"), (420.4, "420 ms"), (999.6, "1.00 s"),
     (1250.0, "1.25 s"), (12_500.0, "12.5 s"), (59_960.0, "1 min 0 s"), (125_000.0, "2 min 5 s"), (None, "–")],
)  # fmt: skip
def test_durations(milliseconds: float | None, text: str) -> None:
    assert duration(milliseconds) == text


def test_the_rest_of_the_figures() -> None:
    assert (count(12_345), count(None)) == ("12,345", "–")
    assert (score(0.874), score(-0.12), score(-0.001), score(None)) == ("0.87", "−0.12", "0.00", "–")
    assert (price(3.0), price(0.075), price(0.0), price(None)) == ("$3.00", "$0.075", "$0.00", "unknown")
    assert moment(1_772_366_400.9) == "2026-03-01 12:00:00"
    assert short_moment(1_772_366_400.9) == "1 Mar 12:00:00"
    assert short_id("req_0193c1f2a7b0c5a1f0e2d3c4b5a69788") == "req_0193c1…a69788"
    assert short_id("req_1") == "req_1"


def test_backticks_become_code_and_everything_else_stays_text() -> None:
    assert ticked("`a < b` & <c>") == "<code>a &lt; b</code> &amp; &lt;c&gt;"
    assert ticked("a ` b") == "a ` b"
    assert ticked("`<i>`") == "<code>&lt;i&gt;</code>"
