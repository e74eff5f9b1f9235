"""Small policies with limits, and decisions under them."""

from __future__ import annotations

from router.domain import Ask, AskText, Decision, Outcome, Usage
from router.policy.compiled import Policy
from router.policy.load import parse_policy

MODELS = """
version: 1
models:
  small:  {tier: small, model: s, base_url: "http://s.test/v1", price: {input: 0, output: 0}}
  medium: {tier: medium, model: m, base_url: "http://m.test/v1", max_output: 500, price: {input: 1, output: 2}}
  large:  {tier: large, model: l, base_url: "http://l.test/v1", price: {input: 10, output: 20}}
  odd:    {tier: odd, model: o, base_url: "http://o.test/v1"}
default: small
"""
ROUTES = """
routes:
  auto:
    baseline: large
    rules:
      - {name: saving, when: "budget.used > 0.5", use: small}
      - {name: large, use: large, fallback: [small]}
  plain: {}
"""
RETRIEVERS = """
retrievers:
  handbook: {url: "http://h.test/search", price: 0.0005}
options:
  staff: {use: medium, with: handbook, description: "Rules for staff"}
"""


def policy_of(*limits: str, routes: str = ROUTES) -> Policy:
    """A policy with these limits, each in YAML's flow style."""
    written = "limits:" + "".join(f"\n  - {limit}" for limit in limits) if limits else ""
    return parse_policy(f"{MODELS}{RETRIEVERS}{written}{routes}", "test.yaml", {})


def ask_of(input_tokens: int = 1_000, output_tokens: int = 1_000) -> Ask:
    return Ask(AskText("text"), input_tokens, output_tokens, 4 * input_tokens, 1)


def decision_of(model: str, *fallback: str) -> Decision:
    return Decision("single", model, "test", fallback)


def row_of(model: str, tokens: int, nano: int | None, purpose: str = "chat", cache: str = "bypass") -> Outcome:
    """A row as the ledger has it."""
    return Outcome(
        "req",
        0.0,
        "a",
        "one",
        purpose=purpose,  # type: ignore[arg-type]
        model=model,
        provider="openai",
        usage=Usage(uncached_input=tokens),
        cost_nano=nano,
        cache=cache,  # type: ignore[arg-type]
    )


READING = """
routes:
  auto:
    rules:
      - {name: reading, select: {by: model, model: medium, among: [staff]}}
"""
