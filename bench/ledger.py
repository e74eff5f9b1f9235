"""What the ledger costs: CPU on the request path, CPU behind it, and rows a second, on SQLite and on PostgreSQL.

    python bench/ledger.py [--database-url postgresql://USER@HOST/EMPTY] [--rows 20000]

SQLite lies in a temporary folder. Without a URL PostgreSQL is left out. CPU is this process's own, not PostgreSQL's.
Outcomes are made up, of the shape of a real chat: 316 features, five rules, no text.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

import numpy as np
import uvloop

from router.domain import Outcome, Price, RuleTrace, Usage
from router.ledger import reports
from router.ledger.recorder import Recorder
from router.ledger.rows import features_row, outcome_row
from router.ledger.store import SqlStore
from router.ledger.window import read_window

FEATURES = np.random.default_rng(0).normal(size=316).astype(np.float32)
RULES = tuple(RuleTrace(f"rule {number}", number == 4, "complexity 0.41 is not below 0.35") for number in range(5))


def outcome(number: int) -> Outcome:
    """One answered chat."""
    return Outcome(
        f"req_{number:032x}",
        time.time(),
        "default",
        "web",
        caller_request_id="0193c1f2-a7b0-c5a1",
        conversation="fp_0123456789abcdef01234567",
        route="auto",
        policy="default@3f9a1c02b7de",
        rule="easy",
        classifier="fast@9c41d2e07a55",
        model="small",
        upstream_model="qwen2.5:3b",
        provider="openai",
        tier="small",
        decided_model="small",
        probability=1.0,
        stream=True,
        status=200,
        finish_reason="stop",
        cache="miss",
        attempts=1,
        usage=Usage(312, 0, 0, 180),
        price=Price(0.1, 0.4),
        cost_nano=103_200,
        baseline_model="large",
        baseline_nano=3_636_000,
        always_small_nano=103_200,
        latency_ms=812.4,
        ttft_ms=95.1,
        overhead_ms=0.6,
        complexity=0.21,
        gain=0.1,
        support=0.8,
        task="chat",
        language="en",
        eligible={"small": True, "large": True},
        quality={"small": 0.79, "large": 0.89},
        expected_cost_usd={"small": 0.0001, "large": 0.0036},
        rules=RULES,
        fallback=("large",),
        ask={"input_tokens": 312, "turns": 3, "task": "chat", "language": "en", "tools": 0, "private": []},
        features=FEATURES,
        features_digest="features-1",
    )


async def record_us(rows: list[Outcome]) -> float:
    """Microseconds of CPU that `record` costs the request."""
    recorder = Recorder(SqlStore("sqlite:///unused"), capacity=len(rows) + 1)
    began = time.process_time()
    for row in rows:
        recorder.record(row)
    return (time.process_time() - began) / len(rows) * 1e6


def row_us(rows: list[Outcome]) -> float:
    """Microseconds of CPU to turn an outcome into rows."""
    began = time.process_time()
    for row in rows:
        outcome_row(row)
        features_row(row)
    return (time.process_time() - began) / len(rows) * 1e6


async def store_figures(url: str, rows: list[Outcome]) -> None:
    """Rows a second and CPU a row through the recorder; then how long reports take over what was written."""
    store = SqlStore(url)
    await store.open()
    recorder = Recorder(store, capacity=len(rows) + 1)
    for row in rows:
        recorder.record(row)
    gaps: list[float] = []
    listening = asyncio.create_task(_listen(gaps))
    began, cpu = time.perf_counter(), time.process_time()
    await recorder.flush()
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    listening.cancel()
    assert recorder.written == len(rows), recorder.dropped
    print(f"  write     {len(rows) / seconds:10,.0f} rows/s   {cpu / len(rows) * 1e6:6.1f} us CPU a row")
    print(f"  event loop held up while writing: p99 {np.percentile(gaps, 99):.1f} ms, most {max(gaps):.1f} ms")
    window = read_window("24h")
    for name, report in {
        "costs by model": lambda: reports.costs(store, window, "model"),
        "summary": lambda: reports.summary(store, window),
        "50 requests": lambda: reports.requests(store, window),
        "one request": lambda: reports.request(store, rows[0].request_id),
    }.items():
        began = time.perf_counter()
        await report()
        print(f"  {name:14} {(time.perf_counter() - began) * 1000:8.1f} ms over {len(rows):,} rows")
    await store.aclose()


async def _listen(gaps: list[float]) -> None:
    """How late a request would be served: by how much a sleep of a millisecond takes longer than that."""
    while True:
        began = time.perf_counter()
        await asyncio.sleep(0.001)
        gaps.append((time.perf_counter() - began) * 1000 - 1)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database-url", help="an empty PostgreSQL database")
    parser.add_argument("--rows", type=int, default=20_000)
    options = parser.parse_args()
    rows = [outcome(number) for number in range(options.rows)]
    print(f"record    {await record_us(rows):6.2f} us CPU a call, on the request's way")
    print(f"rows      {row_us(rows):6.1f} us CPU an outcome, behind it")
    with tempfile.TemporaryDirectory() as folder:
        print("SQLite")
        await store_figures(f"sqlite:///{Path(folder) / 'ledger.sqlite3'}", rows)
    if options.database_url:
        print("PostgreSQL")
        await store_figures(options.database_url, rows)


if __name__ == "__main__":
    uvloop.run(main())
