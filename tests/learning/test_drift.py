"""Drift is found where traffic moved, hardly ever where it did not, and a reference survives being kept."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from classifiers.artefact import load_default
from classifiers.contract import AskText, Label, LoggedDecision, ModelCard
from classifiers.errors import TrainingError
from classifiers.learned import LearnedClassifier
from classifiers.training.drift import LEAST, DriftReport, Reference, Tally, Window
from classifiers.training.histograms import Histogram, moved
from classifiers.training.windows import window_of

TASKS = np.array(["code", "maths", "chat", "factual"])
COUNTS = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), min_size=1, max_size=12)


def traffic(random: np.random.Generator, n: int, **changes: Any) -> Window:
    """Normal columns, sparse ones and one that is constant; `by`, `tasks`, `quality` and `gain` move them."""
    by = changes.get("by", 0.0)
    features = random.normal(size=(n, 30)) + by
    features[:, 10:29] = features[:, 10:29] > 2.0 + by
    features[:, 29] = 0.0
    return Window(
        features.astype(np.float32),
        "digest",
        random.choice(TASKS, n, p=changes.get("tasks", [0.4, 0.3, 0.2, 0.1])).tolist(),
        random.beta(2, 2 + by, n),
        (random.random(n) < changes.get("quality", 0.8)).astype(float),
        random.choice([-1.0, 0.0, 1.0], n, p=[0.1, 0.9 - changes.get("gain", 0.2), changes.get("gain", 0.2)]),
    )


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference.of(traffic(np.random.default_rng(0), 3000))


def report(reference: Reference, n: int = 500, seed: int = 1, **changes: Any) -> DriftReport:
    return reference.compare(traffic(np.random.default_rng(seed), n, **changes))


def test_of_two_hundred_windows_without_drift_at_most_two_are_flagged(reference: Reference) -> None:
    assert sum(report(reference, seed=seed).drifted for seed in range(1, 201)) <= 2


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("features", {"by": 0.7}),
        ("tasks", {"tasks": [0.1, 0.2, 0.3, 0.4]}),
        ("score", {"by": 2.0}),
        ("labels", {"quality": 0.6}),
        ("gain", {"gain": 0.5}),
    ],
)
def test_what_moved_is_named(reference: Reference, part: str, changes: dict[str, Any]) -> None:
    found = report(reference, **changes)
    assert part in found.alarms
    untouched = {"features", "tasks", "score", "labels", "gain"} - {
        part,
        *(["score", "features"] if "by" in changes else []),
    }
    assert not untouched & set(found.alarms)


def test_a_trifle_is_no_alarm_however_sure(reference: Reference) -> None:
    found = report(reference, 20_000, quality=0.77)
    [labels] = [part for part in found.parts if part.name == "labels"]
    assert labels.p is not None and labels.p < 0.001 and not labels.alarm


def test_a_task_that_was_never_seen_before_counts(reference: Reference) -> None:
    window = traffic(np.random.default_rng(2), 500)
    assert "tasks" in reference.compare(replace(window, tasks=["law"] * 250 + list(window.tasks[:250]))).alarms


def test_a_column_that_was_constant_and_moves_is_seen(reference: Reference) -> None:
    window = traffic(np.random.default_rng(2), 500)
    assert window.features is not None
    window.features[:200, 29] = 1.0
    found = reference.compare(window)
    assert found.alarms == ("features",) and found.parts[0].top[0][0] == 29


@pytest.mark.parametrize("n", [0, 1, LEAST - 1])
def test_nothing_is_said_of_a_handful(reference: Reference, n: int) -> None:
    found = report(reference, n, by=3.0, quality=0.0)
    assert not found.drifted and {part.p for part in found.parts} == {None}
    assert {part.n for part in found.parts} == {n}


def test_vectors_of_another_function_are_not_read(reference: Reference) -> None:
    window = replace(traffic(np.random.default_rng(2), 500, by=3.0), features_digest="another")
    [features] = [part for part in reference.compare(window).parts if part.name == "features"]
    assert (features.n, features.p, features.alarm) == (500, None, False)


def test_a_reference_comes_back_from_json_as_it_was_and_stays_small(reference: Reference) -> None:
    text = json.dumps(reference.to_json())
    assert Reference.from_json(json.loads(text)) == reference
    wide = np.random.default_rng(0).normal(size=(3000, 400))
    assert len(json.dumps(Reference.of(Window(wide, "digest")).to_json())) < 64 * 1024
    assert json.loads(json.dumps(report(reference).document()))["drifted"] is False


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", "something"),
        ("schema", 2),
        ("features", [[[0.0, 0.0], [1, 1, 1]]]),
        ("features", [[[0.0], [1]]]),
        ("features", [[[0.0], [1, -1]]]),
        ("score", [[float("nan")], [1, 1]]),
        ("tasks", {"code": "many"}),
        ("tasks", None),
        ("labels", {"n": 5, "mean": 0.5, "variance": -1.0}),
        ("gain", {"n": 5}),
        ("features_digest", 5),
    ],
)
def test_a_damaged_reference_is_refused(reference: Reference, key: str, value: Any) -> None:
    with pytest.raises(TrainingError, match="reference for drift"):
        Reference.from_json({**reference.to_json(), key: value})


@pytest.mark.parametrize("document", [None, [], "text", {}])
def test_what_is_no_reference_is_refused(document: Any) -> None:
    with pytest.raises(TrainingError, match="no reference"):
        Reference.from_json(document)


def test_values_that_are_not_finite_are_refused_on_both_sides(reference: Reference) -> None:
    bad = Window(scores=np.array([0.5, float("nan")]))
    for use in (Reference.of, reference.compare):
        with pytest.raises(TrainingError, match="not finite"):
            use(bad)


@given(COUNTS)
def test_the_index_is_never_negative_and_does_not_ask_which_window_came_first(pairs: list[tuple[int, int]]) -> None:
    before, now = np.array(pairs).T
    index, statistic, freedom = moved(before, now)
    assert index >= 0.0 and statistic >= 0.0 and 0 <= freedom < len(pairs)
    assert moved(now, before) == pytest.approx((index, statistic, freedom))


@given(COUNTS)
def test_the_same_counts_have_not_moved(pairs: list[tuple[int, int]]) -> None:
    before, _ = np.array(pairs).T
    assert moved(before, before)[:2] == pytest.approx((0.0, 0.0))


@settings(deadline=None)
@given(arrays(float, st.integers(0, 300), elements=st.floats(-1e6, 1e6)))
def test_a_histogram_loses_no_value_and_its_own_values_fall_where_they_fell(values: np.ndarray) -> None:
    kept = Histogram.of(values)
    assert sum(kept.counts) == len(values)
    assert tuple(kept.counted(values).tolist()) == kept.counts
    assert Histogram.from_json(json.loads(json.dumps(kept.to_json()))) == kept


def test_a_window_in_pieces_is_counted_as_the_whole_is() -> None:
    random = np.random.default_rng(7)
    reference, now = Reference.of(traffic(random, 2_000)), traffic(random, 1_500, by=0.4, quality=0.6)
    assert now.features is not None
    tally = Tally(reference)
    for part in np.array_split(np.arange(1_500), 7):
        tally.add(
            Window(
                now.features[part],
                now.features_digest,
                [now.tasks[at] for at in part],
                now.scores[part],
                now.labels[part],
                now.gains[part],
            )
        )
    pieces, whole = tally.report(), reference.compare(now)
    assert pieces.alarms == whole.alarms and "features" in pieces.alarms
    for one, other in zip(pieces.parts, whole.parts, strict=True):
        assert one.n == other.n and one.moved == pytest.approx(other.moved) and one.p == pytest.approx(other.p)


def test_logged_requests_become_a_window_of_what_the_artefact_can_read() -> None:
    artefact = load_default()
    vector = artefact.featurise(AskText("Why is the sky blue?"))
    small = ModelCard("small", "acme/tiny", "small")

    def row(number: int, digest: str | None, *labels: Label) -> LoggedDecision:
        features = None if digest is None else vector
        return LoggedDecision(
            f"r{number}", float(number), "acme", "factual", "en", small, ("small",), {}, 1.0, None, 1, 1, features,
            digest, labels,
        )  # fmt: skip

    mine = artefact.featurise.digest
    rows = [row(1, mine, Label("r1", 0.0, "judge", 1.0, 1.0)), row(2, "foreign"), row(3, None), row(4, mine)]
    window = window_of(rows, artefact, gains=[0.5])
    assert window.features is not None and window.features.shape == (2, artefact.featurise.size)
    assessed = LearnedClassifier(artefact).assess_features(vector, ())
    assert assessed.task != "factual"
    assert window.features_digest == mine and window.tasks == (assessed.task, "factual", "factual", assessed.task)
    assert window.scores.tolist() == [assessed.complexity] * 2
    assert (window.labels.tolist(), window.gains.tolist()) == ([0.0], [0.5])


def test_a_window_without_a_vector_that_can_be_read_says_nothing_of_features() -> None:
    artefact = load_default()
    window = window_of([], artefact)
    assert window.features is None and Reference.of(window).compare(window).alarms == ()
