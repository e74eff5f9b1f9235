"""What labels of one's own would teach: judges fitted on rows with outcomes of both models, asked about other rows.

Three readers of an ask are averaged: linear heads and boosted trees on the features that the ledger keeps, and words
and pairs of words (which need the texts, so a ledger that logs them). Words alone win in a known domain and lose on a
new one; each of the three is the best somewhere, and none of them everywhere. Beside them stands what linear heads, the
ones that serve, would learn alone. How the readers were chosen is told in docs/routing-quality.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.linear_model import Ridge

from classifiers.errors import TrainingError
from classifiers.training.calibrate import fit_slope_and_shift, sigmoid
from classifiers.training.fit import Floats, fit_quality, folds, logits, one_thread
from classifiers.training.pairing import Paired, words_of

Indices = NDArray[np.intp]
Split = tuple[Indices, Indices]
"""(rows learned from, rows judged)."""

STRENGTH: Final = 0.001
"""Of the linear heads. 0.03 ranked worse on both training files; one liked 0.003 a little better, the other 0.0005."""
RIDGE: Final = 3.0
ENOUGH: Final = 250
"""Labels with which the large model's share is believed by half; see `_opinions`."""
FEWEST: Final = 10
"""Labels below which nothing is fitted."""
DRAWS: Final = 5
"""How many different few labels are drawn where only so many may be learned from."""


@dataclass(frozen=True, slots=True)
class Opinions:
    """Of every row, several times where labels were drawn several times: shapes (draws, n).

    score: the highest go to the large model first. share: P(small is good).
    """

    score: Floats
    share: Floats


def in_folds(paired: Paired, count: int, seed: int, labels: int | None = None, *, linear: bool = False) -> Opinions:
    """Every row judged by readers fitted on the other folds, by the difference of both models' shares.

    labels: learn from only so many rows of each training part, DRAWS times. linear: by linear heads alone. Raises
    TrainingError for too few rows.
    """
    if len(set(paired.groups)) < count:
        raise TrainingError(f"{len(set(paired.groups))} different queries cannot be cut into {count} folds")
    splits = list(folds(list(paired.groups), count, seed))
    return _held_out(paired, splits, labels, _Way(familiar=True, linear=linear, seed=seed))


def domain_by_domain(paired: Paired, seed: int, labels: int | None = None, *, linear: bool = False) -> Opinions:
    """Every domain judged by readers fitted on all others, by P(small fails) alone: see `_opinions`."""
    names = sorted(set(paired.domains.tolist()))
    if len(names) < 2:
        raise TrainingError(f"only the domain {names[0]!r} is there: none can be left out")
    splits = [(np.flatnonzero(paired.domains != name), np.flatnonzero(paired.domains == name)) for name in names]
    return _held_out(paired, splits, labels, _Way(familiar=False, linear=linear, seed=seed))


def from_others(
    taught: Paired, paired: Paired, seed: int, labels: int | None = None, *, linear: bool = False
) -> Opinions:
    """The rows of `paired` judged by readers fitted on `taught`, less the queries that both hold."""
    # By their words: ids of different files may well be the same numbers.
    known = set(map(words_of, paired.queries))
    kept = np.flatnonzero([words_of(query) not in known for query in taught.queries])
    if not len(kept):
        raise TrainingError(
            "every query with both models in the files to learn from is in the file that is scored, too"
        )
    lesson, exam = _Material.of(taught), _Material.of(paired)
    way = _Way(set(paired.domains.tolist()) <= set(taught.domains[kept].tolist()), linear, seed)
    everything = np.arange(len(paired))
    drawn = [_opinions(lesson, part, exam, everything, way) for part in _drawn(kept, labels, seed)]
    return Opinions(np.stack([score for score, _ in drawn]), np.stack([share for _, share in drawn]))


@dataclass(frozen=True, slots=True)
class _Way:
    """How to learn. familiar: the domains of what is judged are among those learned from."""

    familiar: bool
    linear: bool
    seed: int


@dataclass(frozen=True, slots=True)
class _Material:
    """What the readers read of some queries, and what is known of them."""

    features: Floats
    words: Any
    small: Floats
    large: Floats
    domains: list[str]
    groups: list[str]

    @classmethod
    def of(cls, paired: Paired) -> _Material:
        counts = HashingVectorizer(n_features=2**18, norm=None, alternate_sign=False, ngram_range=(1, 2))
        words = counts.transform(paired.queries)
        return cls(paired.features, words, paired.small, paired.large, paired.domains.tolist(), list(paired.groups))


