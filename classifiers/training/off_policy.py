"""What another way of choosing would have been worth, reckoned from logs in which somebody else chose.

Of every request some models' outcomes were seen: that of the model which answered, chosen with a known probability p,
and, on a random share of requests, that of another one which answered beside it (an audit). With s(c, a) the share of
requests answered by c on which the outcome of a was seen, the chance to see it is

    e(a) = sum over c of p(c) s(c, a)

so that audits and explored requests are one sample and no request counts twice: the balanced weights of several loggers
(Agarwal, Basu, Schnabel and Joachims 2017, arXiv 1703.06180). Every estimate needs that who is labelled or audited
hangs on nothing but the model that was chosen; dr also stands where its guesses explain what else it hangs on.

ips     mean over requests of the sum over models of choice * seen * outcome / e (Horvitz and Thompson 1952). Unbiased.
snips   the same over the sum of its weights (Swaminathan and Joachims 2015): never leaves the range of the outcomes.
dr      guesses for every model, corrected by ips of what they missed (Dudik, Langford and Li 2011, arXiv 1103.4601).
        Guesses are cross-fitted: a request is guessed from the other folds (Chernozhukov et al. 2018).

Intervals are 95 per cent: Student's t with as many degrees of freedom as the effective sample has requests less one,
on the variance of the influence function, set right for its skew (Hall 1992, On the removal of skewness by
transformation: costs have long tails, and so have weights). Shares s are estimated, which makes estimates more exact,
not less: what the influence function shares with their scores is taken out of it (Hirano, Imbens and Ridder 2003).
Weights are never clipped, for that would bias; a model seen with a chance below FLOOR counts as not seen at all, and
then the question is refused. Effective sample size is Kish's, (sum w)^2 / sum w^2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from classifiers.errors import TrainingError
from classifiers.training.measures import Figure, Floats

Mask = NDArray[np.bool_]

FLOOR: Final = 0.005
"""The least chance of being seen that counts as support; weights are 200 at most."""
RIDGE: Final = 1.0
FOLDS: Final = 5


@dataclass(frozen=True, slots=True)
class Logs:
    """One kind of outcome (quality, or cost) of n requests at k models.

    outcomes: (n, k), NaN where not seen. chosen: (n,), the model that answered. probability: (n, k), with which the
    logging policy would choose each. eligible: (n, k), who might have served. covariates: (n, c), what guesses go by.
    """

    outcomes: Floats
    chosen: NDArray[np.intp]
    probability: Floats
    eligible: Mask
    covariates: Floats


@dataclass(frozen=True, slots=True)
class Seen:
    """Logs made ready for estimates. weights: (n, k), 1 / e where seen, else 0. propensity: e, (n, k).

    outcomes: 0 where not seen. guesses: (n, k). scores: (n, k * k), of the estimated shares.
    """

    outcomes: Floats
    weights: Floats
    propensity: Floats
    guesses: Floats
    scores: Floats

    def __len__(self) -> int:
        return len(self.outcomes)


@dataclass(frozen=True, slots=True)
class Estimates:
    """One quantity three ways, and how many requests' worth of evidence it rests on."""

    ips: Figure
    snips: Figure
    dr: Figure
    effective: float


def see(logs: Logs, seed: int = 0) -> Seen:
    """Estimates the chance to see each outcome, and guesses those not seen. Raises TrainingError for senseless logs."""
    _check(logs)
    seen = ~np.isnan(logs.outcomes)
    models = range(seen.shape[1])
    shares = np.zeros((len(models), len(models)))
    scores = []
    for c in models:
        beside = logs.eligible & (logs.chosen == c)[:, None]
        beside[:, c] = logs.chosen == c
        there = beside.sum(axis=0)
        shares[c] = np.divide((seen & beside).sum(axis=0), there, out=shares[c], where=there > 0)
        scores.append(beside * (seen - shares[c]))
    propensity = np.where(logs.eligible, logs.probability @ shares, 0.0)
    propensity[propensity < FLOOR * (1.0 - 1e-9)] = 0.0
    weights = np.divide(1.0, propensity, out=np.zeros_like(propensity), where=seen & (propensity > 0.0))
    outcomes = np.where(seen, logs.outcomes, 0.0)
    guesses = np.column_stack(
        [_guess(logs.covariates, outcomes[:, a], seen[:, a] & (propensity[:, a] > 0.0), seed) for a in models]
    )
    return Seen(outcomes, weights, propensity, guesses, np.hstack(scores))


def value(seen: Seen, choice: Floats, bounds: tuple[float, float] | None = None) -> Estimates:
    """The mean outcome if models were chosen by `choice`, (n, k), rows adding up to one.

    bounds: of the outcomes, if known; no interval leaves them.
    """
    terms = _Terms.of(seen, choice)
    return _estimates(seen, terms.ips, terms.snips, terms.dr, terms.effective, bounds)


def difference(seen: Seen, candidate: Floats, current: Floats) -> Estimates:
    """The mean outcome under one choice less that under another, on the same requests.

    effective: of the requests on which the two differ, as far as the candidate's model was seen there.
    """
    ours, theirs = _Terms.of(seen, candidate), _Terms.of(seen, current)
    moved = np.clip(candidate - current, 0.0, None)
    effective = kish((moved * seen.weights).sum(axis=1))
    ips, snips, dr = ((a[0] - b[0], a[1] - b[1]) for a, b in zip(ours.all, theirs.all, strict=True))
    return _estimates(seen, ips, snips, dr, effective, None)


