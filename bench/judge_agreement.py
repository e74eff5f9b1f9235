"""How a judge model agrees with people: `python -m bench.judge_agreement [--data DIR] [--pairs N] [--json]`.

Each pair of answers is weighed twice, the other way round the second time, by the prompt and the parser that audits use
(`router/audits/weighing.py`). Without a model named, a stand-in judges: SIMULATED, it likes the longer answer and, in a
share of pairs, whatever stands first, so that the arithmetic can be seen at work. A real one is named by
SIGNALBOX_JUDGE_MODEL, with SIGNALBOX_JUDGE_URL (up to and with /v1) and SIGNALBOX_JUDGE_KEY; that costs money.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
import orjson

from classifiers.training.measures import bootstrap
from router.audits.weighing import Scores, body_for, joined, scores_in
from router.upstream.standin import Reply, StandIn

AT_A_TIME: Final = 8
TAKES_THE_FIRST: Final = 0.3
"""Share of pairs in which the stand-in likes what stands first. Invented."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers, and which one people prefer: `A`, `B` or `tie`."""

    source: str
    query: str
    a: str
    b: str
    label: str


def read_pairs(file: Path, count: int) -> list[Pair]:
    """The first pairs of a seeded shuffle of the file."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    order = np.random.default_rng(0).permutation(len(rows))[:count]
    return [
        Pair(row["source"], row["query"], row["response_a"], row["response_b"], row["label"])
        for row in (rows[index] for index in order)
    ]


async def weigh(pairs: Sequence[Pair], url: str, model: str, key: str) -> list[tuple[Scores | None, Scores | None]]:
    """(as shown, swapped) of every pair; None where the answer was no pair of scores."""
    found: list[tuple[Scores | None, Scores | None]] = [(None, None)] * len(pairs)
    waiting = list(range(len(pairs)))
    async with httpx.AsyncClient(base_url=url, timeout=120, headers={"authorization": f"Bearer {key}"}) as client:

        async def ask(query: str, first: str, second: str) -> Scores | None:
            body = {"model": model, **body_for([("user", query)], first, second, schema=False)}
            answer = await client.post("/chat/completions", json=body)
            if answer.status_code != 200:
                raise SystemExit(f"the judge answered {answer.status_code}: {answer.text[:200]}")
            return scores_in(answer.json()["choices"][0]["message"]["content"] or "")

        async def work() -> None:
            while waiting:
                number = waiting.pop()
                pair = pairs[number]
                found[number] = (await ask(pair.query, pair.a, pair.b), await ask(pair.query, pair.b, pair.a))

        await asyncio.gather(*(work() for _ in range(AT_A_TIME)))
    return found


def figures(pairs: Sequence[Pair], seen: Sequence[tuple[Scores | None, Scores | None]]) -> dict[str, Any]:
    """Agreement with people, by one order and by both; position bias; what could not be read."""
    both = [joined(*one) for one in seen]
    kept = [number for number, one in enumerate(both) if one is not None and one.askings == 2]
    people = np.array([{"A": 1, "B": -1}.get(pairs[number].label, 0) for number in kept])
    once = np.array([_side(seen[number][0]) for number in kept])
    swapped = np.array([-_side(seen[number][1]) for number in kept])
    joint = np.array([np.sign(one.first - one.second) for number in kept if (one := both[number]) is not None])
    decided = np.flatnonzero(people != 0)

    def agreement(of: Any) -> dict[str, float | None]:
        if not len(decided):
            return {"value": None, "low": None, "high": None}
        figure = bootstrap(lambda i: float((of[decided][i] == people[decided][i]).mean()), len(decided), 0)
        return {"value": figure.value, "low": figure.low, "high": figure.high}

    first = np.mean([(once == 1).mean(), (swapped == -1).mean()]) if kept else 0.0
    second = np.mean([(once == -1).mean(), (swapped == 1).mean()]) if kept else 0.0
    return {
        "pairs": len(pairs),
        "unread": len(pairs) - len(kept),
        "with_a_preference": len(decided),
        "agrees_one_order": agreement(once),
        "agrees_both_orders": agreement(joint),
        "orders_agree": float((once == swapped).mean()) if kept else None,
        "prefers_first": float(first),
        "prefers_second": float(second),
        "by_source": {
            source: float((joint[rows] == people[rows]).mean())
            for source in sorted({pairs[number].source for number in kept})
            if (rows := [at for at in decided if pairs[kept[at]].source == source])
        },
    }


def stand_in() -> StandIn:
    """A SIMULATED judge: the longer answer is better, but in some pairs the first one is."""

    def answer(question: str) -> Reply:
        material: Mapping[str, Any] = orjson.loads(question)
        a, b = len(material["A"]), len(material["B"])
        drawn = zlib.crc32("".join(sorted((material["A"], material["B"]))).encode()) / 2**32
        first = drawn < TAKES_THE_FIRST or a > b
        return Reply(orjson.dumps({"a": 8 if first else 5, "b": 5 if first else 8}).decode(), tool_calls=())

    return StandIn("simulated-judge", answer)


def _side(scores: Scores | None) -> int:
    return 0 if scores is None else (scores.a > scores.b) - (scores.a < scores.b)


async def run(pairs: Sequence[Pair]) -> dict[str, Any]:
    """By the model that the environment names, else by the stand-in."""
    model = os.environ.get("SIGNALBOX_JUDGE_MODEL")
    if model:
        url, key = os.environ["SIGNALBOX_JUDGE_URL"], os.environ.get("SIGNALBOX_JUDGE_KEY", "none")
        return {"judge": model, "simulated": False, **figures(pairs, await weigh(pairs, url, model, key))}
    async with stand_in().serve() as url:
        seen = await weigh(pairs, f"{url}/v1", "simulated-judge", "none")
    return {"judge": "stand-in", "simulated": True, **figures(pairs, seen)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SIGNALBOX_TEST_DATA", "../shared/data")))
    parser.add_argument("--pairs", type=int, default=2810)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = asyncio.run(run(read_pairs(arguments.data / "judge/pairs.jsonl.gz", arguments.pairs)))
    if arguments.json:
        print(json.dumps(found, indent=1))
        return
    print(
        f"judge: {found['judge']}{' (SIMULATED: these figures say nothing of any model)' if found['simulated'] else ''}"
    )
    for name, value in found.items():
        if name not in ("judge", "simulated"):
            print(f"{name}: {value}")


if __name__ == "__main__":
    main()
