"""Asks that the judge's tests share."""

from __future__ import annotations

from hypothesis import strategies as st

from classifiers.contract import AskText, ModelCard

CARDS = (ModelCard("local", "qwen2.5:3b", "small"), ModelCard("remote", "vendor/big-one", "large"))

odd_text = st.one_of(
    st.text(max_size=300),
    st.text(alphabet=st.characters(codec=None, categories=("Cs", "Cc", "So", "Lo", "Mn", "Zs")), max_size=80),
    st.sampled_from(
        ["", " ", "\x00" * 50, "\ud800", "👍🏽", "a" * 20_000, "\n" * 3_000, "ﷺ" * 400, "1" * 5_000, "$$$\\frac{"]
    ),
)
asks = st.builds(
    AskText,
    text=odd_text,
    earlier=st.lists(odd_text, max_size=2).map(tuple),
    tools=st.integers(0, 10**6),
    json_schema=st.booleans(),
    images=st.integers(0, 10**6),
    input_tokens=st.integers(0, 10**9),
)