def kish(weights: Floats) -> float:
    """Effective sample size; at most the number of weights, 0 where all are 0."""
    squares = float((weights**2).sum())
    return float(weights.sum()) ** 2 / squares if squares > 0.0 else 0.0


Term = tuple[float, Floats]
"""An estimate, and the influence of each request on it, shape (n,)."""


@dataclass(frozen=True, slots=True)
class _Terms:
    ips: Term
    snips: Term
    dr: Term
    effective: float

    @classmethod
    def of(cls, seen: Seen, choice: Floats) -> _Terms:
        weighted = choice * seen.weights
        total = weighted.sum(axis=1)
        by_request = (weighted * seen.outcomes).sum(axis=1)
        ips, mass = float(by_request.mean()), float(total.mean())
        snips = ips / mass if mass > 0.0 else 0.0
        missed = weighted * (seen.outcomes - seen.guesses)
        corrected = (choice * seen.guesses + missed).sum(axis=1)
        dr = float(corrected.mean())
        influence = (by_request - snips * total) / mass if mass > 0.0 else np.zeros(len(seen))
        return cls((ips, by_request - ips), (snips, influence), (dr, corrected - dr), kish(total))

    @property
    def all(self) -> tuple[Term, Term, Term]:
        return self.ips, self.snips, self.dr


def _estimates(
    seen: Seen, ips: Term, snips: Term, dr: Term, effective: float, bounds: tuple[float, float] | None
) -> Estimates:
    wide = float(stdtrit(max(effective - 1.0, 1.0), 0.975))
    influences = np.stack([ips[1], snips[1], dr[1]])
    basis = seen.scores[:, seen.scores.any(axis=0)]
    if basis.shape[1]:
        influences = influences - influences @ basis @ np.linalg.pinv(basis.T @ basis) @ basis.T
    figures: list[Figure] = []
    for (middle, _), influence in zip((ips, snips, dr), influences, strict=True):
        ends = [middle, *_interval(middle, influence, wide)]
        # ips may well leave the bounds, and says by that how little it knows.
        if bounds is not None and figures:
            ends = [min(max(end, bounds[0]), bounds[1]) for end in ends]
        figures.append(Figure(*ends))
    return Estimates(figures[0], figures[1], figures[2], effective)


def _interval(middle: float, influence: Floats, wide: float) -> tuple[float, float]:
    """wide: how many standard errors to either side, were there no skew."""
    n = len(influence)
    squares = influence * influence
    spread = float(np.sqrt(squares.mean()))
    if spread**3 == 0.0:  # none, or too small for a float's cube
        return middle, middle
    skew = float((squares * influence).mean()) / spread**3 / n**0.5
    if abs(skew) < 1e-6:
        ends = wide, -wide
    else:
        ends = tuple(3.0 / skew * (np.cbrt(1.0 + skew * (end - skew / 6.0)) - 1.0) for end in (wide, -wide))
    low, high = (middle - spread / n**0.5 * float(end) for end in ends)
    return min(low, middle), max(high, middle)


def _guess(covariates: Floats, outcomes: Floats, known: Mask, seed: int) -> Floats:
    """Ridge on standardised covariates, every request guessed from the folds it is not in; (n,).

    Linear and small on purpose: a bad guess costs width and nothing else, and a wild one would cost much of it.
    """
    count = len(outcomes)
    if not known.any():
        return np.zeros(count)
    spread = covariates.std(axis=0)
    scaled = (covariates - covariates.mean(axis=0)) / np.where(spread > 0.0, spread, 1.0)
    design = np.hstack([np.ones((count, 1)), scaled])
    ridge = np.full(design.shape[1], RIDGE)
    ridge[0] = 1e-6
    folds = np.array_split(np.random.default_rng(seed).permutation(count), FOLDS)
    grams, moments = [], []
    for rows in folds:
        part = design[rows] * known[rows, None]
        grams.append(part.T @ part)
        moments.append(part.T @ outcomes[rows])
    guesses = np.zeros(count)
    low, high = outcomes[known].min(), outcomes[known].max()
    for held_out, own_gram, own_moment in zip(folds, grams, moments, strict=True):
        gram, moment = sum(grams) - own_gram, sum(moments) - own_moment
        guesses[held_out] = design[held_out] @ np.linalg.solve(gram + np.diag(ridge), moment)
    bounded: Floats = np.clip(guesses, low, high)
    return bounded


def _check(logs: Logs) -> None:
    n, k = logs.outcomes.shape
    shapes = (logs.chosen.shape, logs.probability.shape, logs.eligible.shape, logs.covariates.shape[:1])
    if n == 0:
        raise TrainingError("no requests to estimate from")
    if shapes != ((n,), (n, k), (n, k), (n,)):
        raise TrainingError(f"the logs' arrays do not fit together: outcomes {(n, k)}, the others {shapes}")
    if np.isinf(logs.outcomes).any() or not np.isfinite(logs.covariates).all():
        raise TrainingError("an outcome or a covariate is not finite")
    if not ((logs.probability >= 0.0) & (logs.probability <= 1.0)).all():  # NaN too
        raise TrainingError("a probability is not in 0..1")
    if not ((logs.chosen >= 0) & (logs.chosen < k)).all():
        raise TrainingError(f"a chosen model is none of the {k}")
    answered = logs.probability[np.arange(n), logs.chosen]
    if not (answered > 0.0).all():
        raise TrainingError("a model answered that was chosen with probability 0")
