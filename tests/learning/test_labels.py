"""Several labels become one by the documented rule, and one key cannot move the judge far."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.contract import Label, LoggedDecision, ModelCard
from classifiers.training.labels import COUNTS, MOST_OF_A_KEY, capped, combined


def label(score: float, source: str = "user", weight: float = 1.0, key: str = "k") -> Label:
    return Label("r", score, source, weight, 0.0, key)


def row(number: int, *labels: Label) -> LoggedDecision:
    return LoggedDecision(
        f"r{number}", float(number), "t", "code", "en", ModelCard("m", "m", "small"), ("m",), {}, 1.0, 0.0, 1, 1,
        np.zeros(3, np.float32), "d", labels,
    )  # fmt: skip


def test_a_verifier_is_heard_alone() -> None:
    assert combined([label(0.0), label(0.2, "judge"), label(1.0, "verifier")]) == (1.0, 1.0)


def test_others_are_averaged_by_what_their_source_counts() -> None:
    score, weight = combined([label(0.0, "user"), label(1.0, "judge")])
    assert score == pytest.approx(0.8 / 1.4) and weight == 1.0
    assert combined([label(0.3, "implicit")]) == (0.3, COUNTS["implicit"])


def test_nothing_comes_of_nothing() -> None:
    assert combined([]) is None
    assert combined([label(1.0, weight=0.0), label(1.0, weight=-1.0)]) is None


@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from(list(COUNTS)), st.floats(0, 5)), max_size=6))
def test_score_and_weight_stay_in_bounds(given_labels: list[tuple[float, str, float]]) -> None:
    found = combined([label(score, source, weight) for score, source, weight in given_labels])
    assert found is None or all(0 <= part <= 1 for part in found)


def user_weight(rows: list[LoggedDecision], key: str) -> float:
    return sum(COUNTS["user"] * one.weight for row in rows for one in row.labels if one.key == key)


def test_one_key_that_thumbs_everything_down_is_held_to_a_share() -> None:
    rows = [row(n, label(0.0, key="angry")) for n in range(900)]
    rows += [row(1000 + n, label(1.0, "judge", key="audit")) for n in range(100)]
    held = capped(rows)
    assert user_weight(held, "angry") == pytest.approx(MOST_OF_A_KEY * 100 * COUNTS["judge"])
    assert sum(one.weight for row in held for one in row.labels if one.key == "audit") == 100


def test_a_lone_key_counts_in_full() -> None:
    alone = [row(n, label(1.0, key="only")) for n in range(50)]
    assert capped(alone) == alone
    hardly_watched = [*alone, *(row(100 + n, label(1.0, "judge", key="audit")) for n in range(10))]
    assert capped(hardly_watched) == hardly_watched


def test_many_keys_that_agree_are_heard() -> None:
    rows = [row(n, label(1.0, key=f"k{n % 20}")) for n in range(200)]
    assert capped(rows) == rows
