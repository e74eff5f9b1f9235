"""Whether a cap in dollars holds over two processes on one Redis, and what limits cost: python bench/limits.py [--json]

The cap: 64 callers in a closed loop on two gateways, real Redis, one stand-in model whose answers cost ten cents at
most, until nothing is left of ten dollars. Once every caller asks for no more tokens than the model writes at most;
once they ask for no budget, and the model writes up to twice the 1024 tokens assumed. Spent is what both ledgers say,
and what the stand-in billed. The cost: CPU of a gateway's process tree per chat with 16 callers, rounds interleaved;
quote ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sqlite3
import statistics
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp
from served import KEY, Process, environment, folder, free_port, load, process, redis, signalbox, stand_in, wait_for

from router.domain import Price
from router.upstream.standin import Reply, StandIn

CAP_USD, CALLERS, BUDGET_TOKENS, ASSUMED_TOKENS = 10.0, 64, 100, 1024
PRICES = {"with a budget of tokens": 1000.0, "without one": 50.0}
"""Dollars per million output tokens: the longest answer costs about ten cents either way."""

CAPPED = """
version: 1
models:
  large: {{tier: large, model: m, base_url: "{url}/v1", retries: 0, price: {{input: 0, output: {price}}}}}
default: large
limits:
  - {{name: cap, per: all, dollars_per_day: {cap}}}
routes:
  auto: {{}}
"""

PLAIN = """
version: 1
models:
  small: {{tier: small, model: s, base_url: "{url}/v1", price: {{input: 0.1, output: 0.2}}}}
  large: {{tier: large, model: l, base_url: "{url}/v1", price: {{input: 2.5, output: 10}}}}
default: small
{limits}routes:
  auto:
    baseline: large
    rules:
      - {{name: easy, when: "complexity < 0.35", use: small, fallback: [large]}}
      - {{name: hard, {when}use: large, fallback: [small]}}
"""
LIMITS = """limits:
  - {name: pace, per: key, requests_per_minute: 100000000, tokens_per_minute: 100000000000}
  - {name: month, per: tenant, dollars_per_day: 1000000, dollars_per_month: 1000000}
