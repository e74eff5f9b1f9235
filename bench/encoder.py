"""The encoder tier: `python bench/encoder.py [--json] [--threads N]` prints milliseconds per ask, alone and 16 at once.

Run where the encoder is installed (`make encoder`). Texts are made up (see `bench/judge.py`), every one another one.
Alone: one text after the other, wall and CPU of the whole process. Sixteen at once: as many callers in a closed loop on
one event loop, each asking again when answered, through the batcher as the gateway has it and through one that takes
one text at a time; nobody gives up. In time: the share answered within the budget's default when callers do give up.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from judge import ask_of

from classifiers.batching import MOST, Batcher
from classifiers.encoder import SentenceEncoder, default_threads, load_encoder, multiplies_bfloat16
from router.aside import BATCH_SHARE, HEAVIEST_TOKENS
from router.settings import Settings

TOKENS = (12, 60, 256)
ROUNDS = 60
CALLERS = 16
SECONDS = 4.0
BUDGET_SECONDS = Settings.model_fields["encoder_budget_ms"].default / 1000

Row = dict[str, Any]


def texts(tokens: int, count: int, seed: int) -> list[str]:
    source = random.Random(seed)
    return [ask_of(tokens, source).text for _ in range(count)]


def alone(encoder: SentenceEncoder, tokens: int) -> Row:
    wall, cpu = [], []
    for text in texts(tokens, ROUNDS, 1):
        begun, spent = time.perf_counter(), time.process_time()
        encoder.embed([text])
        wall.append(time.perf_counter() - begun)
        cpu.append(time.process_time() - spent)
    return {"how": "alone", "tokens": tokens, **_shares(wall), "cpu_ms": _ms(np.median(cpu))}


async def together(encoder: SentenceEncoder, tokens: int, most: int, budget: float | None = None) -> Row:
    """CALLERS in a closed loop for SECONDS. most: texts in a batch."""
    sizes: list[int] = []

    def run(batch: Sequence[str]) -> Sequence[Any]:
        sizes.append(len(batch))
        return list(encoder.embed(batch))

    batcher: Batcher[str, Any] = Batcher(
        run,
        weigh=lambda text: min(len(text) / 4, 126) + 2,
        heaviest=HEAVIEST_TOKENS,
        most=most,
        seconds=budget * BATCH_SHARE if budget else math.inf,
    )
    supply = iter(texts(tokens, 20_000, 2))
    taken: list[float] = []
    late = 0
    end = time.perf_counter() + SECONDS

    async def caller() -> None:
        nonlocal late
        while (begun := time.perf_counter()) < end:
            try:
                async with asyncio.timeout(budget):
                    await asyncio.wrap_future(batcher.submit(next(supply)))
                taken.append(time.perf_counter() - begun)
            except TimeoutError:
                late += 1

    begun, spent = time.perf_counter(), time.process_time()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    wall, cpu = time.perf_counter() - begun, time.process_time() - spent
    batcher.close()
    answered = len(taken) or 1
    return {
        "how": "16 at once" + (", one by one" if most == 1 else ", batched") + (", in time" if budget else ""),
        "tokens": tokens,
        **_shares(taken or [float("nan")]),
        "cpu_ms": _ms(cpu / answered),
        "per_second": round(len(taken) / wall, 1),
        "batch": round(float(np.mean(sizes)), 1),
        "in_time": round(len(taken) / (len(taken) + late), 3),
    }


def _shares(seconds: Sequence[float]) -> Row:
    p50, p99 = np.percentile(seconds, (50, 99))
    return {"p50_ms": _ms(p50), "p99_ms": _ms(p99)}


def _ms(seconds: Any) -> float:
    return round(float(seconds) * 1000, 1)


async def measured(encoder: SentenceEncoder) -> list[Row]:
    rows = [alone(encoder, tokens) for tokens in TOKENS]
    for tokens in TOKENS:
        single = await together(encoder, tokens, 1)
        batched = await together(encoder, tokens, MOST)
        batched["gain"] = round(batched["per_second"] / single["per_second"], 2)
        rows += [single, batched]
        rows += [await together(encoder, tokens, most, BUDGET_SECONDS) for most in (1, MOST)]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Milliseconds per ask of the encoder tier.")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--threads", type=int, default=default_threads())
    given = parser.parse_args()
    sys.path.remove(str(Path(__file__).parent))  # where profile.py would pass for the standard library's, in torch
    load = os.getloadavg()[0]
    encoder = load_encoder(threads=given.threads)
    rows = asyncio.run(measured(encoder))
    about = {
        "threads": given.threads,
        "cpus": os.cpu_count(),
        "bfloat16": multiplies_bfloat16(),
        "load_before": round(load, 1),
    }
    if given.json:
        print(json.dumps({**about, "rows": rows}))
        return
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    for row in rows:
        print(
            f"{row['tokens']:4} tokens  {row['how']:28} p50 {row['p50_ms']:7.1f} ms  p99 {row['p99_ms']:7.1f} ms"
            f"  CPU {row['cpu_ms']:6.1f} ms"
            + (f"  {row['per_second']:6.1f} a second in batches of {row['batch']}" if "batch" in row else "")
            + (f", {row['gain']} times one by one" if "gain" in row else "")
            + (f", {row['in_time']:.0%} in time" if "in time" in row["how"] else "")
        )


if __name__ == "__main__":
    main()
