"""Ledger rows of every kind that the dashboard must show: served, cached, failed over, refused, unpriced, estimated."""

from __future__ import annotations

import math
import random
import time
from dataclasses import replace

from router.domain import Outcome, Price, RuleTrace, Usage
from router.prices import cost_nano

SMALL = Price(0.1, 0.4)
LARGE = Price(3.0, 15.0, cache_read=0.3, cache_write=3.75)

LISTED = replace(LARGE, source="litellm 1.106.2 (installed 2026-11-02)")

PRICES = {"small": SMALL, "large": LARGE, "mystery": None}
RULES = ("private stays local", "housekeeping", "easy", "keep the promise")
TASKS = ("chat", "code", "maths", "writing", "facts")


def served(
    number: int, at_unix: float, *, model: str = "small", rule: str = "easy", complexity: float = 0.2
) -> Outcome:
    """An answered request. `number` makes its id and spreads its tokens and times."""
    usage = Usage(40 + 7 * (number % 31), 0 if model == "small" else 128 * (number % 3), 0, 60 + 11 * (number % 43))
    price = PRICES[model]
    return Outcome(
        request_id=f"req_{number:032x}",
        at_unix=at_unix,
        tenant="acme" if number % 3 else "globex",
        key="web" if number % 2 else "batch",
        route="auto",
        policy="demo@3f9a1c02b7de",
        rule=rule,
        classifier="fast@9c41d2e07a55",
        model=model,
        upstream_model=f"{model}-1",
        provider="openai" if model == "small" else "litellm",
        tier=model if model != "mystery" else "large",
        decided_model=model,
        probability=1.0,
        stream=bool(number % 2),
        status=200,
        finish_reason="stop",
        cache="miss",
        attempts=1,
        usage=usage,
        price=price,
        cost_nano=cost_nano(usage, price),
        baseline_model="large",
        baseline_nano=cost_nano(usage, LARGE),
        always_small_nano=cost_nano(usage, SMALL),
        latency_ms=(180.0 if model == "small" else 1400.0) * (1 + 0.6 * math.sin(number)),
        ttft_ms=(60.0 if model == "small" else 420.0) * (1 + 0.4 * math.sin(number)),
        overhead_ms=0.6 + 0.3 * math.cos(number),
        complexity=complexity,
        gain=complexity * 0.6,
        support=0.7,
        task=TASKS[number % len(TASKS)],
        language="en",
        eligible={"small": True, "large": True, "mystery": "the context of 4,096 tokens is too short"},
        quality={"small": 1 - complexity, "large": 0.97},
        expected_cost_usd={"small": 0.00012, "large": 0.0042, "mystery": None},
        rules=(
            RuleTrace("private stays local", False, "nothing private was found"),
            RuleTrace(rule, True, f"complexity {complexity:.2f} meets `complexity < 0.35`"),
        ),
        fallback=("large",) if model == "small" else (),
        ask={
            "input_tokens": usage.input,
            "turns": 1 + number % 4,
            "task": TASKS[number % len(TASKS)],
            "language": "en",
            "tools": number % 2,
            "json_schema": number % 5 == 0,
            "images": 0,
            "housekeeping": False,
            "private": [],
        },
    )


def cached(number: int, at_unix: float) -> Outcome:
    """An answer out of the cache: it costs nothing."""
    row = served(number, at_unix)
    row.rule, row.cache, row.cost_nano, row.attempts, row.probability = "cache", "hit", 0, 0, None
    row.latency_ms, row.ttft_ms, row.rules = 0.9, 0.8, ()
    return row


def estimated(number: int, at_unix: float) -> Outcome:
    """An answer whose upstream counted no tokens."""
    row = served(number, at_unix, model="large", rule="keep the promise", complexity=0.6)
    row.usage = Usage(120, output=80, estimated=True)
    row.cost_nano = cost_nano(row.usage, row.price)
    row.baseline_nano = row.cost_nano
    return row


def unpriced(number: int, at_unix: float) -> Outcome:
    """An answer of a model nobody knows the price of."""
    return served(number, at_unix, model="mystery", rule="keep the promise", complexity=0.8)


def failed(number: int, at_unix: float) -> Outcome:
    """A request that no model answered."""
    row = served(number, at_unix, model="large", rule="keep the promise", complexity=0.9)
    row.status, row.outcome, row.error_code, row.fault = 502, "upstream_error", "upstream_broken", "upstream"
    row.usage, row.cost_nano, row.baseline_nano, row.always_small_nano = Usage(), 0, 0, 0
    row.ttft_ms, row.finish_reason = None, None
    return row


def fell_back(number: int, at_unix: float) -> list[Outcome]:
    """A request whose first model failed, with the failed call as a row of its own."""
    row = served(number, at_unix, model="large", rule="easy")
    row.decided_model, row.attempts, row.fallback = "small", 2, ("large",)
    row.latency_ms, row.ttft_ms = row.latency_ms + 5012.4, (row.ttft_ms or 0) + 5012.4
    call = Outcome(
        f"{row.request_id}.1",
        at_unix + 0.1,
        row.tenant,
        row.key,
        purpose="attempt",
        parent_id=row.request_id,
        route="auto",
        policy=row.policy,
        rule="easy",
        model="small",
        upstream_model="small-1",
        provider="openai",
        tier="small",
        status=504,
        outcome="upstream_error",
        error_code="upstream_timeout",
        fault="upstream",
        attempts=1,
        cost_nano=0,
        baseline_nano=0,
        always_small_nano=0,
        latency_ms=5012.4,
    )
    return [row, call]


def audited(number: int, at_unix: float) -> list[Outcome]:
    """A request that the other tier answered too, and a judge's call about both; the judge's price nobody knows."""
    row = served(number, at_unix)
    usage = Usage(row.usage.input, output=240, estimated=number % 4 == 0)
    shared = {"purpose": "audit", "parent_id": row.request_id, "cache": "bypass", "ttft_ms": None}
    audit = replace(
        served(number, at_unix + 0.5, model="large"),
        request_id=f"{row.request_id}.a",
        usage=usage,
        cost_nano=cost_nano(usage, LARGE),
        **shared,  # type: ignore[arg-type]
    )
    judge = replace(
        served(number, at_unix + 2.5, model="mystery"),
        request_id=f"{row.request_id}.j",
        **shared | {"purpose": "judge"},
    )
    return [row, audit, judge]


def a_day(requests: int = 240, *, hours: float = 22.0, seed: int = 7) -> list[Outcome]:
    """A day of mixed traffic that ends now."""
    chance, now, rows = random.Random(seed), time.time(), []
    for number in range(1, requests + 1):
        at = now - hours * 3600 * (1 - (number / requests) ** 0.8) - 2
        draw = chance.random()
        if draw < 0.62:
            rows.append(served(number, at, complexity=0.05 + 0.3 * chance.random()))
        elif draw < 0.80:
            row = served(number, at, model="large", rule="keep the promise", complexity=0.5 + 0.45 * chance.random())
            rows.append(replace(row, price=LISTED) if number % 3 == 0 else row)
        elif draw < 0.92:
            rows.append(cached(number, at))
        elif draw < 0.94:
            rows.append(estimated(number, at))
        elif draw < 0.96:
            rows.append(unpriced(number, at))
        elif draw < 0.98:
            rows.append(failed(number, at))
        elif draw < 0.99:
            rows.extend(fell_back(number, at))
        else:
            rows.extend(audited(number, at))
    return rows
