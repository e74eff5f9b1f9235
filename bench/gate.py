"""How often the gate of `signalbox retrain` is wrong: candidates learned from noise, from signal, and made worse.

    python bench/gate.py [--noise 200] [--signal 50] [--out bench/results/gate.json] [--jobs 1] [--data ../shared/data]

Noise: scores that hang on nothing in the asks (coins, or a rate for each model), or that only repeat what the judge
believes; nothing is there to learn, so whatever passes is a mistake. Signal: recorded outcomes of real models, under a
judge whose heads were spoilt; what passes is right. Worse: the same with a fit that does harm. SIMULATED are the
traffic and the noise; fits, evaluation and gate are those of `signalbox retrain`, fed in memory, without a policy.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from classifiers.artefact import Artefact, load_default  # noqa: E402
from classifiers.contract import Label, LabelSource, LoggedDecision, ModelCard  # noqa: E402
from classifiers.training.dataset import read_outcomes, seed_rows  # noqa: E402
from classifiers.training.evidence import gather  # noqa: E402
from classifiers.training.fit import Floats, one_thread  # noqa: E402
from classifiers.training.forward import Fit, chain  # noqa: E402
from classifiers.training.gate import Verdict, judge  # noqa: E402
from classifiers.training.pairing import pair_tiers  # noqa: E402
from classifiers.training.retrain import retrain_from_logs  # noqa: E402
from classifiers.training.rows import Dataset, Half, Pair, join_repeats  # noqa: E402
from classifiers.training.served import qualities  # noqa: E402

SMALL, LARGE = ModelCard("small", "own/small", "small"), ModelCard("large", "own/large", "large")
COSTS: Final = (0.0001, 0.002)
FILES: Final = ("mmlu_pro", "mixed_tasks")
SIZES: Final = (150, 300, 600, 1200)
"""Audited requests; of the kinds without audits, labelled ones."""


@dataclass(frozen=True, slots=True)
class World:
    """Asks as vectors (n, d), and both models' scores of each, (n, 2)."""

    vectors: NDArray[np.float32]
    scores: Floats


def data_of(world: World, digest: str, *, audited: bool) -> Dataset:
    """Requests a second apart; every one audited, or answered by the small model alone and labelled by its user."""
    logged, pairs = [], []
    rounded = world.vectors.astype(np.float16).astype(np.float32)
    for at, (vector, scores) in enumerate(zip(rounded, world.scores, strict=True)):
        for card, score in zip((SMALL, LARGE), scores, strict=True) if audited else ((SMALL, scores[0]),):
            logged.append(_row(f"r{at:05}{card.name[0]}", at, card, vector, digest, float(score), audited))
        if audited:
            small, large = (
                Half(card, float(score), cost) for card, score, cost in zip((SMALL, LARGE), scores, COSTS, strict=True)
            )
            own, other = (small, large) if at % 2 else (large, small)
            pairs.append(Pair(f"r{at:05}", float(at), "own", "chat", "en", vector, own, other, 50))
    return join_repeats(logged, pairs)


def _row(
    name: str, at: int, card: ModelCard, vector: NDArray[np.float32], digest: str, score: float, audited: bool
) -> LoggedDecision:
    source: LabelSource = "judge" if audited else "verifier"
    return LoggedDecision(
        name, float(at), "own", "chat", "en", card, ("small", "large"), {}, 1.0, None, 50, 100, vector, digest,
        (Label(name, score, source, 1.0, float(at)),),
    )  # fmt: skip


def retrained(data: Dataset, current: Artefact, seed: int, fit: Fit | None = None) -> tuple[bool, Verdict | None]:
    """(whether there was a candidate, the gate's verdict on it)."""
    with one_thread():
        links = chain(data, current, fit or partial(_fit, current=current, seed=seed))
        if links.candidate.digest == current.digest:
            return False, None
        return True, judge(gather(links, current, seed))


def _fit(rows: Sequence[LoggedDecision], *, current: Artefact, seed: int) -> Any:
    return retrain_from_logs(rows, current, seed=seed)


# --- noise -----------------------------------------------------------------------------------------------------------


def coins(random: np.random.Generator, believed: Floats) -> Floats:
    """Heads or tails for either model."""
    return (random.random(believed.shape) < 0.5).astype(np.float64)


def rates(random: np.random.Generator, believed: Floats) -> Floats:
    """Each model is right at a rate of its own, whatever is asked."""
    return (random.random(believed.shape) < random.uniform(0.2, 0.95, 2)).astype(np.float64)


