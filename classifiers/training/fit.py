"""Fits the heads. The only file that imports scikit-learn; what comes out is plain arrays.

A quality label is a share, not a yes or no, so each row enters once as good with that weight and once as bad with
the rest of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from classifiers.heuristic import rule

Floats = NDArray[np.float64]

FLOOR_OF_SPREAD: Final = 0.05
"""Added to each column's spread, so that a column which hardly moved in training cannot shout at serving."""

GUIDE: Final = 10.0
"""How much louder than other columns the rules speak; 10 and 30 had the same held-out losses."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """Mean and spread by column, shapes (d,), of the weighted training rows."""

    mean: Floats
    spread: Floats

    @classmethod
    def of(cls, features: Floats, weights: Floats) -> Scaling:
        mean = np.average(features, axis=0, weights=weights)
        return cls(mean, np.sqrt(np.average((features - mean) ** 2, axis=0, weights=weights)) + FLOOR_OF_SPREAD)

    def apply(self, features: Floats) -> Floats:
        return (features - self.mean) / self.spread

    def fold_in(self, coefficients: Floats, intercepts: Floats) -> Floats:
        """Heads for raw features, shape (h, d + 1), from coefficients (h, d) and intercepts (h,) for scaled ones."""
        raw = coefficients / self.spread
        return np.hstack([raw, (intercepts - raw @ self.mean)[:, None]])


def fit_quality(features: Floats, labels: Floats, weights: Floats, strength: float) -> Floats:
    """One quality head, shape (d + 1,). labels: shares, shape (n,). strength: scikit-learn's C per mean weight one.

    The heuristic's rules enter as one more column, GUIDE times as loud as the others, so that regularisation hardly
    touches it: a head departs from the rules only where the rows say so. On chat tasks and languages left out that
    ranked better than rows or rules alone. Rules are linear, so the column folds away.
    """
    overall = float(np.average(labels, weights=weights))
    if overall in (0.0, 1.0):  # nothing to tell apart
        return np.append(np.zeros(features.shape[1]), 4.0 if overall else -4.0)
    scaling = Scaling.of(features, weights)
    rules = rule(features.shape[1]).astype(np.float64)
    loudness = GUIDE / max(float((features @ rules).std()), 1e-9)
    scaled = scaling.apply(features)
    design = np.hstack([scaled, (((features - scaling.mean) @ rules) * loudness)[:, None]])
    doubled = np.vstack([design, design])
    classes = np.repeat([1, 0], len(labels))
    shares = np.concatenate([labels * weights, (1.0 - labels) * weights]) / weights.mean()
    used = shares > 0
    model = LogisticRegression(C=strength, max_iter=500, tol=1e-5)
    with one_thread():
        model.fit(doubled[used], classes[used], sample_weight=shares[used])
    raw = model.coef_[0, :-1] / scaling.spread + model.coef_[0, -1] * loudness * rules
    head: Floats = np.append(raw, model.intercept_[0] - raw @ scaling.mean)
    return head


def fit_tasks(features: Floats, tasks: list[str], names: tuple[str, ...], weights: Floats, strength: float) -> Floats:
    """Softmax heads for `names`, shape (len(names), d + 1). A task never seen gets a bias that never wins."""
    scaling = Scaling.of(features, weights)
    model = LogisticRegression(C=strength, max_iter=500, tol=1e-4)
    with one_thread():
        model.fit(scaling.apply(features), tasks, sample_weight=weights / weights.mean())
    seen = scaling.fold_in(model.coef_, model.intercept_)
    heads = np.zeros((len(names), features.shape[1] + 1))
    heads[:, -1] = -50.0
    for row, name in zip(seen, model.classes_, strict=True):
        heads[names.index(name)] = row
    return heads


def fit_support(features: Floats, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """(mean (d,), spread (d,), knots (2,)) of the training cloud.

    Support is 1 up to the mean squared distance within which three quarters of the training weight lie, and 0 beyond
    three times the one that holds 99.5 per cent of it. On twenty foreign texts (AUC 0.59 against chat) PCA with 32 or
    100 axes did worse (0.35, 0.55) and with 200 better (0.70), at the price of as many more products for each ask.
    """
    scaling = Scaling.of(features, weights)
    distances = (scaling.apply(features) ** 2).mean(axis=1)
    order = np.argsort(distances, kind="stable")
    reached = np.cumsum(weights[order]) / weights.sum()
    near, far = (float(distances[order][np.searchsorted(reached, share)]) for share in (0.75, 0.995))
    return scaling.mean, scaling.spread, np.array([near, 3.0 * far])


def logits(head: Floats, features: Floats) -> Floats:
    """What a head says for each row; head (d + 1,), features (n, d)."""
    result: Floats = features @ head[:-1] + head[-1]
    return result


def folds(groups: list[str], count: int, seed: int) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """(train, held out) index pairs; rows of a group are never on both sides."""
    yield from GroupKFold(count, shuffle=True, random_state=seed).split(np.zeros(len(groups)), groups=groups)


def one_thread() -> threadpool_limits:
    """Sums in one order, so that the same input gives the same bytes."""
    return threadpool_limits(1)
