"""Selecting among twenty options: `python bench/selector.py [--out FILE]`, or `--show FILE` for the page's tables.

banking77 (PolyAI, CC BY 4.0): customers' questions of 77 intents. Twenty intents are options, each with a description
of our own (`selector_options.py`) and examples that are drawn from the data's train split, anew for each seed. Asked
are the test split's questions of the twenty, and of the 57 others, which belong to none; and chat prompts of our own
(`tests/data`), which are not about banking at all. SIGNALBOX_TEST_DATA names the folder of data.

Every selector has its scores put on a scale by the same rule, learned from the examples alone. The encoder is measured
where it is installed (`make encoder`). CPU: of the whole process, one ask after the other, over the first seed.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifiers.artefact import load_default
from classifiers.contract import AskText
from classifiers.errors import EncoderError
from classifiers.matching import Matcher, OptionTexts, Scale, calibrated, texts_to_embed

ROOT = Path(__file__).parent.parent
sys.path[0] = str(ROOT)  # not this folder: its `profile` would be taken for the standard library's
from bench.selector_options import DEVELOPMENT, TESTED  # noqa: E402

SEEDS = 10
EXAMPLES = 5
COUNTS = (0, 1, 2, 5, 10)
CPU_ASKS = 400

VECTORS = load_default().featurise.vectors
assert VECTORS is not None

Scores = NDArray[np.float64]
Selector = Callable[[Sequence[str]], Scores]
"""Asks -> scores, shape (asks, options); 0.5 is the threshold."""
Row = dict[str, Any]


@cache
def questions(split: str) -> dict[str, list[str]]:
    """By intent."""
    data = os.environ.get("SIGNALBOX_TEST_DATA", str(ROOT.parent / "shared" / "data"))
    found: dict[str, list[str]] = {}
    with gzip.open(Path(data) / "cache" / "banking77.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row["split"] == split:
                found.setdefault(row["intent"], []).append(row["query"])
    return found


def chat_prompts() -> list[str]:
    lines = (ROOT / "tests" / "data" / "chat_natural_lengths.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["prompt"] for line in lines]


def options_of(described: Mapping[str, str], count: int, seed: int) -> list[OptionTexts]:
    source, train = random.Random(seed), questions("train")
    return [
        OptionTexts(description, tuple(source.sample(train[intent], count)))
        for intent, description in described.items()
    ]


def own(options: Sequence[OptionTexts]) -> Selector:
    """What the gateway does."""
    matcher = Matcher(options, VECTORS)
    return lambda asks: np.stack([matcher.scores(AskText(ask)) for ask in asks])


class Encoded:
    """The same with the embeddings of all-MiniLM-L6-v2 in place of word vectors. Texts are embedded once."""

    def __init__(self, embed: Callable[[Sequence[str]], NDArray[np.float32]]):
        self._embed = embed
        self._known: dict[str, NDArray[np.float32]] = {}

    def __call__(self, options: Sequence[OptionTexts]) -> Selector:
        matcher = Matcher(options, VECTORS, self.of(texts_to_embed(options)))
        return lambda asks: np.stack(
            [matcher.scores(AskText(ask), vector) for ask, vector in zip(asks, self.of(asks), strict=True)]
        )

    def of(self, texts: Sequence[str]) -> NDArray[np.float32]:
        new = sorted({text for text in texts if text not in self._known}, key=len)
        for start in range(0, len(new), 32):
            part = new[start : start + 32]
            self._known.update(zip(part, self._embed(part), strict=True))
        return np.stack([self._known[text] for text in texts])

    def forget(self) -> None:
        self._known.clear()


def tfidf(**how: Any) -> Callable[[Sequence[OptionTexts]], Selector]:
    """scikit-learn's TF-IDF; an option's score is the mean cosine to its texts, which did best of the usual ways."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    def raw(options: Sequence[OptionTexts]) -> Callable[[Sequence[str]], Scores]:
        texts = [text for option in options for text in option.all]
        weigh = TfidfVectorizer(sublinear_tf=True, **how).fit(texts)
        means = np.stack([np.asarray(weigh.transform(option.all).mean(axis=0))[0] for option in options])
        return lambda asks: np.asarray(weigh.transform(asks) @ means.T)

    def made(options: Sequence[OptionTexts]) -> Selector:
        inside, outside = [], []
        for place, option in enumerate(options):
            for number, example in enumerate(option.examples):
                left = OptionTexts(option.description, option.examples[:number] + option.examples[number + 1 :])
                inside.append(raw([*options[:place], left, *options[place + 1 :]])([example]).max())
            others = raw([*options[:place], *options[place + 1 :]])(option.examples).max(axis=1)
            outside += others.tolist()
        scale, score = scaled(np.array(inside), np.array(outside)), raw(options)
        return lambda asks: scale(score(asks))

    return made


