"""Whether estimates from logs can be believed: simulated logs of requests whose every outcome is known.

    python -m bench.off_policy [--data DIR] [--logs 2000] [--out FILE]

An outcome file has what a small and a large model made of the same questions. A log draws 1,500 to 3,500 of them (with
replacement), lets a logging policy choose and audit, gives noisy labels to some, and hides the rest. Candidates are
then estimated from it as `signalbox compare` would, and held against the mean over the whole file. SIMULATED: who
chose, who was audited, label noise (one label in ten says the opposite, which is part of the truth estimated), and for
mixed_tasks the lengths of answers, which the file does not have. The outcomes are real.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from classifiers.artefact import load_default
from classifiers.learned import LearnedClassifier
from classifiers.training.dataset import read_outcomes
from classifiers.training.enough import LEAST, OUT_OF_SIGHT, support
from classifiers.training.fit import one_thread
from classifiers.training.off_policy import Logs, difference, see, value
from classifiers.training.own_labels import in_folds
from classifiers.training.pairing import LENGTH, Paired, pair
from classifiers.training.risk import lost, wealth

ROOT: Final = Path(__file__).resolve().parent.parent
DATA: Final = ROOT.parent / "shared/data/outcomes"
OUT: Final = ROOT / "bench/results/off_policy.json"
PAIRS: Final = {
    "mmlu_pro": ("Meta-Llama-3_1-8B-Instruct", "gemini-1.5-pro-002"),
    "mixed_tasks": ("mistral-7b-instruct-v0.3", "llama-3.1-nemotron-51b-instruct"),
}
NOISE: Final = 0.1
LARGE_SHARE: Final = 0.5
"""Of requests, under the logging policy."""
BAND: Final = 0.15
"""Of requests, to either side of its threshold: where it explores."""


@dataclass(frozen=True, slots=True)
class Logging:
    """How a log comes about. audits: share of requests both models answer; explore: chance of the other model in the
    band; labelled: share of the other requests that have a label; requests: fewest and most in a log."""

    audits: float
    explore: float
    labelled: float
    requests: tuple[int, int] = (1500, 3500)
    times: int = 1
    """One log in so many is enough, for what is only refused."""


SCENES: Final[Mapping[str, Logging]] = {
    "audits alone": Logging(0.10, 0.0, 0.0),
    "audits, exploration, some labels": Logging(0.10, 0.10, 0.30),
    "exploration alone, all labelled": Logging(0.0, 0.20, 1.0),
    "thin: 1% audits": Logging(0.01, 0.0, 0.0, (500, 1500), 10),
    "nothing but labels": Logging(0.0, 0.0, 1.0, times=10),
}


@dataclass(frozen=True, slots=True)
class World:
    """A file as a log sees it: qualities and costs (cents), (n, 2), what guesses go by, and every way of choosing."""

    quality: np.ndarray
    cost: np.ndarray
    covariates: np.ndarray
    rank: np.ndarray
    choices: Mapping[str, np.ndarray]


def world(name: str, data: Path) -> World:
    """Judges by the shipped artefact, and one more that learned from the file in folds."""
    artefact = load_default()
    paired = pair(read_outcomes(data / f"{name}.jsonl.gz"), *PAIRS[name], artefact.featurise)
    judge = LearnedClassifier(artefact)
    complexity = np.array([judge.assess_features(vector, ()).complexity for vector in paired.vectors])
    quality = np.column_stack([paired.small, paired.large])
    cost = np.column_stack([paired.small_cost, paired.large_cost]) * 100.0
    if name == "mixed_tasks":
        cost = cost * np.random.default_rng(5).lognormal(-0.32, 0.8, cost.shape)
    rank, taught = _rank(complexity), _rank(_taught(paired))
    choices = {
        "current": _large_above(rank, 1 - LARGE_SHARE),
        "more to large": _large_above(rank, 0.40),
        "less to large": _large_above(rank, 0.80),
        "always small": _large_above(rank, 2.0),
        "another judge": _large_above(taught, 1 - LARGE_SHARE),
    }
    return World(quality, cost, np.column_stack([complexity, paired.features[:, LENGTH]]), rank, choices)


def measure(here: World, how: Logging, logs: int, seed: int) -> list[dict[str, Any]]:
    """A row for each candidate: how often intervals hold the truth, how wide they are, how much is refused."""
    truths = {
        name: ((choice * _said(here.quality)).sum(1).mean(), (choice * here.cost).sum(1).mean())
        for name, choice in here.choices.items()
    }
    names = [name for name in here.choices if name != "current"]
    tally: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    random = np.random.default_rng(seed)
    for _ in range(logs):
        drawn, quality_logs, cost_logs = _log(here, how, random)
        quality, cost = see(quality_logs), see(cost_logs)
        current = here.choices["current"][drawn]
        for name in names:
            candidate = here.choices[name][drawn]
            found = difference(quality, candidate, current)
            enough = support(quality, candidate, current, found)
            supported = enough.unseen <= OUT_OF_SIGHT and enough.effective >= LEAST
            row: dict[str, Any] = {"enough": enough.enough, "more": enough.more, "supported": supported}
            if supported:
                paid = difference(cost, candidate, current)
                whole = value(quality, candidate, (0.0, 1.0)), value(cost, candidate)
                row["effective"] = found.effective
                gap = tuple(a - b for a, b in zip(truths[name], truths["current"], strict=True))
                for what, estimates, truth in (
                    ("quality", whole[0], truths[name][0]),
                    ("quality difference", found, gap[0]),
                    ("cost", whole[1], truths[name][1]),
                    ("cost difference", paid, gap[1]),
                ):
                    row[what] = {
                        way: (figure.low <= truth <= figure.high, figure.high - figure.low, figure.value - truth)
                        for way in ("ips", "snips", "dr")
                        if (figure := getattr(estimates, way)).low is not None
                    }
            tally[name].append(row)
    return [_summed(name, truths, rows) for name, rows in tally.items()]


def misses(here: World, logs: int, seed: int, most: int = 3000) -> list[dict[str, Any]]:
    """How often a bound of the loss is below the truth, looked at after every pair from the fiftieth on; and how low it
    comes, over a tenth of the logs. Labels have no noise here."""
    quality, table = here.quality, []
    random = np.random.default_rng(seed)
    looks = (100, 300, 1000, most)
    for name in ("more to large", "current", "less to large"):
        losses = quality[:, 1] - (here.choices[name] * quality).sum(1)
        truth = float(losses.mean())
        drawn = [losses[random.integers(0, len(losses), most)] for _ in range(logs)]
        ruled_out = np.array([wealth(sample, truth)[49:] >= -math.log(0.05) for sample in drawn])
        bounds = {look: float(np.mean([lost(one[:look]) for one in drawn[: logs // 10]])) for look in looks}
        table.append(
            {
                "served": name,
                "lost": truth,
                "missed_ever": float(ruled_out.any(axis=1).mean()),
                "missed_at_end": float(ruled_out[:, -1].mean()),
                "bound": {str(look): bound for look, bound in bounds.items()},
            }
        )
    return table


def _log(here: World, how: Logging, random: np.random.Generator) -> tuple[np.ndarray, Logs, Logs]:
    count = int(random.integers(*how.requests, endpoint=True))
    drawn = random.integers(0, len(here.rank), count)
    preferred = here.choices["current"][drawn]
    in_band = np.abs(here.rank[drawn] - (1 - LARGE_SHARE)) < BAND
    other = np.where(in_band, how.explore, 0.0)[:, None]
    probability = preferred * (1.0 - other) + (1.0 - preferred) * other
    chosen = (random.random(count) < probability[:, 1]).astype(np.intp)
    audited = random.random(count) < how.audits
    labelled = random.random(count) < how.labelled
    was_chosen = chosen[:, None] == np.arange(2)
    label = np.where(random.random((count, 2)) < NOISE, 1.0 - here.quality[drawn], here.quality[drawn])
    shown = audited[:, None] | (was_chosen & labelled[:, None])
    paid = audited[:, None] | was_chosen
    rest = (chosen, probability, np.ones((count, 2), bool), here.covariates[drawn])
    return (
        drawn,
        Logs(np.where(shown, label, np.nan), *rest),
        Logs(np.where(paid, here.cost[drawn], np.nan), *rest),
    )


def _summed(name: str, truths: Mapping[str, tuple[float, float]], rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    told = [row for row in rows if row["enough"]]
    supported = [row for row in rows if row["supported"]]
    refused = [row["more"] for row in rows if not row["enough"]]
    figures: dict[str, Any] = {}
    for what in ("quality", "quality difference", "cost", "cost difference"):
        if not told:
            break
        figures[what] = {}
        for way in ("ips", "snips", "dr"):
            held, width, error = (np.array([row[what][way][part] for row in told]) for part in range(3))
            figures[what][way] = {
                "coverage": float(held.mean()),
                "coverage_however_wide": float(np.mean([row[what][way][0] for row in supported])),
                "width": float(width.mean()),
                "bias": float(error.mean()),
                "rmse": float(np.sqrt((error**2).mean())),
            }
    return {
        "candidate": name,
        "quality": truths[name][0],
        "cost": truths[name][1],
        "told": len(told),
        "supported": len(supported),
        "refused": len(refused) / len(rows),
        "more_median": float(np.median(refused)) if refused else None,
        "effective": float(np.mean([row["effective"] for row in told])) if told else None,
        "figures": figures,
    }


def _taught(paired: Paired) -> np.ndarray:
    return in_folds(paired, 5, 0, linear=True).score[0]


def _rank(score: np.ndarray) -> np.ndarray:
    return np.argsort(np.argsort(score, kind="stable"), kind="stable") / len(score)


def _large_above(rank: np.ndarray, bar: float) -> np.ndarray:
    large = rank >= bar
    return np.column_stack([~large, large]).astype(float)


def _said(quality: np.ndarray) -> np.ndarray:
    return NOISE + (1.0 - 2.0 * NOISE) * quality


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, default=DATA)
    options.add_argument("--logs", type=int, default=2000)
    options.add_argument("--only", choices=PAIRS, help="one file; the result is added to what is there")
    options.add_argument("--out", type=Path, default=OUT)
    given = options.parse_args()
    result: dict[str, Any] = {"logs": given.logs, "noise": NOISE, "files": {}}
    if given.only is not None and given.out.exists():
        result["files"] = json.loads(given.out.read_text("utf-8"))["files"]
    with one_thread():
        for name, models in PAIRS.items():
            if given.only not in (None, name):
                continue
            here = world(name, given.data)
            scenes = {}
            for number, (scene, how) in enumerate(SCENES.items()):
                started = time.perf_counter()
                scenes[scene] = measure(here, how, given.logs // how.times, number)
                print(f"{name}, {scene}: {time.perf_counter() - started:.0f} s", flush=True)
            risks = misses(here, given.logs, 99)
            print(f"{name}, bounds of the loss: done", flush=True)
            result["files"][name] = {"models": models, "n": len(here.rank), "scenes": scenes, "risk": risks}
    given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
