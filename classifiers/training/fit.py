"""Fits the heads. The only file that imports scikit-learn; what comes out is plain arrays.

A quality label is a share, not a yes or no, so each row enters once as good with that weight and once as bad with
the rest of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from classifiers.features import SCRIPTS, SHAPE, STRUCTURE, names
from classifiers.grams import BUCKETS, GramTable
from classifiers.heuristic import rule
from classifiers.learned import FAR
from classifiers.tasks import TASKS

Floats = NDArray[np.float64]

FLOOR_OF_SPREAD: Final = 0.05
"""Added to each column's spread, so that a column which hardly moved in training cannot shout at serving."""

GUIDE: Final = 10.0
"""How much louder than other columns the rules speak; 10 and 30 had the same held-out losses."""

FORM: Final = len(SHAPE) + len(SCRIPTS) + len(STRUCTURE)
"""The first columns: what a text looks like. How hard a question is within its field shows there, and travels best to
fields never seen; concepts and word vectors name the field."""
QUIET: Final = 0.3
"""How loud the columns after FORM are where rows are compared within their field."""
LENGTH_GUIDE: Final = 3.0
"""How loud length is there: among unseen fields it ranks better than most of what is learned."""
WITHIN_PULL, ACROSS_PULL = 10_000.0, 3_300.0
"""Ridge of the two steps of `fit_exams`, or as many times the rows where those are few (see `_pull`)."""
CENTRES: Final = 64
GRAM_LOUDNESS: Final = 2.0
GRAM_RIDGE: Final = 1.0
GRAM_TOLERANCE, GRAM_STEPS = 0.01, 200
"""Where its search ends: so much of each goal is left over, or after so many steps."""

_LENGTH: Final = names().index("units")


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


def fit_exams(features: Floats, labels: Floats, domains: list[str]) -> Floats:
    """One quality head for questions with a right answer, shape (d + 1,), in two steps.

    First what makes a question harder than others of its own field: ridge on differences from the field's mean, so that
    no field's base rate is learned. Then what makes a field harder than others: a logistic head on top, held back.
    Each alone was worse: the first in known fields, the second in unknown ones.
    """
    within = _within_domains(features, labels, domains)
    scaling = Scaling.of(features, np.ones(len(labels)))
    offset = features @ within
    middle = float(offset.mean())
    offset = offset - middle
    design = np.hstack([scaling.apply(features), offset[:, None], np.ones((len(labels), 1))])
    ridge = np.full(design.shape[1], _pull(ACROSS_PULL, len(labels)))
    ridge[-2:] = 1.0, 1e-3
    change = np.zeros(design.shape[1])
    for _ in range(12):
        shares = 1.0 / (1.0 + np.exp(-(offset + design @ change)))
        gradient = design.T @ (shares - labels) + ridge * change
        curvature = (design * (shares * (1.0 - shares))[:, None]).T @ design + np.diag(ridge)
        step = np.linalg.solve(curvature, gradient)
        change -= step
        if float(np.abs(step).max()) < 1e-5:
            break
    raw = change[:-2] / scaling.spread
    weights = within * (1.0 + change[-2]) + raw
    head: Floats = np.append(weights, change[-1] - raw @ scaling.mean - middle * (1.0 + change[-2]))
    return head


def _within_domains(features: Floats, labels: Floats, domains: list[str]) -> Floats:
    """Weights, shape (d,), of a linear fit to how much better than its domain's mean each row did; near logits."""
    differences, shares = features.copy(), labels.copy()
    known = np.array(domains)
    for domain in sorted(set(domains)):
        here = known == domain
        differences[here] -= differences[here].mean(axis=0)
        shares[here] -= shares[here].mean()
    loudness = np.full(features.shape[1], QUIET)
    loudness[:FORM] = 1.0
    loudness /= differences.std(axis=0) + FLOOR_OF_SPREAD
    scaled = differences * loudness
    design = np.hstack([scaled, LENGTH_GUIDE * scaled[:, [_LENGTH]]])
    ridge = np.eye(design.shape[1]) * _pull(WITHIN_PULL, len(labels))
    found = np.linalg.solve(design.T @ design + ridge, design.T @ shares)
    found[_LENGTH] += LENGTH_GUIDE * found[-1]
    weights: Floats = found[:-1] * loudness * 5.0  # a share of 0.01 is 0.05 logits where one in four is good
    return weights


def _pull(most: float, rows: int) -> float:
    return min(most, most / 9000.0 * rows)


