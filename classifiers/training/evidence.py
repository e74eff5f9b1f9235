"""All that speaks for and against a candidate, gathered from rows that the judging fits never saw. No verdict here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from classifiers.artefact import Artefact
from classifiers.features import names
from classifiers.training import exchange, slices
from classifiers.training.compared import (
    Comparison,
    Said,
    Singles,
    base_rates,
    compare_said,
    said_of,
    singles,
)
from classifiers.training.fit import Floats
from classifiers.training.forward import Chain
from classifiers.training.measures import Figure
from classifiers.training.rows import Pairs, as_arrays
from classifiers.training.served import qualities
from classifiers.training.slices import Slice

_LENGTH: Final = names().index("units")
_DRAWN: Final = 10
"""Points of a reliability diagram."""


@dataclass(frozen=True, slots=True)
class Paired:
    """What requests that both models answered say; differences are candidate less current, above 0 is better.

    today: the share of the extra bill that the logged choices spent, and at_today the difference there. beside_length,
    beside_chance: the candidate's quality at equal cost less that of sending the longest asks, or any, to the dear one.
    """

    n: int
    priced: bool
    worth: Figure
    at_equal_cost: Figure
    today: float
    at_today: Figure
    beside_length: Figure
    beside_chance: Figure


@dataclass(frozen=True, slots=True)
class InForce:
    """What a promotion would do under the policy in force: ESTIMATED, doubly robust. refusal: why nothing is told.

    quality: difference a request; cost: difference as a share of what the current judge's choices cost. expected: the
    candidate's own quality a request, which `signalbox watch` holds it against.
    """

    policy: str
    requests: int
    effective: float
    refusal: str | None
    quality: Figure | None
    cost: Figure | None
    expected: Figure | None = None


@dataclass(frozen=True, slots=True)
class Steadiness:
    """Shares of decisions that small changes of wording leave as they are, over the same asks. Each judge's bar is
    where it sends as many of them to the large model as the current one does at complexity 0.35."""

    asks: int
    current: float
    candidate: float


@dataclass(frozen=True, slots=True)
class Latency:
    """CPU milliseconds of one assessment, both judges in turn in one process; budget: of p99."""

    asks: int
    current_p50: float
    current_p99: float
    candidate_p50: float
    candidate_p99: float
    budget: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything the gate goes by. What is None was not measured, and `notes` say why."""

    comparison: Comparison
    pairs: Paired | None
    slices: tuple[Slice, ...]
    in_force: InForce | None = None
    steadiness: Steadiness | None = None
    latency: Latency | None = None
    notes: tuple[str, ...] = ()
    drawn: dict[str, Any] = field(default_factory=dict)
    """Points of the plots."""


def gather(links: Chain, current: Artefact, seed: int) -> Evidence:
    """Judges every held-out row by the fit that precedes it, and by the current judge."""
    digest, size = current.featurise.digest, current.featurise.size
    given, said, base = _labels(links, current, digest, size)
    comparison = compare_said(given, said[0], said[1], base, seed)
    found = slices.of_labels(given, said[0], said[1], seed)
    pairs, gains = _pairs(links, current, digest)
    paired: Paired | None = None
    curves: dict[str, Any] = {}
    if len(pairs):
        paired, curves = _weighed(pairs, gains, seed)
        found += slices.of_pairs(pairs, gains[0], gains[1], seed)
    drawn = {"reliability": {"current": _reliability(said[0].shares, given.scores)}, "curves": curves}
    drawn["reliability"]["candidate"] = _reliability(said[1].shares, given.scores)
    return Evidence(comparison, paired, slices.corrected(found), drawn=drawn)


def _labels(links: Chain, current: Artefact, digest: str, size: int) -> tuple[Singles, tuple[Said, Said], Floats]:
    parts, ours, base = [], [], []
    for block in links.blocks:
        part = singles(block.logged, digest, size)
        if len(part):
            parts.append(part)
            ours.append(said_of(block.judge, part))
            base.append(base_rates(block.learned, part))
    given = _together(parts, size)
    theirs = said_of(current, given)
    if not parts:
        return given, (theirs, theirs), np.zeros(0)
    shares, complexity = ([getattr(one, name) for one in ours] for name in ("shares", "complexity"))
    candidate = Said(np.concatenate(shares), np.concatenate(complexity))
    return given, (theirs, candidate), np.concatenate(base)


def _together(parts: Sequence[Singles], size: int) -> Singles:
    """An ask stands in one part only: its rows all have the time at which it was first seen."""
    if not parts:
        none = np.zeros(0)
        return Singles((), np.zeros((0, size), np.float32), none, none, none.astype(np.intp))
    asks, before = [], 0
    for part in parts:
        asks.append(part.asks + before)
        before += int(part.asks.max()) + 1
    return Singles(
        tuple(row for part in parts for row in part.rows),
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.weights for part in parts]),
        np.concatenate(asks),
    )


def _pairs(links: Chain, current: Artefact, digest: str) -> tuple[Pairs, tuple[Floats, Floats]]:
    rows = [pair for block in links.blocks for pair in block.pairs]
    pairs = as_arrays(rows)
    if not len(pairs):
        return pairs, (np.zeros(0), np.zeros(0))
    theirs = pairs.gains(qualities(current, pairs.features, pairs.cards))
    ours = np.zeros(len(pairs))
    judged = {pair.request_id: at for at, block in enumerate(links.blocks) for pair in block.pairs}
    of_block = np.array([judged[pair.request_id] for pair in pairs.rows])
    for at, block in enumerate(links.blocks):
        if (of_block == at).any():
            ours[of_block == at] = pairs.gains(qualities(block.judge, pairs.features, pairs.cards))[of_block == at]
    return pairs, (theirs, ours)


def _weighed(pairs: Pairs, gains: tuple[Floats, Floats], seed: int) -> tuple[Paired, dict[str, Any]]:
    current, candidate = gains
    gained, extra = pairs.gained, pairs.extra
    length = pairs.features[:, _LENGTH].astype(np.float64)
    today = float(extra[pairs.own_dear].sum() / extra.sum())
    none = np.zeros(len(pairs))
    found = Paired(
        n=len(pairs),
        priced=pairs.priced,
        worth=exchange.worth(current, candidate, gained, seed),
        at_equal_cost=exchange.at_equal_cost(current, candidate, gained, extra, seed),
        today=today,
        at_today=exchange.at_one_bill(current, candidate, gained, extra, today, seed),
        beside_length=exchange.at_equal_cost(length, candidate, gained, extra, seed),
        beside_chance=exchange.at_equal_cost(none, candidate, gained, extra, seed),
    )
    judges = {"candidate": candidate, "current": current, "prompt length": length, "random": none}
    curves = {name: exchange.Curve(by, gained, extra).points() for name, by in judges.items()}
    return found, {"today": today, "quality": curves}


def _reliability(shares: Floats, scores: Floats) -> list[dict[str, float]]:
    """Stated and seen shares of good answers by tenths of the rows."""
    order = np.argsort(shares, kind="stable")
    parts = [part for part in np.array_split(order, min(_DRAWN, len(order) or 1)) if len(part)]
    return [
        {
            "stated": float(shares[part].mean()),
            "seen": float(scores[part].mean()),
            "half": 1.96 * float(scores[part].std()) / len(part) ** 0.5,
            "n": len(part),
        }
        for part in parts
    ]