def scaled(inside: Scores, outside: Scores) -> Callable[[Scores], Scores]:
    """The rule of `classifiers.matching.calibrated`, for scores that are on another scale than its own."""
    spread = float(np.concatenate([inside, outside]).std()) or 1.0
    middle = (float(inside.mean()) + float(outside.mean())) / 2
    scale: Scale = calibrated(0.4 + 0.2 * (inside - middle) / spread, 0.4 + 0.2 * (outside - middle) / spread)
    return lambda raw: scale.of(0.4 + 0.2 * (raw - middle) / spread)


def by_chance(options: Sequence[OptionTexts]) -> Selector:
    source = np.random.default_rng(0)
    return lambda asks: source.random((len(asks), len(options)))


def measured(select: Selector, asked: Mapping[str, Sequence[str]], foreign: Sequence[str], chat: Sequence[str]) -> Row:
    """Shares in 0..1. asked: by intent, in the order of the options."""
    truth = np.repeat(np.arange(len(asked)), [len(asks) for asks in asked.values()])
    inside = select([ask for asks in asked.values() for ask in asks])
    outside, far = select(foreign).max(axis=1), select(chat).max(axis=1)
    best, order = inside.max(axis=1), np.argsort(-inside, axis=1)
    kept = best >= 0.5
    return {
        "top_1": float((order[:, 0] == truth).mean()),
        "top_2": float((order[:, :2] == truth[:, None]).any(axis=1).mean()),
        "abstained_inside": float((~kept).mean()),
        "right_of_kept": float((order[kept, 0] == truth[kept]).mean()) if kept.any() else None,
        "abstained_outside": float((outside < 0.5).mean()),
        "abstained_chat": float((far < 0.5).mean()),
        "auroc": auroc(best, outside),
    }


def auroc(inside: Scores, outside: Scores) -> float:
    """How likely an ask that belongs scores above one that does not; ties count half."""
    ranked = np.sort(outside)
    below = np.searchsorted(ranked, inside, "left") + np.searchsorted(ranked, inside, "right")
    return float(below.mean() / 2 / len(ranked))


def over_seeds(make: Callable[[Sequence[OptionTexts]], Selector], described: Mapping[str, str], count: int) -> Row:
    """Mean, least and most over the seeds, for each measure."""
    test = questions("test")
    asked = {intent: test[intent] for intent in described}
    foreign = [ask for intent, asks in sorted(test.items()) if intent not in described for ask in asks]
    rows = [
        measured(make(options_of(described, count, seed)), asked, foreign, chat_prompts())
        for seed in range(SEEDS if count else 1)
    ]
    return {name: spread([row[name] for row in rows]) for name in rows[0]}


def spread(values: Iterable[float | None]) -> Row:
    known = [value for value in values if value is not None]
    return {"mean": float(np.mean(known)), "least": min(known), "most": max(known)}