def fit_grams(
    features: Floats, buckets: Sequence[list[int]], labels: Floats, tasks: Sequence[str], weights: Floats
) -> GramTable:
    """What each word says of the level (first column) and of each of TASKS, beyond what `features` (n, d) say.

    Ridge on both together, of which the words' part is kept. labels: P(good answer of a small model), shape (n,).
    """
    counts = np.array([len(found) for found in buckets])
    values = np.repeat(np.where(counts > 0, counts, 1) ** -0.5, counts)
    # Only rows that are named; most of the table is of words that nobody wrote.
    named, columns = np.unique(np.concatenate([np.array(found, int) for found in buckets]), return_inverse=True)
    where = (np.repeat(np.arange(len(buckets)), counts), columns)
    words = sparse.csr_matrix((values * GRAM_LOUDNESS, where), shape=(len(buckets), len(named)))
    dense = Scaling.of(features, weights).apply(features) / features.shape[1] ** 0.5
    goals = np.column_stack([-np.log(labels / (1.0 - labels)), *(np.array(tasks) == np.array(TASKS)[:, None])])
    goals = (goals - goals.mean(axis=0)) / np.maximum(goals.std(axis=0), 1e-3)
    with one_thread():
        found = _ridge_of_words(dense, words, goals, weights)
    spread = np.maximum(np.asarray(words @ found).std(axis=0), 1e-6)
    found *= GRAM_LOUDNESS
    step = np.maximum(np.abs(found).max(axis=0), 1e-6) / 127.0
    table = np.zeros((BUCKETS, goals.shape[1]), np.int8)
    table[named] = np.rint(found / step).astype(np.int8)
    return GramTable(table, (step / spread).astype(np.float32))


def _ridge_of_words(dense: Floats, words: sparse.csr_matrix, goals: Floats, weights: Floats) -> Floats:
    """What ridge regression on dense and words together, with an intercept, gives to the words; shape (words, goals).

    Conjugate gradients on the dual (one unknown a row and goal), all goals at once: rows are far fewer than words.
    """
    shares, root = weights / weights.sum(), np.sqrt(weights)[:, None]
    turned = words.T.tocsr()
    middle = [(shares @ part)[:, None] for part in (dense, words)]

    def weighed(dual: Floats) -> tuple[Floats, Floats]:
        """The coefficients that a dual stands for: of dense, of words."""
        rows = root * dual
        total = rows.sum(axis=0)
        return dense.T @ rows - middle[0] * total, turned @ rows - middle[1] * total

    def applied(dual: Floats) -> Floats:
        of_dense, of_words = weighed(dual)
        said = dense @ of_dense + words @ of_words - middle[0].T @ of_dense - middle[1].T @ of_words
        product: Floats = root * said + GRAM_RIDGE * dual
        return product

    rest = root * (goals - shares @ goals)
    dual, way = np.zeros_like(rest), rest.copy()
    length = (rest**2).sum(axis=0)
    enough = length * GRAM_TOLERANCE**2
    for _ in range(GRAM_STEPS):
        if (length <= enough).all():
            break
        ahead = applied(way)
        step = length / np.maximum((way * ahead).sum(axis=0), 1e-300)
        dual += step * way
        rest -= step * ahead
        before, length = length, (rest**2).sum(axis=0)
        way = rest + length / np.maximum(before, 1e-300) * way
    return weighed(dual)[1]


def fit_gate(features: Floats, chat: NDArray[np.bool_], strength: float) -> Floats:
    """A head that tells chat (1) from exams, each kind weighing the same; shape (d + 1,)."""
    scaling = Scaling.of(features, np.where(chat, 0.5 / max(chat.sum(), 1), 0.5 / max((~chat).sum(), 1)))
    model = LogisticRegression(C=strength, max_iter=500, tol=1e-5, class_weight="balanced")
    with one_thread():
        model.fit(scaling.apply(features), chat)
    head: Floats = scaling.fold_in(model.coef_, model.intercept_)[0]
    return head


def fit_support(features: Floats, weights: Floats, seed: int) -> tuple[Floats, Floats, Floats, Floats]:
    """(mean (d,), spread (d,), centres (c, d), knots (2,)) of the training cloud.

    Support is 1 up to the mean squared distance to the nearest centre within which half of the training weight lies,
    and 0 beyond the one that holds 99 per cent of it. Tried once, while it was built: of ten domains and three sources
    left out, distances told the rows from held-out ones with a mean AUC of 0.57 and 0.72 to one centre, 0.65 and 0.77
    to 32, 0.66 and 0.80 to 100. Between them 64 was taken unmeasured.
    """
    scaling = Scaling.of(features, weights)
    scaled = np.clip(scaling.apply(features), -FAR, FAR)
    with one_thread():
        clusters = KMeans(min(CENTRES, len(scaled)), n_init=1, random_state=seed, max_iter=50)
        centres = clusters.fit(scaled, sample_weight=weights).cluster_centers_
    lengths = (centres**2).sum(axis=1)
    nearest = (lengths - 2.0 * scaled @ centres.T).min(axis=1)
    distances = ((scaled**2).sum(axis=1) + nearest) / scaled.shape[1]
    order = np.argsort(distances, kind="stable")
    reached = np.cumsum(weights[order]) / weights.sum()
    near, far = (float(distances[order][np.searchsorted(reached, share)]) for share in (0.5, 0.99))
    return scaling.mean, scaling.spread, centres, np.array([near, far])


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
