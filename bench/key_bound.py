"""How far one key that thumbs everything down moves the judge by a retraining, and so the decisions that hang on it.

    python bench/key_bound.py [--draws 4] [--data ../shared/data] [--out bench/results/key_bound.json]

Each drawing retrains the shipped judge twice: from honest labels (recorded outcomes of two real models on questions of
a file: half of a judge, half thumbs of ten keys of ten other tenants, one in ten of them wrong), and from the same with
a hostile key's labels, all 0, as many or a hundred times as many. Both are then asked about questions that neither saw:
how much lower is the mean predicted quality, and what share of decisions crosses complexity 0.35. SIMULATED are who
labels, and what is wrong; of many hostile labels at most 2,000 are rows, each standing for several alike.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from classifiers.artefact import Artefact, load_default  # noqa: E402
from classifiers.contract import Label, LabelSource, LoggedDecision, ModelCard  # noqa: E402
from classifiers.learned import LearnedClassifier  # noqa: E402
from classifiers.training.dataset import read_outcomes  # noqa: E402
from classifiers.training.fit import Floats  # noqa: E402
from classifiers.training.labels import COUNTS, MOST_OF_A_KEY, MOST_OF_A_TENANT  # noqa: E402
from classifiers.training.pairing import Paired, pair  # noqa: E402
from classifiers.training.retrain import retrain_from_logs  # noqa: E402

DATA: Final = ROOT.parent / "shared/data"
OUT: Final = ROOT / "bench/results/key_bound.json"
PAIRS: Final = {
    "mmlu_pro": ("Meta-Llama-3_1-8B-Instruct", "gemini-1.5-pro-002"),
    "mixed_tasks": ("mistral-7b-instruct-v0.3", "llama-3.1-nemotron-51b-instruct"),
}
HONEST: Final = (50, 200, 2000)
TIMES: Final = (1, 100)
MOST_ROWS: Final = 2000
MEASURED_ON: Final = 1000
WRONG: Final = 0.1
THRESHOLD: Final = 0.35
CARDS: Final = (ModelCard("small", "own/small", "small"), ModelCard("large", "own/large", "large"))


@dataclass(frozen=True, slots=True)
class Attack:
    """small_only: leaves what the large model answers alone. keys: of one tenant, that share the labels; 0: labels
    that no rule holds down, to show what the rules are worth."""

    name: str
    small_only: bool = False
    keys: int = 1


ATTACKS: Final = (
    Attack("everything down"),
    Attack("everything of the small model down", small_only=True),
    Attack("everything down by 20 keys of one tenant", keys=20),
    Attack("everything down, were no key held to a share", keys=0),
)


def honest_labels(
    paired: Paired, asks: Sequence[int], digest: str, random: np.random.Generator
) -> list[LoggedDecision]:
    """One label for each ask, of whichever model happened to answer it."""
    rows = []
    for number, ask in enumerate(asks):
        large = bool(random.random() < 0.5)
        score = float((paired.large if large else paired.small)[ask])
        if random.random() < WRONG:
            score = 1.0 - score
        source: LabelSource = "judge" if number % 2 else "user"
        who = f"k{number % 20 // 2}"
        rows.append(row(f"h{number:06}", paired, ask, large, digest, who, score, source, 1.0))
    return rows


def hostile_labels(
    attack: Attack, paired: Paired, asks: Sequence[int], count: int, digest: str, random: np.random.Generator
) -> list[LoggedDecision]:
    """So many labels that say 0, about any asks."""
    rows = min(count, MOST_ROWS)
    return [
        row(
            f"x{number:06}",
            paired,
            int(random.choice(asks)),
            not attack.small_only and bool(random.random() < 0.5),
            digest,
            f"angry{number % attack.keys}" if attack.keys else "",
            0.0,
            "user",
            count / rows,
        )
        for number in range(rows)
    ]


def row(
    name: str,
    paired: Paired,
    ask: int,
    large: bool,
    digest: str,
    key: str,
    score: float,
    source: LabelSource,
    weight: float,
) -> LoggedDecision:
    vector = paired.vectors[ask].astype(np.float16).astype(np.float32)
    tenant = "angry" if name.startswith("x") else key
    return LoggedDecision(
        name, float(int(name[1:])), tenant, "chat", "en", CARDS[large], ("small", "large"), {}, 1.0, None, 50, 100,
        vector, digest, (Label(name, score, source, weight, float(int(name[1:])), key),), key,
    )  # fmt: skip


def predicted(artefact: Artefact, paired: Paired, asks: Sequence[int]) -> tuple[Floats, Floats]:
    """(quality of both models, (n, 2); complexity) of asks."""
    judge = LearnedClassifier(artefact)
    told = [judge.assess_features(paired.vectors[ask], CARDS) for ask in asks]
    qualities = np.array([[one.quality[card.name] for card in CARDS] for one in told])
    return qualities, 1.0 - qualities[:, 0]


def one_drawing(paired: Paired, current: Artefact, honest: int, draw: int) -> list[dict[str, Any]]:
    random = np.random.default_rng((draw, honest))
    order = random.permutation(len(paired))
    taught, asked = order[: len(order) - MEASURED_ON], order[-MEASURED_ON:]
    digest = current.featurise.digest
    labels = honest_labels(paired, random.choice(taught, honest), digest, random)
    without, _ = retrain_from_logs(labels, current, seed=draw)
    quality, complexity = predicted(without, paired, asked)
    found = []
    for attack in ATTACKS:
        for times in TIMES:
            lies = hostile_labels(attack, paired, taught, times * honest, digest, random)
            moved, _ = retrain_from_logs([*labels, *lies], current, seed=draw)
            of_moved, harder = predicted(moved, paired, asked)
            found.append(
                {
                    "attack": attack.name,
                    "honest": honest,
                    "times": times,
                    "lower_small": float((quality - of_moved)[:, 0].mean()),
                    "lower_large": float((quality - of_moved)[:, 1].mean()),
                    "crossing": float(((complexity >= THRESHOLD) != (harder >= THRESHOLD)).mean()),
                }
            )
    return found


def summed_up(found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Over drawings: means and the worst, for each attack, number of honest labels, and how many times as many lies."""
    places = dict.fromkeys((one["attack"], one["honest"], one["times"]) for one in found)
    table = []
    for place in places:
        of_place = [one for one in found if (one["attack"], one["honest"], one["times"]) == place]
        figures: dict[str, Any] = {}
        for name in ("lower_small", "lower_large", "crossing"):
            values = [one[name] for one in of_place]
            figures[name] = {"mean": round(float(np.mean(values)), 4), "most": round(max(values, key=abs), 4)}
        table.append({"attack": place[0], "honest": place[1], "times": place[2], "draws": len(of_place), **figures})
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    current, began = load_default(), time.monotonic()
    files = {
        file: pair(read_outcomes(options.data / "outcomes" / f"{file}.jsonl.gz"), *models, current.featurise)
        for file, models in PAIRS.items()
    }
    found: dict[str, list[dict[str, Any]]] = {file: [] for file in files}
    rules = {"most_of_a_key": MOST_OF_A_KEY, "most_of_a_tenant": MOST_OF_A_TENANT, "counts": dict(COUNTS)}
    for draw in range(options.draws):
        for file, paired in files.items():
            for honest in HONEST:
                found[file] += one_drawing(paired, current, honest, draw)
                print(f"{file} {honest} {draw} {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        tables = {file: summed_up(of_file) for file, of_file in found.items()}
        result = {"artefact": current.digest, "rules": rules, "threshold": THRESHOLD, "files": tables}
        options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