def _held_out(paired: Paired, splits: Sequence[Split], labels: int | None, way: _Way) -> Opinions:
    material = _Material.of(paired)
    draws = DRAWS if labels is not None else 1
    opinions = Opinions(np.zeros((draws, len(paired))), np.zeros((draws, len(paired))))
    for seen, unseen in splits:
        for draw, part in enumerate(_drawn(seen, labels, way.seed)):
            score, share = _opinions(material, part, material, unseen, way)
            opinions.score[draw, unseen], opinions.share[draw, unseen] = score, share
    return opinions


def _drawn(seen: Indices, labels: int | None, seed: int) -> Iterator[Indices]:
    if labels is None:
        yield seen
        return
    for draw in range(DRAWS):
        yield np.random.default_rng((seed, draw)).permutation(seen)[:labels]


def _opinions(lesson: _Material, seen: Indices, exam: _Material, unseen: Indices, way: _Way) -> tuple[Floats, Floats]:
    """(score, P(small is good)) of the unseen rows.

    On domains that were seen the gain, large minus small, ranks best, once there are labels enough for a difference of
    two uncertain shares; with few of them the large model's share counts less. On new domains it is noise that costs
    ranking, and P(small fails) alone is safer.
    """
    if len(seen) < FEWEST:
        raise TrainingError(f"{len(seen)} labelled rows are too few to learn from; {FEWEST} are needed")
    with one_thread():
        small = _share(lesson, lesson.small, seen, exam, unseen, way)
        if not way.familiar:
            return 1.0 - small, small
        large = _share(lesson, lesson.large, seen, exam, unseen, way)
    return large * len(seen) / (len(seen) + ENOUGH) - small, small


def _share(lesson: _Material, labels: Floats, seen: Indices, exam: _Material, unseen: Indices, way: _Way) -> Floats:
    """P(good) of the unseen rows, with slope and shift learned on a third of the seen rows held out for it."""
    read = _linear if way.linear else _all_three
    groups = lesson.groups if way.familiar else lesson.domains
    named = [groups[index] for index in seen]
    logit = _logit(read(lesson, labels, seen, exam, unseen))
    if len(set(named)) < 3:
        return sigmoid(logit)
    inner, outer = next(iter(folds(named, 3, way.seed)))
    held_out = _logit(read(lesson, labels, seen[inner], lesson, seen[outer]))
    slope, shift = fit_slope_and_shift(held_out, labels[seen[outer]], np.ones(len(outer)))
    return sigmoid(slope * logit + shift)


def _all_three(lesson: _Material, labels: Floats, seen: Indices, exam: _Material, unseen: Indices) -> Floats:
    read = (_linear, _boosted, _worded)
    shares: Floats = np.mean([way(lesson, labels, seen, exam, unseen) for way in read], axis=0)
    return shares


def _linear(lesson: _Material, labels: Floats, seen: Indices, exam: _Material, unseen: Indices) -> Floats:
    head = fit_quality(lesson.features[seen], labels[seen], np.ones(len(seen)), STRENGTH)
    return sigmoid(logits(head, exam.features[unseen]))


def _boosted(lesson: _Material, labels: Floats, seen: Indices, exam: _Material, unseen: Indices) -> Floats:
    trees = HistGradientBoostingRegressor(
        max_iter=50, learning_rate=0.1, max_leaf_nodes=8, min_samples_leaf=min(40, max(5, len(seen) // 15)),
        max_features=0.15, max_bins=32, early_stopping=False, random_state=0,
    )  # fmt: skip
    shares: Floats = trees.fit(lesson.features[seen], labels[seen]).predict(exam.features[unseen])
    return shares


def _worded(lesson: _Material, labels: Floats, seen: Indices, exam: _Material, unseen: Indices) -> Floats:
    weigh = TfidfTransformer(sublinear_tf=True)
    ridge = Ridge(RIDGE, solver="sparse_cg", tol=1e-3)
    ridge.fit(weigh.fit_transform(lesson.words[seen]), labels[seen])
    shares: Floats = ridge.predict(weigh.transform(exam.words[unseen]))
    return shares


def _logit(shares: Floats) -> Floats:
    bounded = np.clip(shares, 0.01, 0.99)
    logit: Floats = np.log(bounded / (1.0 - bounded))
    return logit
