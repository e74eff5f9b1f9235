"""Two judges on the same canned asks: how many decisions a change of wording moves, and what an assessment takes."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from classifiers.contract import AskText, Classifier
from classifiers.training.compared import BAR
from classifiers.training.dataset import seed_rows
from classifiers.training.evidence import Latency, Steadiness
from classifiers.training.fit import Floats
from classifiers.training.perturbations import KINDS

ASKS: Final = 120
BUDGET_MS: Final = 2.0
"""CPU of one assessment by the tier `fast`, p99: ten times what a common ask takes (docs/benchmarks.md)."""
Read = Callable[[str], AskText]
"""How a gateway would read a text that a caller sends."""


def canned(count: int = ASKS) -> list[str]:
    """Asks of our own in English, of every kind, the same ones every time."""
    texts = sorted({row.ask.text for row in seed_rows() if row.language == "en" and not row.ask.earlier})
    return random.Random(0).sample(texts, min(count, len(texts)))


def steadiness(current: Classifier, candidate: Classifier, read: Read = AskText, *, seed: int = 0) -> Steadiness:
    """Shares of decisions that stay, over all kinds of perturbation."""
    texts = canned()
    before = [_complexities(judge, texts, read) for judge in (current, candidate)]
    to_large = float(np.mean(before[0] >= BAR))
    bars = [BAR, float(np.quantile(before[1], 1.0 - to_large))]
    stay: list[list[Floats]] = [[], []]
    for kind, change in KINDS.items():
        chance = random.Random(f"{seed} {kind}")
        changed = [change(text, chance) for text in texts]
        for side, judge in enumerate((current, candidate)):
            after = _complexities(judge, changed, read) >= bars[side]
            stay[side].append((after == (before[side] >= bars[side])).astype(np.float64))
    return Steadiness(len(texts), float(np.mean(stay[0])), float(np.mean(stay[1])))


def latency(current: Classifier, candidate: Classifier, budget_ms: float = BUDGET_MS) -> Latency:
    """CPU of both, one ask after another by turns, so that what else the machine does meets both alike."""
    asks = [AskText(text) for text in canned()] * 2
    taken: tuple[list[float], list[float]] = ([], [])
    for ask in asks:
        for side, judge in enumerate((current, candidate)):
            begun = time.process_time_ns()
            judge.assess(ask, ())
            taken[side].append((time.process_time_ns() - begun) / 1e6)
    (now50, now99), (then50, then99) = (np.quantile(one, [0.5, 0.99]) for one in taken)
    return Latency(len(asks), float(now50), float(now99), float(then50), float(then99), budget_ms)


def _complexities(judge: Classifier, texts: Sequence[str], read: Read) -> Floats:
    return np.array([judge.assess(read(text), ()).complexity for text in texts])
