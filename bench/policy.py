"""What a decision and a privacy scan cost in CPU time, beside the judge: python bench/policy.py [--json]

Figures are of this machine, in microseconds of CPU; the median and the 99th percentile over single calls, of the
calmest of ten rounds, since neighbours on a machine empty each other's caches. `decide` with only the last of so many
rules matching is the whole way; one of each verb shows what carrying it out adds. `shadow` is what a policy beside it
costs, after the answer is out. The garbage collector is as a serving process has it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from classifiers.contract import AskText, Assessment
from router.app import calm_collector
from router.domain import Ask, Outcome, Usage
from router.policy.compiled import Facts, Policy, Selection
from router.policy.decide import decide
from router.policy.load import parse_policy
from router.privacy import PrivacyScanner
from router.shadowing import Shadow

CALLS, ROUNDS = 500, 10
CONDITIONS = (
    "size(ask.private) > 0 && 'x' in key.tags",
    "ask.housekeeping && complexity > 2.0",
    "ask.input_tokens > 900000 || ask.tools > 90",
    "quality['large'] > 2.0",
    "cost['small'] > 100.0 && tenant == 'nobody'",
    "hour > 24",
)
ASK = Ask(AskText("a question"), 400, 1024, 1600, 1)
ASSESSMENT = Assessment(0.6, {"small": 0.5, "large": 0.9}, 0.4, 0.5, "code", "en", "bench@1")
ASSESSMENT_OF_FOUR = Assessment(
    0.6, {"small": 0.5, "other": 0.5, "third": 0.4, "large": 0.9}, 0.4, 0.5, "code", "en", "bench@1"
)
PROSE = ("Please explain how the borrow checker of Rust works, and why a mutable borrow excludes others. " * 200)[
    :16384
]
NUMBERS = ("Between 1914 and 1918; version 3.11.4 of 2024-01-15, see 192.168.10.20 and 550e8400. " * 200)[:16384]


def policy_of(rules: int) -> Policy:
    """A policy of so many rules, of which only the last one matches."""
    lines = "".join(
        f'\n      - {{name: r{n}, when: "{CONDITIONS[n % len(CONDITIONS)]}", use: small}}' for n in range(rules - 1)
    )
    return parse_policy(
        "version: 1\nmodels:\n"
        "  small: {tier: small, model: s, base_url: 'http://s.test/v1', price: {input: 0, output: 0}}\n"
        "  large: {tier: large, model: l, base_url: 'http://l.test/v1', price: {input: 3, output: 15}}\n"
        f"default: small\nroutes:\n  auto:\n    baseline: large\n    rules:{lines}\n"
        "      - {name: last, choose: cheapest, keep_quality: 0.95}\n",
        env={},
    )


VERBS = {
    "use": "use: small, fallback: [large]",
    "choose cheapest": "choose: cheapest, among: [small, other, large], keep_quality: 0.95",
    "choose by threshold": "choose: cheapest, among: [small, other, large], keep_quality: 0.95, threshold: 0.1",
    "choose best": "choose: best, among: [small, other, large], max_cost: 0.5",
    "select": "select: {by: embedding, among: [code, staff], top: 2, combine: fuse, judge: large}",
    "cascade": "cascade: {first: small, then: large, trust: 0.6}",
    "agree": "agree: {ask: [small, other, third], then: large, trust: 0.6}",
    "fan_out": "fan_out: {ask: [large, staff], combine: fuse, judge: large}",
}
SELECTION = Selection((("code", 0.8), ("staff", 0.6)), "bench")


def policy_of_verbs(rules: int, last: str) -> Policy:
    """A policy of so many rules that takes every verb in turn; only the last, of the verb named, matches."""
    written = [
        f'\n      - {{name: r{n}, when: "{CONDITIONS[n % len(CONDITIONS)]}", {list(VERBS.values())[n % len(VERBS)]}}}'
        for n in range(rules - 1)
    ]
    model = "{{tier: {}, model: {}, base_url: 'http://s.test/v1', private: true, price: {{input: {}, output: {}}}}}"
    models = {"small": ("small", 0), "other": ("small", 0), "third": ("small", 0), "large": ("large", 3)}
    lines = "".join(f"  {name}: {model.format(tier, name, cost, cost)}\n" for name, (tier, cost) in models.items())
    return parse_policy(
        f"version: 1\nmodels:\n{lines}default: small\n"
        "retrievers: {handbook: {url: 'http://h.test/s', private: true}}\n"
        "options:\n  code: {use: large, description: Code}\n"
        "  staff: {use: small, with: handbook, description: Rules}\n"
        f"routes:\n  auto:\n    baseline: large\n    rules:{''.join(written)}\n"
        f"      - {{name: last, {VERBS[last]}}}\n",
        env={},
    )


def shadow_of(policy: Policy) -> Shadow:
    """What a policy beside another needs to decide."""
    classifier: Any = None
    return Shadow(policy, policy.cards, "auto", ASK, ASSESSMENT_OF_FOUR, Facts(), classifier, {})


def measured(call: Callable[[], object]) -> dict[str, float]:
    """Median and 99th percentile of one call, in microseconds of CPU: of the calmest of ten rounds."""
    for _ in range(200):
        call()
    return min((_round(call) for _ in range(ROUNDS)), key=lambda figures: figures["p99_us"])


def _round(call: Callable[[], object]) -> dict[str, float]:
    spent = []
    for _ in range(CALLS):
        before = time.process_time_ns()
        call()
        spent.append((time.process_time_ns() - before) / 1000)
    spent.sort()
    return {"p50_us": round(spent[CALLS // 2], 1), "p99_us": round(spent[CALLS * 99 // 100], 1)}


def main() -> None:
    """Prints the table."""
    calm_collector()
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", action="store_true")
    facts = Facts(at=datetime(2026, 1, 5, 12, tzinfo=UTC))
    rows: dict[str, dict[str, float]] = {}
    for count in (1, 5, 50):
        policy = policy_of(count)
        route = policy.routes["auto"]
        rows[f"decide, {count} rules"] = measured(lambda p=policy, r=route: decide(p, r, ASK, ASSESSMENT, facts))
    for verb in VERBS:
        policy = policy_of_verbs(50, verb)
        route, picked = policy.routes["auto"], {rule.name: SELECTION for rule in policy.routes["auto"].rules}
        rows[f"decide, 50 rules, {verb}"] = measured(
            lambda p=policy, r=route, s=picked: decide(p, r, ASK, ASSESSMENT_OF_FOUR, facts, s)
        )
    shadow, row = shadow_of(policy_of_verbs(50, "agree")), Outcome("req_bench", 0.0, "default", "none")
    row.usage, row.quality = Usage(400, output=200), ASSESSMENT_OF_FOUR.quality
    rows["shadow, 50 rules"] = measured(lambda: shadow.cast(row))
    for name, scanner in (("plain", PrivacyScanner()), ("DE + US", PrivacyScanner(("DE", "US"), "DE"))):
        for kind, text in (("prose", PROSE), ("numbers", NUMBERS)):
            for size in (1024, 16384):
                rows[f"scan, {name}, {size // 1024} KB {kind}"] = measured(
                    lambda s=scanner, t=text[:size]: s.scan((t,))
                )
    if options.parse_args().json:
        print(json.dumps(rows, indent=2))
        return
    for name, row in rows.items():
        print(f"{name:38} p50 {row['p50_us']:8.1f} us   p99 {row['p99_us']:8.1f} us")


if __name__ == "__main__":
    main()
