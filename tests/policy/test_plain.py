"""Python's answer to a plain condition is CEL's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.contract import AskText
from router.domain import Ask
from router.policy.conditions import Context, compile_condition
from router.policy.plain import plainly
from tests.policy.making import judged

SIGNS = ("<", "<=", ">", ">=")
spaces = st.sampled_from(["", " ", "  "])
shares = st.integers(0, 20).map(lambda step: step / 20)
counts = st.sampled_from([0, 1, 2, 7, 1024, 32_768, 10**12])
plain_sources = (
    st.builds(
        lambda name, sign, bound, space: f"{name}{space}{sign}{space}{bound}",
        st.sampled_from(["complexity", "gain", "support"]),
        st.sampled_from(SIGNS),
        shares,
        spaces,
    )
    | st.builds(
        lambda name, sign, bound, space: f"{space}ask.{name}{space}{sign}{space}{bound}{space}",
        st.sampled_from(["input_tokens", "output_tokens", "chars", "turns", "tools", "images"]),
        st.sampled_from(SIGNS),
        counts,
        spaces,
    )
    | st.sampled_from(
        ["ask.housekeeping", "!ask.housekeeping", "! ask.json_schema", "size(ask.private) > 0", "size( ask.private )>0"]
    )
)
asks = st.builds(
    Ask,
    text=st.just(AskText("hello")),
    input_tokens=counts,
    output_tokens=counts,
    chars=counts,
    turns=counts,
    tools=counts,
    json_schema=st.booleans(),
    images=counts,
    housekeeping=st.booleans(),
    private=st.sampled_from([(), ("email",), ("card", "email")]),
)


@given(plain_sources, asks, shares)
def test_a_plain_condition_holds_where_cel_says_so(source: str, ask: Ask, complexity: float) -> None:
    assessment = judged(complexity)
    condition = compile_condition(source, ["small", "large"])
    assert condition.plain is not None
    members = {name: getattr(ask, name) for name in condition.names.ask}
    if "private" in members:
        members["private"] = list(ask.private)
    values = {"ask": members} if members else {}
    for name in ("complexity", "gain", "support"):
        values[name] = getattr(assessment, name)
    assert condition.plain(ask, assessment) is condition.holds(Context(values))[0]
    assert condition.errors == 0


@pytest.mark.parametrize(
    "source",
    [
        "complexity < 1",
        "ask.input_tokens > 10.5",
        "complexity < 0.3 && ask.tools > 0",
        "ask.task == 'code'",
        "size(ask.private) > 1",
        "quality['small'] > 0.5",
        "tenant == 'a'",
        "ask.input_tokens > 99999999999999999",
        "complexity<0.3//x",
    ],
)
def test_all_else_is_left_to_cel(source: str) -> None:
    assert plainly(source) is None
