"""How good the judge is: `python -m bench.routing_quality [--data DIR] [--only PART ...] [--show]`.

Measures every part, keeps the raw figures in bench/results/routing_quality.json and writes docs/routing-quality.md from
them; `--only` measures some parts again and keeps the others, `--show` measures nothing and prints the page. No model
is called: outcomes come from the files in DIR (default SIGNALBOX_TEST_DATA), chat prompts from tests/data. The
published test sets (routellm_*) are to be looked at seldom, so every look is counted in the raw figures.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench import judge as judge_bench
from bench import quality_page
from bench.quality_chat import chat, prompts
from bench.quality_retraining import own_traffic
from classifiers.artefact import DEFAULT_FOLDER
from classifiers.contract import AskText
from classifiers.learned import LearnedClassifier
from classifiers.tiers import load_classifier
from classifiers.training import robustness
from classifiers.training.dataset import OutcomeRow, read_outcomes
from classifiers.training.evaluate import Lessons, evaluate
from classifiers.training.judging import cpu_milliseconds
from router.ask import user_text

ROOT: Final = Path(__file__).resolve().parent.parent
RAW: Final = ROOT / "bench/results/routing_quality.json"
PAGE: Final = ROOT / "docs/routing-quality.md"
PLOTS: Final = ROOT / "docs/images"
SEED: Final = 0

MIXTRAL, GPT4 = "mistralai/Mixtral-8x7B-Instruct-v0.1", "gpt-4-1106-preview"
PAIRS: Final[Mapping[str, tuple[str, str]]] = {
    "routellm_mmlu": (MIXTRAL, GPT4),
    "routellm_gsm8k": (MIXTRAL, GPT4),
    "routellm_mtbench": (MIXTRAL, GPT4),
    "mmlu_pro": ("Meta-Llama-3_1-8B-Instruct", "gemini-1.5-pro-002"),
    "mixed_tasks": ("mistral-7b-instruct-v0.3", "llama-3.1-nemotron-51b-instruct"),
}
PUBLISHED: Final = ("routellm_mmlu", "routellm_gsm8k", "routellm_mtbench")
TRAINING: Final = ("mmlu_pro", "mixed_tasks")

Raw = dict[str, Any]


class Bench:
    """The data, the judge, and how many runs have looked at each of the published test sets."""

    def __init__(self, data: Path, looks: Mapping[str, int]):
        self.data, self.looks = data, dict(looks)
        self._looked_at: set[str] = set()
        self.classifier = LearnedClassifier.load()

    def rows(self, name: str) -> list[OutcomeRow]:
        if name in PUBLISHED and name not in self._looked_at:
            self._looked_at.add(name)
            self.looks[name] = self.looks.get(name, 0) + 1
        return read_outcomes(self.data / f"{name}.jsonl.gz")

    def evaluated(self, name: str, lessons: Lessons | None = None, plot: Path | None = None) -> Raw:
        figures = evaluate(
            self.rows(name),
            *PAIRS[name],
            self.classifier.artefact,
            lessons=lessons,
            incumbent=self.classifier if lessons else None,
            plot=plot,
            seed=SEED,
        )
        return {"file": name, **figures}


def zero_shot(bench: Bench) -> Any:
    """The judge as it ships on the published test sets."""
    plot = PLOTS / "routing-quality-zero-shot.png"
    return [bench.evaluated(name, plot=plot if name == "routellm_mmlu" else None) for name in PUBLISHED]


def own_labels(bench: Bench) -> Any:
    """What labels of the same traffic teach, all of four fifths and 500 of them."""
    plot = PLOTS / "routing-quality-own-labels.png"
    return [
        bench.evaluated("routellm_mmlu", Lessons(folds=5), plot),
        bench.evaluated("routellm_mmlu", Lessons(folds=5, labels=500)),
        *(bench.evaluated(name, Lessons(folds=5)) for name in TRAINING),
    ]


def new_domains(bench: Bench) -> Any:
    """The same where each domain is left out."""
    return [bench.evaluated(name, Lessons(leave_domains=True)) for name in TRAINING]


def pushed(bench: Bench) -> Any:
    """Chat prompts written differently, and with text added only to push the judge."""
    texts = [prompt.text for prompt in prompts() if not prompt.earlier]

    def read(text: str) -> AskText:
        return AskText(user_text({"content": text}))

    return robustness.measure(bench.classifier, bench.classifier.artefact, texts, read=read, seed=SEED)


def latency(bench: Bench) -> Any:
    """CPU of one assessment; the encoder's is in a file of its own, where it could be measured."""
    taken: dict[judge_bench.Key, list[int]] = defaultdict(list)
    judge_bench.whole(taken)
    rows = []
    for (name, tokens, _), spent in sorted(taken.items()):
        p50, p99 = (float(share) / 1e6 for share in np.percentile(spent, (50, 99)))
        rows.append({"classifier": name, "tokens": tokens, "p50_ms": p50, "p99_ms": p99})
    return rows


