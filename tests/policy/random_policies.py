"""Random policies over every verb, option, retriever and limit; random asks, assessments, facts and selections."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from router.policy.compiled import Policy, Proof
from tests.policy.making import MODELS, ask_of, judged, policy_of

NAMES = ["small", "medium", "large", "odd"]
PRICED = NAMES[:3]
OPTIONS = ["home", "shelf", "proof", "web"]
PARTS = [*NAMES, *OPTIONS]
CONDITIONS = [
    "size(ask.private) > 0",
    "complexity < 0.35",
    "complexity >= 0.7 && gain > 0.1",
    "ask.tools > 0 || ask.images > 0",
    "quality['medium'] > 0.6",
    "cost['large'] > 0.01",
    "headers['x-a'] == 'b'",
    "metadata.a.b == 1",
    "hour >= 8 && weekday < 6",
]
BESIDE = """
retrievers:
  cellar: {url: "http://c.test/s", private: true, price: 0.001}
  street: {url: "http://h.test/s"}
options:
  home:  {use: small, with: cellar, description: What is at home}
  shelf: {use: small, with: street, description: What the shelves hold}
  proof: {use: large, description: Proofs}
  web:   {use: medium, with: street, description: What the street says}
limits:
  - {name: pace, per: key, requests_per_minute: 9}
  - {name: dear, per: model, only: [large], dollars_per_day: 1}
"""


def listed(names: list[str]) -> str:
    return f"[{', '.join(names)}]"


def several(names: list[str], least: int, most: int) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(names), unique=True, min_size=least, max_size=most)


shares = st.floats(0, 1)
shown = shares.map("{:.3f}".format)
risking = st.just("") | st.floats(0.001, 0.999).map(", max_risk: {:.3f}".format)


@st.composite
def combining(draw: st.DrawFn) -> str:
    how = draw(st.sampled_from(["vote", "best_of", "fuse"]))
    return f"combine: {how}" + ("" if how == "vote" else f", judge: {draw(st.sampled_from(NAMES))}")


@st.composite
def verbs(draw: st.DrawFn, baseline: str) -> str:
    kind = draw(st.sampled_from(["use", "cheapest", "best", "select", "cascade", "agree", "fan_out"]))
    if kind == "use":
        return f"use: {draw(st.sampled_from(NAMES))}"
    if kind == "cheapest":
        among = draw(several(NAMES, 0, 4))
        written = "choose: cheapest" + (f", among: {listed(among)}" if among else "")
        if draw(st.booleans()):
            written += f", keep_quality: {draw(shown)}"
            written += f", threshold: {draw(st.floats(-1, 1)):.3f}" if draw(st.booleans()) else ""
        return written + draw(risking)
    if kind == "best":
        bound = f", max_cost: {draw(shown)}" if baseline != "odd" and draw(st.booleans()) else ""
        return f"choose: best, among: {listed(draw(several(PRICED, 1, 3)))}{bound}{draw(risking)}"
    if kind == "select":
        top = draw(st.integers(1, 3))
        by = draw(st.sampled_from(["by: embedding", "by: model, model: small", "by: model, model: large"]))
        together = f", top: {top}, {draw(combining())}" if top > 1 else ""
        return f"select: {{{by}, among: {listed(draw(several(OPTIONS, 1, 4)))}{together}}}"
    if kind == "cascade":
        first, then = draw(st.sampled_from(PARTS)), draw(st.sampled_from(NAMES))
        then = "large" if first == then == "small" else "small" if first == then else then
        return f"cascade: {{first: {first}, then: {then}, trust: {draw(shown)}}}"
    if kind == "agree":
        return f"agree: {{ask: {listed(draw(several(PARTS, 2, 4)))}, then: {draw(st.sampled_from(NAMES))}}}"
    return f"fan_out: {{ask: {listed(draw(several(PARTS, 2, 4)))}, {draw(combining())}}}"


@st.composite
def rules(draw: st.DrawFn, number: int, baseline: str) -> str:
    parts = [f"name: r{number}", draw(verbs(baseline))]
    if (condition := draw(st.none() | st.sampled_from(CONDITIONS))) is not None:
        parts.insert(1, f'when: "{condition}"')
    if draw(st.booleans()):
        parts.append(f"fallback: {listed(draw(several(NAMES, 0, 4)))}")
    return f"\n      - {{{', '.join(parts)}}}"


AUDITED = "\n    audit: {rate: 0.1, judge: large, judges_itself: true}"


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """A policy that loads, of one route `auto` and up to five rules."""
    baseline = draw(st.sampled_from(NAMES))
    text = "".join(draw(rules(number, baseline)) for number in range(draw(st.integers(1, 5))))
    privacy = draw(st.sampled_from(["", "\n    privacy: observe", "\n    privacy: enforce"]))
    default = draw(st.sampled_from(["", *(f"\n    default: {name}" for name in NAMES)]))
    return policy_of(text + "\n", route=f"baseline: {baseline}{privacy}{default}{AUDITED}", models=MODELS + BESIDE)


asks = st.builds(
    lambda **needs: ask_of(**needs),
    input_tokens=st.integers(0, 300_000),
    output_tokens=st.integers(1, 100_000),
    tools=st.integers(0, 3),
    json_schema=st.booleans(),
    images=st.integers(0, 2),
    housekeeping=st.booleans(),
    private=st.sampled_from([(), ("email",), ("card", "key")]),
    output_assumed=st.booleans(),
)
small_asks = st.builds(
    lambda **needs: ask_of(**needs),
    input_tokens=st.integers(0, 2000),
    tools=st.integers(0, 1),
    private=st.sampled_from([(), ("email",), ("card", "key")]),
)
"""Asks that most models may serve, so that plans keep several parts."""

assessments = st.builds(
    lambda complexity, *q: judged(complexity, small=q[0], medium=q[1], large=q[2], odd=q[3]),
    shares, shares, shares, shares, shares,
)  # fmt: skip
unhealthy = st.dictionaries(st.sampled_from(NAMES), st.just("down"), max_size=4)
selected = st.lists(st.tuples(st.sampled_from(OPTIONS), shares), max_size=4, unique_by=lambda pair: pair[0])
"""What a selector says: options with scores, or nothing."""

facts_of: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"headers": st.sampled_from([{}, {"x-a": "b"}]), "metadata": st.sampled_from([{}, {"a": {"b": 1}}, {"a": 3}])}
)

bounds = st.dictionaries(
    st.integers(1, 5).map(lambda number: ("auto", f"r{number - 1}")), shares.map(lambda bound: Proof(bound)), max_size=5
)
"""Proofs of rules, by the names that `policies` gives them."""
