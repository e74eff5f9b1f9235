"""CPU of one assessment: `python bench/judge.py [--json]` prints p50 and p99 in milliseconds, whole and by part.

Thread CPU time in this process, one ask at a time, sizes in random order, every ask another one, so that nothing is
warm but the code. The whole is the least of PASSES over the same asks, each by a judge just loaded: what else runs on a
machine weighs on one ask in a hundred, and that is where p99 looks. Asks are made up: prose with numbers and quotes,
some with lists, links or code, some Russian or Chinese. Parts are timed in a second pass over further asks, so that the
clock does not weigh on the whole.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from classifiers import features, reading
from classifiers.contract import AskText, ModelCard
from classifiers.heuristic import HeuristicClassifier
from classifiers.learned import LearnedClassifier

CARDS = (ModelCard("small", "qwen2.5:3b", "small"), ModelCard("large", "vendor/large", "large"))
TOKENS = (20, 60, 250, 1000)
ROUNDS = 2000
PASSES = 5
WARM_UP = 50
ENGLISH = (
    "please explain how the cache decides which answer to keep when two requests arrive at once and compare it with a"
    " simple queue write three short examples in python for the team of eight people that must finish before friday"
    " without losing any data because the network is slow and the price of storage rose by 15 percent last year our"
    " landlord says that nothing can be repaired until she has seen both invoices Tokyo isn't 3.5 (roughly) 1,200"
).split()
RUSSIAN = (
    "объясни как кэш решает какой ответ оставить когда два запроса приходят сразу и сравни с простой очередью напиши"
    " три коротких примера для команды из 8 человек которая должна закончить до пятницы"
).split()
CHINESE = "请解释缓存怎样决定保留哪个答案，并与简单的队列比较。写三个简短的例子，今天天气很好，证明这个定理。"
LINES = (
    "\n- {}",
    "\n2. {}",
    "\n\n{}:",
    "\n```python\ndef {}(x):\n    return x == 3\n```\n",
    " https://example.com/{}?a=1 ",
    ' "{}" ',
)

Key = tuple[str, int, str]
T = TypeVar("T")


def ask_of(tokens: int, source: random.Random) -> AskText:
    """About so many tokens: four to three words of English, two to a word of Russian, one to a Chinese character."""
    kind = source.random()
    if kind < 0.05:
        return AskText("".join(source.choice(CHINESE) for _ in range(tokens)))
    if kind < 0.1:
        return AskText(" ".join(source.choice(RUSSIAN) for _ in range(tokens // 2)).capitalize() + "?")
    words = [source.choice(ENGLISH) for _ in range(tokens * 3 // 4)]
    for end in range(9, len(words), 12):
        words[end] += source.choice((".", ",", "?", ";"))
    if kind < 0.4:
        for place in range(0, len(words), 40):
            words[place] = source.choice(LINES).format(words[place])
    return AskText(" ".join(words).capitalize() + source.choice("?.!"))


def whole(taken: dict[Key, list[int]]) -> None:
    """Thread CPU in nanoseconds of `assess`, the least of PASSES."""
    source = random.Random(1)
    asks = [(tokens, ask_of(tokens, source)) for tokens in TOKENS for _ in range(ROUNDS)]
    source.shuffle(asks)
    for load in (LearnedClassifier.load, HeuristicClassifier):
        least = np.full(len(asks), np.iinfo(np.int64).max)
        for _ in range(PASSES):
            classifier = load()
            for place, (_, ask) in enumerate(asks):
                begun = time.thread_time_ns()
                classifier.assess(ask, CARDS)
                least[place] = min(least[place], time.thread_time_ns() - begun)
        for (tokens, _), spent in list(zip(asks, least.tolist(), strict=True))[WARM_UP:]:
            taken[classifier.name, tokens, "assess"].append(spent)


def parts(taken: dict[Key, list[int]]) -> None:
    """The same for what the learned judge does one after the other."""
    learned, source = LearnedClassifier.load(), random.Random(2)
    featurise = learned.artefact.featurise
    vectors, grams = featurise.vectors, featurise.grams
    assert vectors is not None and grams is not None, "the artefact that ships has both tables"
    for _ in range(ROUNDS):
        for tokens in source.sample(TOKENS, len(TOKENS)):
            ask = ask_of(tokens, source)

            def timed(part: str, step: Callable[[], T], tokens: int = tokens) -> T:
                begun = time.thread_time_ns()
                made = step()
                taken[learned.name, tokens, part].append(time.thread_time_ns() - begun)
                return made

            vector = np.empty(featurise.size, np.float32)
            read = timed("  read: signs and words", lambda ask=ask: reading.read(ask))
            found = timed("  look the words up", lambda read=read: featurise.index.find(read))
            rows, out, said = (
                found.rows,
                vector[features.HAND : featurise.before_grams],
                vector[featurise.before_grams :],
            )
            timed("  word vectors", lambda rows=rows, out=out: vectors.mean_into(rows, out))
            timed("  opinions of words", lambda found=found, said=said: grams.opinions_into(found.grams, said))
            timed(
                "  hand-made columns",
                lambda read=read, ask=ask, found=found, vector=vector: features.hand_into(read, ask, found, vector),
            )
            timed("  heads", lambda vector=vector: learned.assess_features(vector, CARDS))


def main() -> None:
    taken: dict[Key, list[int]] = defaultdict(list)
    whole(taken)
    parts(taken)
    rows = []
    for (classifier, tokens, part), spent in taken.items():
        p50, p99 = (float(share) / 1e6 for share in np.percentile(spent, (50, 99)))
        rows.append({"classifier": classifier, "tokens": tokens, "part": part.strip(), "p50_ms": p50, "p99_ms": p99})
    rows.sort(key=lambda row: (row["classifier"], row["tokens"]))
    if "--json" in sys.argv:
        print(json.dumps(rows))
        return
    for row in rows:
        print(
            f"{row['classifier']:20} {row['tokens']:4} tokens  {row['part']:22}"
            f"  p50 {row['p50_ms']:.3f} ms  p99 {row['p99_ms']:.3f} ms"
        )


if __name__ == "__main__":
    main()