"""


# --- the cap ----------------------------------------------------------------------------------------------------------


class InFlight:
    """How many chats are under way, and the most that ever were."""

    def __init__(self) -> None:
        self.now = self.most = self.answered = self.refused = 0


async def ask_until_spent(
    session: aiohttp.ClientSession, url: str, name: str, budget: int | None, seen: InFlight
) -> None:
    """Asks until nothing is left, and not only until what is left may go to others."""
    for number in range(1_000_000):
        body: dict[str, Any] = {"model": "auto", "messages": [{"role": "user", "content": f"{name} {number}"}]}
        if budget is not None:
            body["max_tokens"] = budget
        seen.now += 1
        seen.most = max(seen.most, seen.now)
        try:
            async with session.post(url, json=body) as answer:
                told = await answer.json()
        finally:
            seen.now -= 1
        if answer.status == 200:
            seen.answered += 1
            continue
        assert told["error"]["code"] == "insufficient_quota", told
        seen.refused += 1
        if "until 00:00 UTC" in told["error"]["message"]:
            return
        await asyncio.sleep(0.02)


async def cap(home: Path, redis_url: str, kind: str) -> dict[str, Any]:
    """One run to the end of the cap."""
    budget = BUDGET_TOKENS if kind == "with a budget of tokens" else None
    longest = BUDGET_TOKENS if budget is not None else 2 * ASSUMED_TOKENS
    chance, price = random.Random(1), PRICES[kind]
    model = StandIn(
        "m",
        lambda _: Reply("words", latency_seconds=chance.uniform(0.05, 0.3), output_tokens=chance.randint(1, longest)),
        price=Price(0, price),
    )
    seen = InFlight()
    async with model.serve() as upstream:
        with ExitStack() as parts:
            urls, ledgers = [], []
            for number in range(2):
                place, port = home / f"{kind} {number}", free_port()
                env = environment(place, SIGNALBOX_REDIS_URL=redis_url, SIGNALBOX_LOG_LEVEL="warning")
                policy = place / "policy.yaml"
                policy.write_text(CAPPED.format(url=upstream, price=price, cap=CAP_USD))
                server = parts.enter_context(process(signalbox(policy, port), env=env))
                await asyncio.to_thread(wait_for, f"http://127.0.0.1:{port}/readyz", server)
                urls.append(f"http://127.0.0.1:{port}/v1/chat/completions")
                ledgers.append(place / "signalbox.sqlite3")
            began = time.perf_counter()
            connector = aiohttp.TCPConnector(limit=0)
            async with aiohttp.ClientSession(
                headers={"authorization": f"Bearer {KEY}"}, connector=connector
            ) as session:
                await asyncio.gather(
                    *(
                        ask_until_spent(session, urls[number % 2], f"caller {number}", budget, seen)
                        for number in range(CALLERS)
                    )
                )
            seconds = time.perf_counter() - began
        spent = sum(_spent_usd(ledger) for ledger in ledgers)
    return {
        "cap_usd": CAP_USD,
        "spent_usd_ledgers": round(spent, 6),
        "spent_usd_stand_in": round(sum(entry.cost_usd for entry in model.journal), 6),
        "answered": seen.answered,
        "refused": seen.refused,
        "most_in_flight": seen.most,
        "dearest_answer_usd": round(longest * price / 1e6, 6),
        "reserved_for_each_usd": round((budget or ASSUMED_TOKENS) * price / 1e6, 6),
        "seconds": round(seconds, 1),
    }


def _spent_usd(ledger: Path) -> float:
    """Of a gateway that has stopped, so that all its rows are written."""
    with sqlite3.connect(ledger) as database:
        return float(database.execute("select coalesce(sum(cost_nano), 0) from outcomes").fetchone()[0]) / 1e9


# --- the cost ---------------------------------------------------------------------------------------------------------


def cost(home: Path, redis_url: str, rounds: int, seconds: float) -> dict[str, Any]:
    """CPU milliseconds per chat of each kind of gateway: every round, and the ratio of medians to `no limits`."""
    kinds: dict[str, tuple[str, str, dict[str, str]]] = {
        "no limits": ("", "", {}),
        "two limits, in the process": (LIMITS, "", {}),
        "two limits, on Redis": (LIMITS, "", {"SIGNALBOX_REDIS_URL": redis_url}),
        "and budget.used in a rule": (LIMITS, 'when: "budget.used < 2.0", ', {"SIGNALBOX_REDIS_URL": redis_url}),
    }
    figures: dict[str, list[float]] = {name: [] for name in kinds}
    with stand_in() as upstream, ExitStack() as parts:
        servers: dict[str, tuple[str, Process]] = {}
        for number, (name, (limits, when, more)) in enumerate(kinds.items()):
            place, port = home / f"cost {number}", free_port()
            env = environment(place, SIGNALBOX_LOG_LEVEL="warning", **more)
            policy = place / "policy.yaml"
            policy.write_text(PLAIN.format(url=upstream, limits=limits, when=when))
            server = parts.enter_context(process(signalbox(policy, port), env=env))
            wait_for(f"http://127.0.0.1:{port}/readyz", server)
            servers[name] = f"http://127.0.0.1:{port}/v1/chat/completions", server
            load(servers[name][0], seconds=1)
        for _ in range(rounds):
            for name, (url, server) in servers.items():
                before = server.cpu_seconds()
                run = load(url, seconds=seconds)
                assert not run["bad"], f"{name}: {run}"
                figures[name].append((server.cpu_seconds() - before) * 1000 / run["n"])
    base = statistics.median(figures["no limits"])
    return {
        name: {
            "cpu_ms": [round(value, 4) for value in values],
            "median_ms": round(statistics.median(values), 4),
            "ratio": round(statistics.median(values) / base, 3),
        }
        for name, values in figures.items()
    }


def main() -> None:
    """Runs what was asked for and prints it."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--json", action="store_true")
    options.add_argument("--only", choices=("cap", "cost"))
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=float, default=2.0)
    args = options.parse_args()
    told: dict[str, Any] = {}
    with redis() as redis_url, folder() as home:
        if redis_url is None:
            sys.exit("there is no redis-server on this machine")
        if args.only != "cost":
            for number, kind in enumerate(PRICES):
                told[f"cap, {kind}"] = asyncio.run(cap(home, f"{redis_url[:-1]}{number}", kind))
        if args.only != "cap":
            told["cost"] = cost(home, f"{redis_url[:-1]}{len(PRICES)}", args.rounds, args.seconds)
    if args.json:
        print(json.dumps(told, indent=2))
        return
    for name, figures in told.items():
        print(name)
        for key, value in figures.items():
            print(f"  {key:32} {value}")


if __name__ == "__main__":
    main()