def calibration(bench: Bench) -> Any:
    """What training measured of the shipped artefact on rows its heads had not seen."""
    report = json.loads((DEFAULT_FOLDER / "report.json").read_text("utf-8"))
    of_chat = report["chat"]["each author left out"]
    learned = next(row for row in of_chat["routers"] if row["router"] == "learned")
    authors = {"task_accuracy": of_chat["task_accuracy"], "level_spearman": learned["level_spearman"]}
    return {"small_head": report["small_head"], "authors_left_out": authors}


def encoder(bench: Bench) -> Any:
    """The encoder tier on the same chat prompts. Needs `make encoder`, so it is measured only where it is asked for."""
    classifier = load_classifier("encoder")
    assert isinstance(classifier, LearnedClassifier)
    asks = [AskText(prompt.text) for prompt in prompts()]
    p50, p99 = cpu_milliseconds(classifier, asks)
    return {"classifier": classifier.name, "ms_p50": p50, "ms_p99": p99, **chat(classifier, SEED)}


PARTS: Final[Mapping[str, Callable[[Bench], Any]]] = {
    "zero_shot": zero_shot,
    "own_labels": own_labels,
    "new_domains": new_domains,
    "calibration": calibration,
    "chat": lambda bench: chat(bench.classifier, SEED),
    "own_traffic": lambda bench: own_traffic(
        bench.classifier.artefact, bench.rows("routellm_mmlu"), *PAIRS["routellm_mmlu"]
    ),
    "robustness": pushed,
    "latency": latency,
    "encoder": encoder,
}
OPTIONAL: Final = ("encoder",)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, default=None, help="folder of outcome files")
    options.add_argument("--only", nargs="+", choices=sorted(PARTS), help="measure these parts again, keep the others")
    options.add_argument("--show", action="store_true", help="measure nothing, print the page of the raw figures")
    given = options.parse_args()
    raw: Raw = json.loads(RAW.read_text("utf-8")) if RAW.is_file() else {"looks": {}, "artefacts": {}}
    if given.show:
        print(quality_page.page(raw), end="")
        return
    data = given.data or Path(os.environ.get("SIGNALBOX_TEST_DATA", "nowhere")) / "outcomes"
    if not data.is_dir():
        options.error(f"{data} is no folder; name one with --data, or set SIGNALBOX_TEST_DATA")
    bench = Bench(data, raw["looks"])
    for part in given.only or [part for part in PARTS if part not in OPTIONAL]:
        begun = time.perf_counter()
        raw[part] = PARTS[part](bench)
        raw["artefacts"][part] = raw[part]["classifier"] if part in OPTIONAL else bench.classifier.name
        raw["looks"] = bench.looks
        RAW.write_text(json.dumps(raw, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"{part}: {time.perf_counter() - begun:.0f} s", file=sys.stderr)
    PAGE.write_text(quality_page.page(raw), encoding="utf-8")


if __name__ == "__main__":
    main()
