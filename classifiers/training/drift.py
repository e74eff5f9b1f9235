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
        window.checked()
        tasks = Counter(window.tasks)
        names = sorted({*self.tasks, *tasks})
        before, now = (np.array([counts.get(name, 0) for name in names]) for counts in (self.tasks, tasks))
        return DriftReport(
            (
                self._features(window),
                _counted("tasks", before, now),
                _counted("score", self.score.array, self.score.counted(window.scores)),
                _averaged("labels", self.labels, Mean.of(window.labels)),
                _averaged("gain", self.gain, Mean.of(window.gains)),
            )
        )

    def _features(self, window: Window) -> Part:
        vectors = window.features
        n = 0 if vectors is None else len(vectors)
        readable = vectors is not None and window.features_digest == self.features_digest
        if not readable or vectors is None or vectors.shape[1] != len(self.features) or not self.features:
            return Part("features", n)
        columns = [
            _counted("features", kept.array, kept.counted(column), tests=len(self.features))
            for kept, column in zip(self.features, vectors.T, strict=True)
        ]
        if columns[0].moved is None:
            return Part("features", n)
        order = sorted(range(len(columns)), key=lambda at: -(columns[at].moved or 0.0))
        top = tuple((at, columns[at].moved or 0.0) for at in order[:TOP])
        loudest = next((at for at in order if columns[at].alarm), order[0])
        return Part("features", n, columns[loudest].moved, columns[loudest].p, columns[loudest].alarm, top)

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
