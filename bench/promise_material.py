"""The pairs of models that `bench/promise.py` measures: their rows, what ranks them, and what their answers cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np

from classifiers.learned import LearnedClassifier
from classifiers.training import agreement, own_labels, promise
from classifiers.training.dataset import OutcomeRow, read_outcomes
from classifiers.training.fit import Floats, folds
from classifiers.training.judging import assess_all
from classifiers.training.own_labels import Opinions
from classifiers.training.pairing import LARGE_PRICE, LENGTH, SMALL_PRICE, Paired, costs_at, pair
from classifiers.training.promise import Plan

SEED: Final = 0
SPLITS: Final = 500
FOLDS: Final = 5

MIXTRAL, GPT4 = "mistralai/Mixtral-8x7B-Instruct-v0.1", "gpt-4-1106-preview"
LLAMA, PHI, MATHSTRAL = "Meta-Llama-3_1-8B-Instruct", "Phi-3-mini-4k-instruct", "mathstral-7B"
FLASH, PRO = "gemini-1.5-flash-002", "gemini-1.5-pro-002"
MISTRAL, NEMOTRON = "mistral-7b-instruct-v0.3", "llama-3.1-nemotron-51b-instruct"
TRIO: Final = (LLAMA, PHI, MATHSTRAL)

SMALL_LIST: Final = (0.05, 0.08)
"""Dollars per million tokens in and out: Groq's list price of Llama-3.1-8B in 2025, taken for every model to 9B."""
DEAR_LIST: Final = (0.20, 0.20)
"""Together's list price of models from 4B to 8B in 2025: what four times dearer votes would mean."""
LISTED: Final[Mapping[str, tuple[float, float]]] = {
    GPT4: (LARGE_PRICE, LARGE_PRICE),
    MIXTRAL: (SMALL_PRICE, SMALL_PRICE),
    PRO: (1.25, 5.00),
    FLASH: (0.075, 0.30),
    NEMOTRON: (0.59, 0.79),
}
"""RouteLLM's own for the first two; Google's lists of October 2024; Groq's of Llama-3.3-70B for the 51B model."""


@dataclass(frozen=True)
class Case:
    """Two models of a file. checked: the first's answers are in the file, so that they can be compared and checked."""

    file: str
    small: str
    large: str
    checked: bool = False
    held_out: bool = False
    """Nothing of it was in the training data of the judge that ships."""


CASES: Final = (
    Case("routellm_mmlu", MIXTRAL, GPT4, held_out=True),
    Case("mmlu_pro", LLAMA, PRO, checked=True),
    Case("mmlu_pro", FLASH, PRO, checked=True),
    Case("mixed_tasks", MISTRAL, NEMOTRON),
)


class Material:
    """One case's rows with all that ranks them, each fitted at most once."""

    def __init__(self, case: Case, data: Path, judge: LearnedClassifier):
        self.case, self.judge = case, judge
        everything = read_outcomes(data / f"{case.file}.jsonl.gz")
        self.paired: Paired = pair(everything, case.small, case.large, judge.artefact.featurise)
        self.rows: list[OutcomeRow] = [row for row in everything if {case.small, case.large} <= row.scores.keys()]
        self.large_cost = self.cost(case.large)
        self.splits = promise.halves(self.paired.groups, SEED, SPLITS)

    def cost(self, model: str, price: tuple[float, float] | None = None) -> Floats:
        return costs_at(self.rows, model, price or LISTED.get(model, SMALL_LIST), self.paired.vectors)

    def text_only(self, trust: Floats) -> Plan:
        paired = self.paired
        return agreement.before_asking(trust, paired.small, paired.large, self.cost(self.case.small), self.large_cost)

    def agree(self, voters: Sequence[str], quality: Floats, price: tuple[float, float] | None = None) -> Plan:
        polled = agreement.poll(self.rows, voters)
        asking = sum(
            (self.cost(voter, None if voter in LISTED else price) for voter in voters), np.zeros(len(self.rows))
        )
        return agreement.agreeing(polled, quality, self.paired.large, asking, self.large_cost)

    def cascade(self, quality: Floats) -> Plan:
        small = self.case.small
        return agreement.cascading(self.rows, small, quality, self.paired.large, self.cost(small), self.large_cost)

    @cached_property
    def random(self) -> Floats:
        return np.random.default_rng(SEED).random(len(self.paired))

    @cached_property
    def oracle(self) -> Floats:
        """The true gain, least first; equal gains in random order."""
        trust: Floats = (1.0 + self.paired.small - self.paired.large) / 2 + 1e-6 * self.random
        return trust

    @cached_property
    def length(self) -> Floats:
        """Short ones first; 0..1 by rank, equal lengths alike."""
        _, numbers = np.unique(self.paired.features[:, LENGTH], return_inverse=True)
        shares: Floats = 1.0 - numbers / max(int(numbers.max()), 1)
        return shares

    @cached_property
    def task_type(self) -> Floats:
        """1 - mean gain of the row's domain in the other folds."""
        gain, domains = self.paired.large - self.paired.small, self.paired.domains
        trust = np.zeros(len(gain))
        for seen, unseen in folds(list(self.paired.groups), FOLDS, SEED):
            means = {name: float(gain[seen][domains[seen] == name].mean()) for name in set(domains[seen].tolist())}
            trust[unseen] = [1.0 - max(0.0, means.get(name, float(gain[seen].mean()))) for name in domains[unseen]]
        return trust

    @cached_property
    def shipped(self) -> Floats:
        return 1.0 - np.array([one.complexity for one in assess_all(self.judge, self.paired.asks, self.paired.vectors)])

    @cached_property
    def own(self) -> Floats:
        """1 - predicted loss, by all readers fitted on the other folds."""
        return unharmed(own_labels.in_folds(self.paired, FOLDS, SEED).score[0])

    @cached_property
    def own_linear(self) -> Floats:
        return unharmed(self._linear.score[0])

    @cached_property
    def own_linear_share(self) -> Floats:
        """P(small is good), by linear heads fitted on the other folds: what a judge says that has learned."""
        return self._linear.share[0]

    @cached_property
    def _linear(self) -> Opinions:
        return own_labels.in_folds(self.paired, FOLDS, SEED, linear=True)

    @cached_property
    def unseen(self) -> Floats:
        """P(small is good), by all readers fitted on the other domains."""
        return own_labels.domain_by_domain(self.paired, SEED).share[0]

    @cached_property
    def second(self) -> str:
        """Of the models to 9B, the one that gives the first model's answer most often: chosen without any label."""
        first = [row.answers[self.case.small] for row in self.rows]
        others = [name for name in TRIO if name != self.case.small] + [
            name
            for name in sorted(self.rows[0].answers)
            if name not in {*TRIO, *LISTED} and "70B" not in name and "8x7B" not in name
        ]

        def agrees(name: str) -> int:
            return sum(
                answer is not None and row.answers[name] == answer for row, answer in zip(self.rows, first, strict=True)
            )

        return max(others, key=agrees)


def unharmed(score: Floats) -> Floats:
    """1 - predicted loss, 0..1; as `classifiers.trust.unharmed`, for many rows."""
    shares: Floats = 1.0 - np.clip(score, 0.0, 1.0)
    return shares
