"""Small honest policies, asks and assessments for the tests of this folder."""

from __future__ import annotations

from collections.abc import Mapping

from classifiers.contract import AskText, Assessment
from router.domain import Ask
from router.policy.compiled import Policy
from router.policy.load import parse_policy

ENV: Mapping[str, str] = {
    "ANTHROPIC_API_KEY": "sekret-anthropic",
    "OPENAI_API_KEY": "sekret-openai",
    "SIGNALBOX_DEMO_SMALL_URL": "http://127.0.0.1:9001/v1",
    "SIGNALBOX_DEMO_LARGE_URL": "http://127.0.0.1:9002",
}

MODELS = """
version: 1
models:
  small:  {tier: small, model: s, base_url: "http://s.test/v1", context: 8000, max_output: 4000, private: true,
           supports: [tools], price: {input: 0, output: 0}}
  medium: {tier: medium, model: m, base_url: "http://m.test/v1", context: 64000, price: {input: 1, output: 2}}
  large:  {tier: large, model: l, base_url: "http://l.test/v1", api_key: "sekret", context: 200000,
           supports: [tools, json_schema, images], price: {input: 3, output: 15}}
  odd:    {tier: odd, model: o, base_url: "http://o.test/v1"}
default: small
"""

RULES = """
      - {name: private, when: "size(ask.private) > 0", use: small, fallback: []}
      - {name: easy, when: "complexity < 0.35", use: small, fallback: [large]}
      - {name: promise, choose: cheapest, among: [small, medium, large], keep_quality: 0.9}
"""


def policy_of(rules: str = RULES, route: str = "baseline: large", models: str = MODELS, **env: str) -> Policy:
    """A policy with one route `auto`, of these rules (block style, six spaces in)."""
    written = (
        f"{models}routes:\n  auto:\n    {route}\n    rules:{rules}" if rules else f"{models}routes: {{auto: {{}}}}\n"
    )
    return parse_policy(written, "test.yaml", env)


def ask_of(
    *,
    input_tokens: int = 100,
    output_tokens: int = 1000,
    tools: int = 0,
    json_schema: bool = False,
    images: int = 0,
    housekeeping: bool = False,
    private: tuple[str, ...] = (),
    output_assumed: bool = False,
) -> Ask:
    """An ask of these needs."""
    return Ask(
        AskText("text"),
        input_tokens,
        output_tokens,
        chars=input_tokens * 4,
        turns=1,
        tools=tools,
        json_schema=json_schema,
        images=images,
        housekeeping=housekeeping,
        private=private,
        output_assumed=output_assumed,
    )


def judged(complexity: float = 0.5, *, task: str = "code", **quality: float) -> Assessment:
    """An assessment; qualities not given fall with the complexity, more steeply for smaller models."""
    shares = {
        "small": 1 - complexity,
        "medium": 1 - complexity / 2,
        "large": 1 - complexity / 5,
        "odd": 0.5,
        **quality,
    }
    return Assessment(complexity, shares, shares["large"] - shares["small"], 0.5, task, "en", "test@1")