def points(random: np.random.Generator, believed: Floats) -> Floats:
    """A judge's points between 0 and 1, whatever is asked."""
    return random.beta(2.0, 1.0, believed.shape)


def as_believed(random: np.random.Generator, believed: Floats) -> Floats:
    """Each answer is good with the probability that the current judge states."""
    return (random.random(believed.shape) < believed).astype(np.float64)


NOISE: Final[dict[str, Callable[[np.random.Generator, Floats], Floats]]] = {
    "coins": coins,
    "rates": rates,
    "points": points,
    "as believed": as_believed,
}


def noise(seed: int) -> dict[str, Any]:
    """One retraining on noise: every kind in turn, in every size, with audits and without."""
    kind = list(NOISE)[seed % len(NOISE)]
    size = SIZES[seed // len(NOISE) % len(SIZES)]
    return noise_of(kind, size, seed, audited=seed // (len(NOISE) * len(SIZES)) % 3 != 2)


def noise_of(kind: str, size: int, seed: int, *, audited: bool) -> dict[str, Any]:
    """One retraining of the judge that ships on noise of a kind."""
    current, vectors, believed = shipped_judge()
    random = np.random.default_rng((seed, 11))
    drawn = random.choice(len(vectors), size, replace=False)
    world = World(vectors[drawn], NOISE[kind](random, believed[drawn]))
    tried, verdict = retrained(data_of(world, current.featurise.digest, audited=audited), current, seed)
    return {"kind": kind, "size": size, "audited": audited, **_told(tried, verdict)}


@cache
def shipped_judge() -> tuple[Artefact, NDArray[np.float32], Floats]:
    """The judge that ships, our own asks as it reads them, and what it believes of both models."""
    current = load_default()
    vectors = current.featurise.many([row.ask for row in seed_rows()])
    return current, vectors, qualities(current, vectors, (SMALL, LARGE))


# --- signal, and harm ------------------------------------------------------------------------------------------------


def spoilt(current: Artefact, random: np.random.Generator) -> Artefact:
    """Heads that know little of what they knew: half the generic logit, the rest chance, and a wrong base rate."""
    heads = current.heads.astype(np.float64).copy()
    spread = np.maximum(current.support_spread.astype(np.float64), 1e-3)
    heads[:2, :-2] += random.normal(0.0, 0.06, heads[:2, :-2].shape) / spread
    heads[:2, -2] *= 0.3
    heads[:2, -1] += random.normal(0.0, 0.7, 2)
    return replace(current, heads=heads.astype(np.float32), manifest={})


def flipped(rows: Sequence[LoggedDecision], *, current: Artefact, seed: int) -> Any:
    """Learns from every label turned round."""
    turned = [
        replace(row, labels=tuple(replace(label, score=1.0 - label.score) for label in row.labels)) for row in rows
    ]
    return retrain_from_logs(turned, current, seed=seed)


def shuffled(rows: Sequence[LoggedDecision], *, current: Artefact, seed: int) -> Any:
    """The heads' weights in another order."""
    artefact, report = retrain_from_logs(rows, current, seed=seed)
    heads = artefact.heads.copy()
    order = np.random.default_rng(seed).permutation(heads.shape[1] - 2)
    worlds = artefact.worlds.copy()
    heads[:, :-2] = heads[:, order]
    worlds[:4, :-1] = worlds[:4, order]
    return replace(artefact, heads=heads, worlds=worlds, manifest={}), report


def constant(rows: Sequence[LoggedDecision], *, current: Artefact, seed: int) -> Any:
    """Says the base rate of each tier, whatever is asked."""
    artefact, report = retrain_from_logs(rows, current, seed=seed)
    heads = np.zeros_like(artefact.heads[:2])
    for at, tier in enumerate(("small", "large")):
        scores = [label.score for row in rows if row.model.tier == tier for label in row.labels] or [0.5]
        rate = min(0.98, max(0.02, float(np.mean(scores))))
        heads[at, -1] = np.log(rate / (1.0 - rate))
    return replace(artefact, models=(), tiers=(), heads=heads, manifest={}), report


def over_confident(rows: Sequence[LoggedDecision], *, current: Artefact, seed: int) -> Any:
    """Five times as sure as it should be."""
    artefact, report = retrain_from_logs(rows, current, seed=seed)
    return replace(artefact, heads=artefact.heads * np.float32(5.0), manifest={}), report


WORSE: Final = {"flipped": flipped, "shuffled": shuffled, "constant": constant, "over-confident": over_confident}


def signal(seed: int, folder: Path) -> dict[str, Any]:
    """A spoilt judge retrained as it should be."""
    shipped = load_default()
    name, size, data = _recorded(seed, folder)
    tried, verdict = retrained(data, spoilt(shipped, np.random.default_rng((seed, 13))), seed)
    return {"kind": name, "size": size, **_told(tried, verdict)}


def worse(seed: int, folder: Path) -> dict[str, Any]:
    """A sound judge retrained in a harmful way."""
    shipped = load_default()
    name, size, data = _recorded(seed, folder)
    way = list(WORSE)[seed % len(WORSE)]
    tried, verdict = retrained(data, shipped, seed, partial(WORSE[way], current=shipped, seed=seed))
    return {"kind": way, "size": size, "file": name, **_told(tried, verdict)}


def _recorded(seed: int, folder: Path) -> tuple[str, int, Dataset]:
    """Audited requests out of a file: one answer each, right with the share of the tier's models that were right."""
    name, size = FILES[seed % 2], SIZES[1:][seed // 2 % 3]
    random = np.random.default_rng((seed, 12))
    whole = _world(name, folder)
    drawn = random.choice(len(whole.vectors), size, replace=False)
    scores = (random.random((size, 2)) < whole.scores[drawn]).astype(np.float64)
    return name, size, data_of(World(whole.vectors[drawn], scores), load_default().featurise.digest, audited=True)


@cache
def _world(name: str, folder: Path) -> World:
    paired = pair_tiers(read_outcomes(folder / "outcomes" / f"{name}.jsonl.gz"), load_default().featurise)
    return World(paired.vectors, np.column_stack([paired.small, paired.large]))


# --- telling ---------------------------------------------------------------------------------------------------------


def _told(tried: bool, verdict: Verdict | None) -> dict[str, Any]:
    passed = verdict is not None and verdict.passed
    failed = [check.name for check in verdict.checks if not check.passed] if verdict else []
    return {"candidate": tried, "passed": passed, "failed": failed, "reason": verdict.reason if verdict else None}


def counted(rows: Sequence[dict[str, Any]], by: Sequence[str]) -> dict[str, Any]:
    count, passed = len(rows), sum(row["passed"] for row in rows)
    failed: dict[str, int] = {}
    for row in rows:
        for name in row["failed"]:
            failed[name] = failed.get(name, 0) + 1
    return {
        "retrainings": count,
        "candidates": sum(row["candidate"] for row in rows),
        "passed": passed,
        "share": passed / count if count else None,
        "share_low": float(beta.ppf(0.025, passed, count - passed + 1)) if passed else 0.0,
        "share_high": float(beta.ppf(0.975, passed + 1, count - passed)) if passed < count else 1.0,
        "checks_failed": dict(sorted(failed.items(), key=lambda item: -item[1])),
        "by": {
            name: {
                str(value): {
                    "retrainings": sum(row[name] == value for row in rows),
                    "passed": sum(row["passed"] for row in rows if row[name] == value),
                }
                for value in dict.fromkeys(row[name] for row in rows)
            }
            for name in by
        },
        "reasons": [row["reason"] for row in rows if row["passed"]][:10],
    }


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--noise", type=int, default=200)
    parser.add_argument("--signal", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results" / "gate.json")
    given = parser.parse_args()

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    begun = time.monotonic()
    found: dict[str, Any] = {
        "simulated": "traffic, noise, spoilt judges and harmful fits; recorded: outcomes of signal and worse"
    }
    parts: list[tuple[str, Callable[[int], dict[str, Any]], int, tuple[str, ...]]] = [
        ("noise", noise, given.noise, ("kind", "size", "audited")),
        ("signal", partial(signal, folder=given.data), given.signal, ("kind", "size")),
        ("worse", partial(worse, folder=given.data), given.signal, ("kind", "size")),
    ]
    with multiprocessing.Pool(given.jobs) as pool:
        for name, one, times, by in parts:
            rows = []
            for row in pool.imap(one, range(times)):
                rows.append(row)
                say(f"{name} {len(rows)}: {row}")
            found[name] = counted(rows, by)
            given.out.parent.mkdir(parents=True, exist_ok=True)
            given.out.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    for name in ("noise", "signal", "worse"):
        one = found[name]
        say(f"{name}: {one['passed']} of {one['retrainings']} [{one['share_low']:.3f}, {one['share_high']:.3f}]")
    say(f"{time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
