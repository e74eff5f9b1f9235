"""CPU of one assessment: `python bench/judge.py [--json]` prints p50 and p99 in milliseconds for 12, 60 and 500 tokens.

Thread CPU time in this process, one ask at a time, each text another one, so that nothing is warm but the code.
"""

from __future__ import annotations

import json
import random
import sys
import time

from classifiers.contract import AskText, Classifier, ModelCard
from classifiers.heuristic import HeuristicClassifier
from classifiers.learned import LearnedClassifier

CARDS = (ModelCard("small", "qwen2.5:3b", "small"), ModelCard("large", "vendor/large", "large"))
TOKENS = (12, 60, 500)
ROUNDS = 3000
WORDS = (
    "please explain how the cache decides which answer to keep when two requests arrive at once and compare it with a"
    " simple queue write three short examples in python for the team of eight people that must finish before friday"
    " without losing any data because the network is slow and the price of storage rose by 15 percent last year"
).split()


def ask_of(tokens: int, source: random.Random) -> AskText:
    """About so many tokens of English: four tokens to three words."""
    words = [source.choice(WORDS) for _ in range(max(1, tokens * 3 // 4))]
    return AskText(" ".join(words).capitalize() + "?")


def milliseconds(classifier: Classifier, tokens: int) -> tuple[float, float]:
    """(p50, p99) of thread CPU."""
    source = random.Random(tokens)
    asks = [ask_of(tokens, source) for _ in range(ROUNDS)]
    for ask in asks[:50]:
        classifier.assess(ask, CARDS)
    taken = []
    for ask in asks:
        begun = time.thread_time_ns()
        classifier.assess(ask, CARDS)
        taken.append(time.thread_time_ns() - begun)
    taken.sort()
    return taken[len(taken) // 2] / 1e6, taken[len(taken) * 99 // 100] / 1e6


def main() -> None:
    rows = []
    for classifier in (LearnedClassifier.load(), HeuristicClassifier()):
        for tokens in TOKENS:
            p50, p99 = milliseconds(classifier, tokens)
            rows.append({"classifier": classifier.name, "tokens": tokens, "p50_ms": p50, "p99_ms": p99})
    if "--json" in sys.argv:
        print(json.dumps(rows))
        return
    for row in rows:
        print(
            f"{row['classifier']:20} {row['tokens']:4} tokens  p50 {row['p50_ms']:.3f} ms  p99 {row['p99_ms']:.3f} ms"
        )


if __name__ == "__main__":
    main()
