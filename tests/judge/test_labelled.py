"""Labelled rows that share one array of features give the sums that whole arrays give, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from classifiers.contract import LoggedDecision, ModelCard
from classifiers.training.fit import Scaling, logits, one_thread
from classifiers.training.labelled import SLICE, Labelled

CARD = ModelCard("local", "acme/tiny-3b", "small")


def labelled(count: int, size: int = 40) -> Labelled:
    random = np.random.default_rng(count)
    features = random.normal(2.0, 3.0, (count, size)).astype(np.float16).astype(np.float32)
    row = LoggedDecision("r", 0.0, "t", "chat", "en", CARD, (), {}, None, None, 1, 1, None, None)
    weights = random.random(count) + 0.1
    return Labelled((row,) * count, features, np.arange(count), random.normal(size=count), weights, weights)


@pytest.mark.parametrize("count", [1, 7, SLICE, SLICE + 1, 2 * SLICE + 345])
def test_a_slice_at_a_time_says_what_all_at_once_says(count: int) -> None:
    rows, head = labelled(count), np.random.default_rng(0).normal(size=42)
    with one_thread():
        found, whole = rows.scaling(), rows.block(slice(None))
        wanted = Scaling.of(whole, rows.weights)
        np.testing.assert_array_equal(found.mean, wanted.mean)
        np.testing.assert_array_equal(found.spread, wanted.spread)
        np.testing.assert_allclose(rows.logits(head), logits(head, whole), rtol=1e-12, atol=1e-12)


def test_a_part_of_a_part_is_of_the_same_rows_and_copies_no_features() -> None:
    rows = labelled(100)
    part = rows.part(np.arange(0, 100, 2)).part([3, 1])
    np.testing.assert_array_equal(part.block(slice(None)), rows.block(np.array([6, 2])))
    np.testing.assert_array_equal(part.weights, rows.weights[[6, 2]])
    assert part.features is rows.features


def test_of_no_rows_nothing_is_said() -> None:
    assert labelled(5).part([]).logits(np.zeros(42)).shape == (0,)
