"""Logged requests ready for a retraining: repeats of an ask joined, and the pairs that two models answered.

Everything of one ask sits at the time it was first seen. So no ask is on both sides of a cut in time, and nothing is
judged by who learned from its repeat.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifiers.contract import Label, LoggedDecision, ModelCard
from classifiers.training.fit import Floats


@dataclass(frozen=True, slots=True)
class Half:
    """One of two answers to a request: by whom, how good by the judge of both, and for how many dollars."""

    model: ModelCard
    score: float
    cost_usd: float | None


@dataclass(frozen=True, slots=True)
class Pair:
    """A request that two models answered and one judge scored. own: of the answer that went out."""

    request_id: str
    at_unix: float
    tenant: str
    task: str
    language: str
    features: NDArray[np.float32]
    own: Half
    other: Half
    input_tokens: int


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs as arrays, n of them, oldest first. cheap, dear: (n,), places in `cards`; of a pair the dear model is the
    one that costs more on average. gained: (n,), the dear model's score less the cheap one's. extra: (n,), what the
    dear answer costs more, dollars, or 1 each where costs are unknown (priced: False). own_dear: it answered."""

    rows: tuple[Pair, ...]
    cards: tuple[ModelCard, ...]
    features: NDArray[np.float32]
    cheap: NDArray[np.intp]
    dear: NDArray[np.intp]
    gained: Floats
    extra: Floats
    own_dear: NDArray[np.bool_]
    priced: bool

    def __len__(self) -> int:
        return len(self.rows)

    def gains(self, quality: Floats) -> Floats:
        """The predicted gain of the dear model, (n,). quality: (n, len(cards))."""
        at = np.arange(len(self.rows))
        gains: Floats = quality[at, self.dear] - quality[at, self.cheap]
        return gains


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a retraining goes by. logged: one row for each ask and model, oldest first. repeats: rows joined away."""

    logged: tuple[LoggedDecision, ...]
    pairs: tuple[Pair, ...]
    repeats: int


def join_repeats(logged: Iterable[LoggedDecision], pairs: Sequence[Pair] = ()) -> Dataset:
    """One row for each ask and model, with the labels of all of them; of pairs the first of each ask.

    Asks are told apart by their features, which are all that a head can see of them; rows without any stay as they are.
    """
    first: dict[bytes, float] = {}
    kept: dict[tuple[bytes, str], list[LoggedDecision]] = {}
    alone: list[LoggedDecision] = []
    count = 0
    for row in logged:
        count += 1
        if row.features is None:
            alone.append(row)
            continue
        key = key_of(row.features)
        first[key] = min(row.at_unix, first.get(key, row.at_unix))
        kept.setdefault((key, row.model.model.lower()), []).append(row)
    for pair in pairs:
        key = key_of(pair.features)
        first[key] = min(pair.at_unix, first.get(key, pair.at_unix))
    joined = [_joined(rows, first[key]) for (key, _), rows in kept.items()]
    of_ask: dict[bytes, Pair] = {}
    for pair in sorted(pairs, key=lambda pair: (pair.at_unix, pair.request_id)):
        key = key_of(pair.features)
        of_ask.setdefault(key, replace(pair, at_unix=first[key]))
    ordered = sorted([*alone, *joined], key=lambda row: (row.at_unix, row.request_id))
    firsts = sorted(of_ask.values(), key=lambda pair: (pair.at_unix, pair.request_id))
    return Dataset(tuple(ordered), tuple(firsts), count - len(ordered))


def key_of(features: NDArray[Any]) -> bytes:
    """Names an ask by its features, in the precision that the ledger keeps."""
    return blake2b(np.asarray(features).astype("<f2").tobytes(), digest_size=16).digest()


def as_arrays(pairs: Sequence[Pair]) -> Pairs:
    """The pairs of two different models with features of one shape."""
    kept = [pair for pair in pairs if pair.own.model.model.lower() != pair.other.model.model.lower()]
    cards: dict[str, ModelCard] = {}
    costs: dict[str, list[float]] = {}
    for pair in kept:
        for half in (pair.own, pair.other):
            name = half.model.model.lower()
            cards.setdefault(name, half.model)
            costs.setdefault(name, []).append(np.nan if half.cost_usd is None else half.cost_usd)
    place = {name: at for at, name in enumerate(cards)}
    known = {name: [cost for cost in found if cost == cost] for name, found in costs.items()}
    priced = bool(known) and all(known.values()) and any(cost > 0.0 for found in known.values() for cost in found)
    mean = {name: float(np.mean(found)) for name, found in known.items()} if priced else {}
    if not priced:
        mean = {name: float(card.tier != "small") for name, card in cards.items()}
    size = len(kept[0].features) if kept else 0
    features = np.zeros((len(kept), size), np.float32)
    cheap, dear = np.zeros(len(kept), np.intp), np.zeros(len(kept), np.intp)
    gained, extra, own_dear = np.zeros(len(kept)), np.ones(len(kept)), np.zeros(len(kept), bool)
    for at, pair in enumerate(kept):
        own, other = pair.own.model.model.lower(), pair.other.model.model.lower()
        own_dear[at] = (mean[own], own) > (mean[other], other)
        high, low = (pair.own, pair.other) if own_dear[at] else (pair.other, pair.own)
        features[at] = np.nan_to_num(pair.features)
        dear[at], cheap[at] = place[high.model.model.lower()], place[low.model.model.lower()]
        gained[at] = high.score - low.score
        if priced:
            more, less = (
                mean[one.model.model.lower()] if one.cost_usd is None else one.cost_usd for one in (high, low)
            )
            extra[at] = max(0.0, more - less)
    if not extra.any():
        extra[:] = 1.0
    return Pairs(tuple(kept), tuple(cards.values()), features, cheap, dear, gained, extra, own_dear, priced)


def _joined(rows: Sequence[LoggedDecision], at_unix: float) -> LoggedDecision:
    first = min(rows, key=lambda row: (row.at_unix, row.request_id))
    if len(rows) == 1:
        return first if first.at_unix == at_unix else replace(first, at_unix=at_unix)
    return replace(first, at_unix=at_unix, labels=tuple(label for row in rows for label in _kept(row, first)))


def _kept(row: LoggedDecision, first: LoggedDecision) -> tuple[Label, ...]:
    """A row's labels, that still say whose request they were given for when it becomes another's."""
    asker = (row.tenant, row.key)
    if asker == (first.tenant, first.key):
        return row.labels
    return tuple(replace(label, of=asker) for label in row.labels)
