"""Whether today's traffic is still like what an artefact was trained on: features, tasks, scores, labels and gain.

What is compared is counts: a `Reference` holds, of the training window, how many values fell into each bin (tenths of
the window itself), so it is small, says nothing of any one request, and can be kept beside an artefact.

features, tasks, score: the population stability index, the sum over bins of (share - share before) * log(share / share
before), half a value added to each bin, less what it would be by chance without any drift (bins - 1)(1 / n + 1 / N);
and Pearson's chi-squared test that both windows are one, bins merged until each expects FEWEST. Of all features the one
speaks that moved most, with its p-value times their number (Bonferroni). labels, gain: the difference of means, and
Welch's test of it.

An alarm wants both: more than chance explains (p < ALPHA, so that five parts err once in 200 windows) and enough to
matter (index of MOVED, or SHIFTED of quality), for in a large window any trifle is beyond chance. Requests that come in
bursts of a kind are not independent, as tests have it; a window should hold the mix of at least a day.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, stdtr

from classifiers.errors import TrainingError
from classifiers.training.histograms import Counts, Histogram, moved

ALPHA: Final = 0.001
MOVED: Final = 0.2
"""Of the stability index: what the trade calls a major shift."""
SHIFTED: Final = 0.05
LEAST: Final = 100
"""Values on either side, below which nothing is said of a part."""
TOP: Final = 5
PARTS: Final = ("features", "tasks", "score", "labels", "gain")
FORMAT: Final = "signalbox-drift-reference"
SCHEMA: Final = 1

Numbers = NDArray[np.floating[Any]]
_NOTHING: Final[Numbers] = np.zeros(0)


@dataclass(frozen=True, slots=True)
class Window:
    """Requests of a span of time. Parts may be of different lengths: not every request has features or a label.

    features: (n, d), None where there are none, made by the function `features_digest`. scores: complexity, in 0..1.
    labels: in 0..1. gains: quality of the large model less that of the small one where both were judged, in -1..1.
    """

    features: Numbers | None = None
    features_digest: str | None = None
    tasks: Sequence[str] = ()
    scores: Numbers = field(default_factory=lambda: _NOTHING)
    labels: Numbers = field(default_factory=lambda: _NOTHING)
    gains: Numbers = field(default_factory=lambda: _NOTHING)

    def checked(self) -> Window:
        """Itself. Raises TrainingError where a value is not finite or a shape makes no sense."""
        if self.features is not None and self.features.ndim != 2:
            raise TrainingError(f"features of shape {self.features.shape} are not one vector for each request")
        parts = {"features": self.features, "scores": self.scores, "labels": self.labels, "gains": self.gains}
        for name, values in parts.items():
            if values is not None and not np.isfinite(values).all():
                raise TrainingError(f"{name} hold a number that is not finite")
        return self


@dataclass(frozen=True, slots=True)
class Mean:
    """A sample by its size, mean and variance."""

    n: int
    mean: float
    variance: float

    @classmethod
    def of(cls, values: Numbers) -> Mean:
        if not len(values):
            return cls(0, 0.0, 0.0)
        return cls(len(values), float(values.mean()), float(values.var(ddof=1)) if len(values) > 1 else 0.0)

    def with_more(self, other: Mean) -> Mean:
        """Of both samples together (Chan, Golub and LeVeque 1979)."""
        n = self.n + other.n
        if not self.n or not other.n:
            return other if other.n else self
        apart = other.mean - self.mean
        squares = self.variance * (self.n - 1) + other.variance * (other.n - 1) + apart**2 * self.n * other.n / n
        return Mean(n, self.mean + apart * other.n / n, squares / (n - 1))


@dataclass(frozen=True, slots=True)
class Part:
    """What became of one part. moved: its stability index, or difference of means; p: chance of as much without drift.

    Both None where one side has fewer than LEAST values, or vectors of another function. top: the features that moved
    most, by number, with their indices.
    """

    name: str
    n: int
    moved: float | None = None
    p: float | None = None
    alarm: bool = False
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class DriftReport:
    """One window against the reference, part by part."""

    parts: tuple[Part, ...]

    @property
    def drifted(self) -> bool:
        return any(part.alarm for part in self.parts)

    @property
    def alarms(self) -> tuple[str, ...]:
        return tuple(part.name for part in self.parts if part.alarm)

    def document(self) -> dict[str, Any]:
        """As JSON-able values, for logs, metrics and the dashboard."""
        return {"drifted": self.drifted, "alarms": list(self.alarms), "parts": [asdict(part) for part in self.parts]}


@dataclass(frozen=True, slots=True)
class Reference:
    """A training window as counts. features: a histogram for each column, empty where there were none."""

    features: tuple[Histogram, ...]
    features_digest: str | None
    tasks: Mapping[str, int]
    score: Histogram
    labels: Mean
    gain: Mean

    @classmethod
    def of(cls, window: Window) -> Reference:
        """Raises TrainingError for values that are not finite."""
        window.checked()
        columns = () if window.features is None else tuple(Histogram.of(column) for column in window.features.T)
        return cls(
            columns,
            window.features_digest,
            dict(Counter(window.tasks)),
            Histogram.of(window.scores),
            Mean.of(window.labels),
            Mean.of(window.gains),
        )

    def compare(self, window: Window) -> DriftReport:
        """Raises TrainingError for values that are not finite."""
        tally = Tally(self)
        tally.add(window)
        return tally.report()

    def to_json(self) -> dict[str, Any]:
        """What `from_json` takes."""
        return {
            "format": FORMAT,
            "schema": SCHEMA,
            "features_digest": self.features_digest,
            "features": [kept.to_json() for kept in self.features],
            "tasks": dict(self.tasks),
            "score": self.score.to_json(),
            "labels": asdict(self.labels),
            "gain": asdict(self.gain),
        }

    @classmethod
    def from_json(cls, document: Any) -> Reference:
        """Raises TrainingError for what `to_json` would not give."""
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise TrainingError("this is no reference for drift")
        if document.get("schema") != SCHEMA:
            raise TrainingError(
                f"a reference for drift of schema {document.get('schema')!r}; this program knows {SCHEMA}"
            )
        try:
            digest, tasks = document["features_digest"], document["tasks"]
            if not (digest is None or isinstance(digest, str)) or not isinstance(tasks, dict):
                raise ValueError("features_digest or tasks")
            return cls(
                tuple(Histogram.from_json(kept) for kept in document["features"]),
                digest,
                {str(name): _whole(count) for name, count in tasks.items()},
                Histogram.from_json(document["score"]),
                *(_mean(document[name]) for name in ("labels", "gain")),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise TrainingError(f"a damaged reference for drift: {error!r}") from error


class Tally:
    """A window that comes in pieces, counted against a reference: as much as the reference is held, however much comes.

    One feature vector that the reference cannot read, and nothing is said of features.
    """

    def __init__(self, reference: Reference):
        self._reference = reference
        self._features = [np.zeros(len(kept.counts), dtype=np.int64) for kept in reference.features]
        self._vectors = 0
        self._readable = True
        self._tasks: Counter[str] = Counter()
        self._score = np.zeros(len(reference.score.counts), dtype=np.int64)
        self._labels = self._gain = Mean.of(_NOTHING)

    def add(self, window: Window) -> None:
        """Raises TrainingError for values that are not finite."""
        window.checked()
        vectors, kept = window.features, self._reference.features
        if vectors is not None:
            self._vectors += len(vectors)
            same = window.features_digest == self._reference.features_digest and vectors.shape[1] == len(kept)
            self._readable = self._readable and same
            if self._readable:
                for histogram, counts, column in zip(kept, self._features, vectors.T, strict=True):
                    counts += histogram.counted(column)
        self._tasks.update(window.tasks)
        self._score += self._reference.score.counted(window.scores)
        self._labels = self._labels.with_more(Mean.of(window.labels))
        self._gain = self._gain.with_more(Mean.of(window.gains))

    def report(self) -> DriftReport:
        """What of the window so far is not as it was."""
        reference = self._reference
        names = sorted({*reference.tasks, *self._tasks})
        before, now = (np.array([counts.get(name, 0) for name in names]) for counts in (reference.tasks, self._tasks))
        return DriftReport(
            (
                self._moved_most(),
                _counted("tasks", before, now),
                _counted("score", reference.score.array, self._score),
                _averaged("labels", reference.labels, self._labels),
                _averaged("gain", reference.gain, self._gain),
            )
        )

    def _moved_most(self) -> Part:
        n, kept = self._vectors, self._reference.features
        if not n or not self._readable or not kept:
            return Part("features", n)
        columns = [
            _counted("features", histogram.array, counts, tests=len(kept))
            for histogram, counts in zip(kept, self._features, strict=True)
        ]
        if columns[0].moved is None:
            return Part("features", n)
        order = sorted(range(len(columns)), key=lambda at: -(columns[at].moved or 0.0))
        top = tuple((at, columns[at].moved or 0.0) for at in order[:TOP])
        loudest = next((at for at in order if columns[at].alarm), order[0])
        return Part("features", n, columns[loudest].moved, columns[loudest].p, columns[loudest].alarm, top)


def _counted(name: str, before: Counts, now: Counts, tests: int = 1) -> Part:
    n = int(now.sum())
    if n < LEAST or before.sum() < LEAST:
        return Part(name, n)
    index, statistic, freedom = moved(before, now)
    p = min(1.0, tests * float(chdtrc(freedom, statistic))) if freedom else 1.0
    return Part(name, n, index, p, p < ALPHA and index >= MOVED)


def _averaged(name: str, before: Mean, now: Mean) -> Part:
    if min(before.n, now.n) < LEAST:
        return Part(name, now.n)
    apart = now.mean - before.mean
    spread = before.variance / before.n, now.variance / now.n
    error = math.sqrt(sum(spread))
    if error == 0.0:
        p = 0.0 if apart else 1.0
    else:
        freedom = sum(spread) ** 2 / (spread[0] ** 2 / (before.n - 1) + spread[1] ** 2 / (now.n - 1))
        p = 2.0 * float(stdtr(freedom, -abs(apart) / error))
    return Part(name, now.n, apart, p, p < ALPHA and abs(apart) >= SHIFTED)


def _mean(document: Any) -> Mean:
    found = Mean(_whole(document["n"]), float(document["mean"]), float(document["variance"]))
    if not math.isfinite(found.mean) or not (math.isfinite(found.variance) and found.variance >= 0.0):
        raise ValueError(document)
    return found


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is no count")
    return value