def cpu_of(make: Callable[[Sequence[OptionTexts]], Selector], forget: Callable[[], None] | None) -> Row:
    """Milliseconds of CPU a selection: median and 99th percentile."""
    select = make(options_of(TESTED, EXAMPLES, 0))
    test = questions("test")
    asks = [ask for intent in TESTED for ask in test[intent]]
    random.Random(0).shuffle(asks)
    for ask in asks[CPU_ASKS : CPU_ASKS + 50]:
        select([ask])
    if forget is not None:
        forget()
    spent = []
    for ask in asks[:CPU_ASKS]:
        began = time.process_time()
        select([ask])
        spent.append((time.process_time() - began) * 1000)
    return {"p50": float(np.median(spent)), "p99": float(np.percentile(spent, 99))}


def run() -> Row:
    makes: dict[str, Callable[[Sequence[OptionTexts]], Selector]] = {
        "own vectors": own,
        "TF-IDF of words": tfidf(),
        "TF-IDF of parts of words": tfidf(analyzer="char_wb", ngram_range=(2, 4)),
        "by chance": by_chance,
    }
    forget: Callable[[], None] | None = None
    try:
        from classifiers.encoder import load_encoder

        encoded = Encoded(load_encoder().embed)
        makes["all-MiniLM-L6-v2"] = encoded
        forget = encoded.forget
    except EncoderError as error:
        print(f"without the encoder: {error}", file=sys.stderr)
    result: Row = {
        "seeds": SEEDS,
        "examples": EXAMPLES,
        "tested": {},
        "development": {},
        "by_examples": {},
        "cpu_ms": {},
    }
    for name, make in makes.items():
        print(name, file=sys.stderr)
        result["tested"][name] = over_seeds(make, TESTED, EXAMPLES)
        result["development"][name] = over_seeds(make, DEVELOPMENT, EXAMPLES)
        if make is not by_chance:
            result["cpu_ms"][name] = cpu_of(make, forget)
    result["by_examples"] = {str(count): over_seeds(own, TESTED, count) for count in COUNTS}
    return result


def percent(cell: Row) -> str:
    low, high = 100 * cell["least"], 100 * cell["most"]
    return f"{100 * cell['mean']:.1f} ({low:.1f}-{high:.1f})" if low != high else f"{100 * cell['mean']:.1f}"


def show(result: Row) -> str:
    """The tables of docs/selector.md."""
    lines = [
        "| selector | top 1, % | top 2, % | inside: abstained, % | of those kept, right, % | outside: abstained, % "
        "| chat: abstained, % | AUROC | CPU, ms |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    names = ("top_1", "top_2", "abstained_inside", "right_of_kept", "abstained_outside", "abstained_chat")
    for name, row in result["tested"].items():
        if name == "by chance":  # it has no scale, so where it abstains says nothing
            cells = [percent(row["top_1"]), percent(row["top_2"]), "-", "-", "-", "-"]
        else:
            cells = [percent(row[measure]) for measure in names]
        cpu = result["cpu_ms"].get(name)
        told = "-" if cpu is None else f"{cpu['p50']:.2f}"
        lines.append(f"| {name} | {' | '.join(cells)} | {row['auroc']['mean']:.3f} | {told} |")
    lines += ["", "| examples an option | top 1, % | top 2, % | inside: abstained, % | outside: abstained, % | AUROC |"]
    lines += ["|---|---|---|---|---|---|"]
    for count, row in result["by_examples"].items():
        cells = [percent(row[name]) for name in ("top_1", "top_2", "abstained_inside", "abstained_outside")]
        lines.append(f"| {count} | {' | '.join(cells)} | {row['auroc']['mean']:.3f} |")
    lines += ["", "| on the twenty of development | top 1, % | top 2, % | AUROC |", "|---|---|---|---|"]
    for name, row in result["development"].items():
        lines.append(f"| {name} | {percent(row['top_1'])} | {percent(row['top_2'])} | {row['auroc']['mean']:.3f} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="keep the raw figures here")
    parser.add_argument("--show", type=Path, help="the tables of figures that were kept; nothing is run")
    given = parser.parse_args()
    result = json.loads(given.show.read_text("utf-8")) if given.show else run()
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    print(show(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
