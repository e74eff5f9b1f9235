"""How often drift is cried without any, and how soon a shift of domains is found.

    python -m bench.drift [--data DIR] [--out FILE]

On mmlu_pro: some domains are the training window (one half of their questions the reference, the other half traffic
that has not changed), the other domains are what comes then. A window is the last 500 requests. Drawn with replacement,
so traffic is longer than the file; SIMULATED: the order in which questions come, and which of them have labels.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.off_policy import DATA, PAIRS, ROOT
from classifiers.artefact import load_default
from classifiers.learned import LearnedClassifier
from classifiers.training.dataset import read_outcomes
from classifiers.training.drift import PARTS, Reference, Window
from classifiers.training.pairing import pair

OUT: Final = ROOT / "bench/results/drift.json"
WINDOW: Final = 500
QUIET: Final = 500
"""Windows without drift."""
STEP: Final = 50
"""Requests between two looks."""
LABELLED: Final = 0.3
SHARES: Final = (1.0, 0.5, 0.25)
"""Of the traffic that is new after a shift."""


class Traffic:
    """Questions of the file with what a ledger would have of them."""

    def __init__(self, data: Path, seed: int):
        artefact = load_default()
        paired = pair(read_outcomes(data / "mmlu_pro.jsonl.gz"), *PAIRS["mmlu_pro"], artefact.featurise)
        judge = LearnedClassifier(artefact)
        judged = [judge.assess_features(vector, ()) for vector in paired.vectors]
        self.features, self.digest, self.domains = paired.features, artefact.featurise.digest, paired.domains
        self.tasks = np.array([one.task for one in judged])
        self.scores = np.array([one.complexity for one in judged])
        self.small, self.large = paired.small, paired.large
        self.random = np.random.default_rng(seed)

    def window(self, rows: np.ndarray) -> Window:
        labelled = rows[self.random.random(len(rows)) < LABELLED]
        return Window(
            self.features[rows],
            self.digest,
            self.tasks[rows].tolist(),
            self.scores[rows],
            self.small[labelled],
            (self.large - self.small)[labelled],
        )

    def split(self, known: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(reference, unchanged traffic, what comes then) as row numbers."""
        inside = self.random.permutation(np.flatnonzero(np.isin(self.domains, known)))
        return inside[: len(inside) // 2], inside[len(inside) // 2 :], np.flatnonzero(~np.isin(self.domains, known))


def quiet(traffic: Traffic, splits: int = 10) -> dict[str, Any]:
    """Share of windows with an alarm, by part too, over halves of the file taken ten times anew."""
    names = sorted(set(traffic.domains.tolist()))
    alarms: list[tuple[str, ...]] = []
    for _ in range(splits):
        before, after, _none = traffic.split(names)
        reference = Reference.of(traffic.window(before))
        for _ in range(QUIET // splits):
            rows = traffic.random.choice(after, WINDOW, replace=False)
            alarms.append(reference.compare(traffic.window(rows)).alarms)
    return {
        "windows": len(alarms),
        "alarms": sum(map(bool, alarms)) / len(alarms),
        "by_part": {part: sum(part in found for found in alarms) / len(alarms) for part in PARTS},
    }


def shifted(traffic: Traffic, known: list[str], share: float, times: int = 20) -> dict[str, Any]:
    """Requests after the shift until the first alarm, looking every STEP; None where 2,000 were not enough."""
    delays: list[int | None] = []
    parts: list[tuple[str, ...]] = []
    for _ in range(times):
        before, after, new = traffic.split(known)
        reference = Reference.of(traffic.window(before))
        calm = traffic.random.choice(after, WINDOW)
        fresh = np.where(
            traffic.random.random(2000) < share, traffic.random.choice(new, 2000), traffic.random.choice(after, 2000)
        )
        stream = np.concatenate([calm, fresh])
        delay = None
        for seen in range(STEP, len(fresh) + 1, STEP):
            found = reference.compare(traffic.window(stream[seen : seen + WINDOW]))
            if found.drifted:
                delay = seen
                parts.append(found.alarms)
                break
        delays.append(delay)
    found_delays = [delay for delay in delays if delay is not None]
    return {
        "known": known,
        "new_share": share,
        "times": times,
        "within_1000": sum(delay <= 1000 for delay in found_delays) / times,
        "median": float(np.median(found_delays)) if found_delays else None,
        "most": max(found_delays) if found_delays else None,
        "never": times - len(found_delays),
        "first_seen_in": {part: sum(part in names for names in parts) for part in PARTS},
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, default=DATA)
    options.add_argument("--out", type=Path, default=OUT)
    given = options.parse_args()
    traffic = Traffic(given.data, 0)
    names = sorted(set(traffic.domains.tolist()))
    splits = [
        ["chemistry", "engineering", "math", "physics"],
        ["biology", "business", "economics", "psychology"],
        *(sorted(traffic.random.permutation(names)[:5].tolist()) for _ in range(3)),
    ]
    size = len(json.dumps(Reference.of(traffic.window(np.arange(len(traffic.scores)))).to_json()))
    result = {
        "window": WINDOW,
        "looks_every": STEP,
        "reference_bytes": size,
        "quiet": quiet(traffic),
        "shifts": [shifted(traffic, known, share) for known in splits for share in SHARES],
    }
    given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
