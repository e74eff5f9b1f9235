"""What it costs to look whether a `max_risk` is proven, and how often it is said to be where it is not.

    python bench/risk.py [--pairs 5000] [--histories 200]

Looks: wall and CPU of one look at a SQLite ledger of so many audited pairs, as a gateway takes one a minute. False
proofs: SIMULATED losses (0.5 or nothing) whose mean is `max_risk`, or half as much again, in a window of the newest
5,000 pairs that slides by 250 at each look; in how many histories of 15,000 pairs any look called it proven.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

import numpy as np

from classifiers.training.risk import lost
from router.domain import Outcome, RuleTrace, Usage
from router.learning.proving import MOST_PAIRS, Judging, proofs_of
from router.ledger.store import SqlStore
from router.ledger.tables import labels
from router.policy.compiled import Policy
from router.policy.load import parse_policy

POLICY = """
version: 1
models:
  small: {tier: small, model: s, base_url: "http://s.test/v1", price: {input: 0.1, output: 0.2}}
  large: {tier: large, model: l, base_url: "http://l.test/v1", price: {input: 3, output: 15}}
  third: {tier: large, model: t, base_url: "http://t.test/v1", price: {input: 1, output: 4}}
default: small
routes:
  auto:
    baseline: large
    audit: {rate: 0.1, judge: third}
    rules:
      - {name: promise, choose: cheapest, among: [small, large], keep_quality: 0.9, max_risk: 0.02}
"""
STEP, HISTORY = 250, 15_000


async def fill(store: SqlStore, policy: Policy, pairs: int) -> None:
    """A ledger of audited requests, their features and both labels."""
    rng, now = np.random.default_rng(0), time.time()
    rows: list[Outcome] = []
    scores = []
    for number in range(pairs):
        request_id, small = f"req_{number:032x}", float(rng.uniform(0.3, 1.0))
        shared = {"at_unix": now - 10 * pairs + 10 * number, "tenant": "t", "key": "k", "route": "auto", "status": 200}
        judged = {"complexity": 1 - small, "gain": 0.1, "support": 0.5, "task": "chat", "language": "en"}
        quality = {"small": small, "large": 0.9, "third": 0.9}
        decided = {"policy": policy.label, "rule": "promise", "classifier": "fast@1", "model": "large"}
        traces = (RuleTrace("promise", True, "always"),)
        features = {"features": rng.normal(size=300).astype(np.float32), "features_digest": "f"}
        able = dict.fromkeys(quality, True)
        more = {**shared, **judged, **decided, **features}
        rows.append(Outcome(request_id, quality=quality, eligible=able, rules=traces, usage=Usage(100), **more))
        rows.append(Outcome(f"{request_id}.audit", purpose="audit", parent_id=request_id, model="small", **shared))
        for name, score in ((request_id, 0.8), (f"{request_id}.audit", float(rng.choice([0.7, 0.8, 0.9])))):
            scores.append(
                {"request_id": name, "key": "audit", "source": "judge", "tenant": "t", "score": score, "weight": 1.0,
                 "at_unix": now}
            )  # fmt: skip
    for begin in range(0, len(rows), 1000):
        await store.write(rows[begin : begin + 1000])
    async with store.transaction() as connection:
        await connection.execute(labels.insert(), scores)


async def look(pairs: int) -> None:
    policy = parse_policy(POLICY, "bench.yaml", {})
    with tempfile.TemporaryDirectory() as folder:
        store = SqlStore(f"sqlite:///{Path(folder) / 'ledger.db'}")
        await store.open()
        await fill(store, policy, pairs)
        for _ in range(3):
            wall, cpu = time.perf_counter(), time.process_time()
            found = await proofs_of(store, policy, Judging("fast@1", None), time.time(), since_unix=0.0)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            proof = found["auto", "promise"]
            print(f"{proof.pairs} pairs, bound {proof.bound:.4f}: {wall:.2f} s, {cpu:.2f} s of CPU")
        await store.aclose()


def false_proofs(histories: int) -> None:
    rng = np.random.default_rng(1)
    for max_risk in (0.02, 0.05):
        for much in (1.0, 1.5):
            wrong = 0
            for _ in range(histories):
                harmed = rng.random(HISTORY) < max_risk * much / 0.5
                losses = np.where(harmed, 0.5, 0.0)
                ends = range(STEP, HISTORY + 1, STEP)
                wrong += any(lost(losses[max(0, end - MOST_PAIRS) : end]) < max_risk for end in ends)
            print(f"true loss {max_risk * much:.3f}, max_risk {max_risk}: {wrong} of {histories} histories proven once")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=MOST_PAIRS)
    parser.add_argument("--histories", type=int, default=200)
    given = parser.parse_args()
    asyncio.run(look(given.pairs))
    false_proofs(given.histories)
