"""What a decision and a privacy scan cost in CPU time, beside the judge: python bench/policy.py [--json]

Figures are of this machine, in microseconds of CPU; the median and the 99th percentile over single calls.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime

from classifiers.contract import AskText, Assessment
from router.domain import Ask
from router.policy.compiled import Facts, Policy
from router.policy.decide import decide
from router.policy.load import parse_policy
from router.privacy import PrivacyScanner

CALLS = 2000
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


def measured(call: Callable[[], object]) -> dict[str, float]:
    """Median and 99th percentile of one call, in microseconds of CPU."""
    for _ in range(200):
        call()
    spent = []
    for _ in range(CALLS):
        before = time.process_time_ns()
        call()
        spent.append((time.process_time_ns() - before) / 1000)
    spent.sort()
    return {"p50_us": round(spent[CALLS // 2], 1), "p99_us": round(spent[CALLS * 99 // 100], 1)}


def main() -> None:
    """Prints the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", action="store_true")
    facts = Facts(at=datetime(2026, 1, 5, 12, tzinfo=UTC))
    rows: dict[str, dict[str, float]] = {}
    for count in (1, 5, 50):
        policy = policy_of(count)
        route = policy.routes["auto"]
        rows[f"decide, {count} rules"] = measured(lambda p=policy, r=route: decide(p, r, ASK, ASSESSMENT, facts))
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
        print(f"{name:32} p50 {row['p50_us']:8.1f} us   p99 {row['p99_us']:8.1f} us")


if __name__ == "__main__":
    main()
