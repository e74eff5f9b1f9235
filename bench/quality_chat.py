"""Chat prompts written for testing alone: does the judge know task and level, and does 0.35 part easy from hard?

The prompts lie in tests/data/judge_test.jsonl. Their levels and tasks were set by people who wrote them, not measured
on models, so these figures say how far the judge agrees with such people.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from classifiers.contract import AskText
from classifiers.features import names
from classifiers.heuristic import HeuristicClassifier
from classifiers.learned import LearnedClassifier
from classifiers.training import measures
from classifiers.training.dataset import LEVELS, seed_rows
from classifiers.training.judging import assess_all
from classifiers.training.pairing import words_of
from classifiers.training.report import THRESHOLD

FILE: Final = Path(__file__).resolve().parent.parent / "tests/data/judge_test.jsonl"
LENGTH: Final = names().index("units")
FEWEST: Final = 10
"""Prompts below which a language gets no row of its own."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One line of the file."""

    text: str
    earlier: tuple[str, ...]
    level: int
    task: str
    language: str


def prompts() -> list[Prompt]:
    """All of them but those that somebody thought of for training too."""
    trained = {_words(row.ask) for row in seed_rows()}
    rows = map(json.loads, FILE.read_text("utf-8").splitlines())
    written = [
        Prompt(row["prompt"], tuple(row["earlier"])[-2:], LEVELS.index(row["level"]), row["task"], row["language"])
        for row in rows
    ]
    return [prompt for prompt in written if _words(AskText(prompt.text, prompt.earlier)) not in trained]


def _words(ask: AskText) -> tuple[str, ...]:
    return tuple(words_of(turn) for turn in (*ask.earlier, ask.text))


def chat(classifier: LearnedClassifier, seed: int) -> dict[str, Any]:
    """Figures of the judge and of what stands beside it, each {value, low, high}."""
    tested = prompts()
    asks = [AskText(prompt.text, prompt.earlier) for prompt in tested]
    level = np.array([prompt.level for prompt in tested], dtype=np.float64)
    hard = level >= LEVELS.index("hard")
    follow = np.array([bool(prompt.earlier) for prompt in tested])
    judged, ruled = assess_all(classifier, asks), assess_all(HeuristicClassifier(), asks)
    vectors = classifier.artefact.featurise.many(asks)
    mean_level = _mean_level_of_task()
    complexity = np.array([one.complexity for one in judged])
    calls = int(np.sum(complexity >= THRESHOLD))
    random = np.random.default_rng(seed)
    scores = {
        "judge": (complexity, complexity >= THRESHOLD),
        "heuristic": ((by_rule := np.array([one.complexity for one in ruled])), by_rule >= THRESHOLD),
        **{
            name: (score, _highest(score, calls, random))
            for name, score in {
                "task type": np.array([mean_level[prompt.task] for prompt in tested]),
                "length": vectors[:, LENGTH].astype(np.float64),
                "random": random.random(len(tested)),
            }.items()
        },
    }
    right_task = np.array([one.task == prompt.task for one, prompt in zip(judged, tested, strict=True)])
    ruled_task = np.array([one.task == prompt.task for one, prompt in zip(ruled, tested, strict=True)])
    tasks = [prompt.task for prompt in tested]
    always = np.array([task == max(set(tasks), key=tasks.count) for task in tasks])
    languages = np.array([prompt.language for prompt in tested])
    right = scores["judge"][1] == hard
    return {
        "n": len(tested),
        "with_earlier_turns": int(follow.sum()),
        "task_accuracy": {
            "judge": _share(right_task, seed),
            "heuristic": _share(ruled_task, seed),
            "commonest task": _share(always, seed),
        },
        "routers": {
            name: {
                "level_spearman": _of_pairs(measures.spearman, score, level, seed),
                "auc_easy_hard": _of_pairs(measures.auc, score, hard, seed),
                "right_side": _share(to_large == hard, seed),
                "auc_with_earlier_turns": _of_pairs(measures.auc, score[follow], hard[follow], seed),
                "right_side_with_earlier_turns": _share((to_large == hard)[follow], seed),
                "to_large": [float(np.mean(to_large[level == number])) for number in range(len(LEVELS))],
            }
            for name, (score, to_large) in scores.items()
        },
        "by_language": [
            {
                "language": language,
                "n": int(np.sum(languages == language)),
                "task_accuracy": _share(right_task[languages == language], seed),
                "level_spearman": _of_pairs(
                    measures.spearman, complexity[languages == language], level[languages == language], seed
                ),
                "right_side": _share(right[languages == language], seed),
            }
            for language in sorted(set(languages.tolist()), key=lambda one: (-int(np.sum(languages == one)), one))
            if np.sum(languages == language) >= FEWEST
        ],
    }


def _mean_level_of_task() -> dict[str, float]:
    """Of the prompts that were trained on."""
    levels: dict[str, list[int]] = {}
    for row in seed_rows():
        levels.setdefault(row.task, []).append(LEVELS.index(row.level or "easy"))
    return {task: sum(of_task) / len(of_task) for task, of_task in levels.items()}


def _highest(score: NDArray[np.float64], calls: int, random: np.random.Generator) -> NDArray[np.bool_]:
    """As many large calls as the judge makes, so that only the choice differs."""
    chosen = np.zeros(len(score), dtype=bool)
    chosen[np.lexsort((random.random(len(score)), -score))[:calls]] = True
    return chosen


def _share(right: NDArray[np.bool_], seed: int) -> dict[str, float | None]:
    return _plain(measures.bootstrap(lambda i: float(right[i].mean()), len(right), seed, 1000))


def _of_pairs(
    measure: Callable[[Any, Any], float | None], first: Any, second: Any, seed: int
) -> dict[str, float | None]:
    return _plain(measures.bootstrap(lambda i: measure(first[i], second[i]), len(first), seed, 1000))


def _plain(figure: measures.Figure) -> dict[str, float | None]:
    return {"value": figure.value, "low": figure.low, "high": figure.high}
