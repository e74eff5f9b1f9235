"""Two models of an outcome file side by side: the queries both answered, as arrays, with what the answers cost.

What cannot be compared is refused here with the row's name, so that no figure further on rests on a broken cell.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from classifiers.contract import AskText
from classifiers.errors import TrainingError
from classifiers.features import FeatureFunction, names
from classifiers.training.dataset import LARGE_MODELS, NEITHER, OutcomeRow
from classifiers.training.fit import Floats

LARGE_PRICE: Final = 24.7
SMALL_PRICE: Final = 0.24
"""Dollars per million tokens where the file gives no costs: GPT-4-1106 and Mixtral-8x7B as in arXiv 2406.18665."""
OUTPUT_TOKENS: Final = 300.0
"""Taken for an answer whose length the file does not give."""
LENGTH: Final = names().index("units")
_TOKENS_PER_WORD: Final = 1.35


@dataclass(frozen=True)
class Paired:
    """Queries with both models' scores; n rows. vectors: (n, d). costs: dollars by answer, (n,).

    groups: rows of a group (the same query or the same id) are never on both sides of a split.
    """

    queries: tuple[str, ...]
    vectors: NDArray[np.float32]
    small: Floats
    large: Floats
    small_cost: Floats
    large_cost: Floats
    domains: NDArray[np.str_]
    groups: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.queries)

    def part(self, rows: NDArray[np.intp]) -> Paired:
        """Some of the rows, in that order."""
        return Paired(
            queries=tuple(self.queries[row] for row in rows),
            vectors=self.vectors[rows],
            small=self.small[rows],
            large=self.large[rows],
            small_cost=self.small_cost[rows],
            large_cost=self.large_cost[rows],
            domains=self.domains[rows],
            groups=tuple(self.groups[row] for row in rows),
        )

    @cached_property
    def features(self) -> Floats:
        """The vectors as learning from one's own traffic sees them: in float16, which is what the ledger keeps."""
        rounded: Floats = self.vectors.astype(np.float16).astype(np.float64)
        return rounded

    @cached_property
    def asks(self) -> list[AskText]:
        return [AskText(query) for query in self.queries]

    @property
    def large_is_better(self) -> NDArray[np.bool_]:
        return self.large > self.small


def pair(rows: Sequence[OutcomeRow], small: str, large: str, featurise: FeatureFunction) -> Paired:
    """The rows with outcomes of both models. Raises TrainingError if there are none or a cell makes no sense."""
    both = [row for row in rows if small in row.scores and large in row.scores]
    if not both:
        known = sorted({model for row in rows for model in row.scores})
        knows = f"the rows know {', '.join(known)}" if known else "there are no rows with outcomes"
        raise TrainingError(f"no row has outcomes of both {small!r} and {large!r}; {knows}")
    vectors = featurise.many([AskText(row.query) for row in both])
    return Paired(
        queries=tuple(row.query for row in both),
        vectors=vectors,
        small=np.array([_score(row, small) for row in both]),
        large=np.array([_score(row, large) for row in both]),
        small_cost=_costs(both, small, SMALL_PRICE, vectors),
        large_cost=_costs(both, large, LARGE_PRICE, vectors),
        domains=np.array([row.domain for row in both]),
        groups=tuple(_groups(both)),
    )


def pair_tiers(rows: Sequence[OutcomeRow], featurise: FeatureFunction) -> Paired:
    """The same for the mean of all small and the mean of all large models of a file, for want of two named ones."""
    averaged = []
    for row in rows:
        tiers = {
            "small": [score for model, score in row.scores.items() if model not in LARGE_MODELS | NEITHER],
            "large": [score for model, score in row.scores.items() if model in LARGE_MODELS],
        }
        scores = {tier: sum(found) / len(found) for tier, found in tiers.items() if found}
        none = dict.fromkeys(scores)
        averaged.append(OutcomeRow(row.query_id, row.domain, row.query, scores, dict(none), dict(none)))
    return pair(averaged, "small", "large", featurise)


def _score(row: OutcomeRow, model: str) -> float:
    score = row.scores[model]
    if not 0.0 <= score <= 1.0:  # NaN too
        raise TrainingError(f"{row.query_id}: {model} has the score {score}, which is not in 0..1")
    return score


def _costs(rows: Sequence[OutcomeRow], model: str, price: float, vectors: NDArray[np.float32]) -> Floats:
    return costs_at(rows, model, (price, price), vectors)


def costs_at(
    rows: Sequence[OutcomeRow], model: str, price: tuple[float, float], vectors: NDArray[np.float32]
) -> Floats:
    """Dollars by answer, (n,): the file's own where every row has one, else tokens in and out at the price.

    price: dollars per million tokens in, and out. vectors: (n, d), by which the length of the queries is known.
    """
    given = [row.costs[model] for row in rows]
    if all(cost is not None for cost in given):
        return np.array([_amount(row, cost, "cost_usd") for row, cost in zip(rows, given, strict=True)])
    costs: Floats = (tokens_in(vectors) * price[0] + tokens_out(rows, model) * price[1]) * 1e-6
    return costs


def tokens_in(vectors: NDArray[np.float32]) -> Floats:
    """Tokens of each query, estimated by its words; (n,)."""
    tokens: Floats = np.expm1(vectors[:, LENGTH].astype(np.float64)) * _TOKENS_PER_WORD
    return tokens


def tokens_out(rows: Sequence[OutcomeRow], model: str) -> Floats:
    """Tokens of each answer, (n,); OUTPUT_TOKENS where the file does not say."""
    return np.array(
        [
            OUTPUT_TOKENS
            if row.output_tokens[model] is None
            else _amount(row, row.output_tokens[model], "output_tokens")
            for row in rows
        ]
    )


def _amount(row: OutcomeRow, value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise TrainingError(f"{row.query_id}: {what} is {value!r}")
    return float(value)


def words_of(query: str) -> str:
    """What is the same for queries that differ in case, signs and spaces only."""
    return " ".join(re.findall(r"\w+", query.lower())) or query


def _groups(rows: Sequence[OutcomeRow]) -> list[str]:
    """A name for each row, shared by rows with the same id and by those with the same words."""
    by_words: dict[str, str] = {}
    by_id: dict[str, str] = {}
    groups = []
    for row in rows:
        words = words_of(row.query)
        group = by_id.get(row.query_id) or by_words.get(words) or row.query_id
        by_id.setdefault(row.query_id, group)
        by_words.setdefault(words, group)
        groups.append(group)
    return groups
