"""A judge that serves is called worse when it is, seldom when it is not, however often one looks. SIMULATED labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from classifiers.training.live import LEAST, NOT_WORSE, WANTED, Scored, beside, differences, held, worse

LOOKS = 200
TEN_POINTS_WITHIN = {0.1: 600, 0.5: 1_300}
"""Labelled conversations of a canary, by its share, by which one that is ten points worse is found in at least 19 of 20
cases; documented in docs/learning.md."""


def served(seed: int, n: int, share: float, quality: float, canary: float, spread: float = 0.0) -> list[Scored]:
    """Conversations of two judges in order of time, each right or wrong; `spread`: how far traffic swings for both."""
    random = np.random.default_rng(seed)
    of_canary = random.random(n) < share
    swing = spread * np.sin(np.arange(n) / 97.0)
    right = random.random(n) < np.clip(np.where(of_canary, canary, quality) + swing, 0.0, 1.0)
    return [
        Scored(float(at), str(at), bool(side), float(score))
        for at, (side, score) in enumerate(zip(of_canary, right, strict=True))
    ]


def ever_worse(apart: np.ndarray) -> bool:
    """Whether any of the looks, evenly over all groups, calls the canary worse. A look sees what came until then."""
    return any(worse(apart[: len(apart) * look // LOOKS]) for look in range(1, LOOKS + 1))


@pytest.mark.parametrize("share", [0.01, 0.1, 0.3, 0.5, 0.8])
def test_what_was_compared_stays_as_it_is_when_more_comes(share: float) -> None:
    rows = served(5, 5_000, share, 0.8, 0.7)
    whole = differences(rows, share)
    fewer = min(sum(row.canary for row in rows), sum(not row.canary for row in rows))
    assert len(whole) > 0.85 * fewer
    for n in (1, 10, 123, 4_999):
        so_far = differences(rows[:n], share)
        assert so_far.tolist() == whole[: len(so_far)].tolist()


def test_labels_of_one_side_may_all_come_before_the_others() -> None:
    rows = served(6, 2_000, 0.5, 0.9, 0.5)
    late = [replace(row, at_unix=row.at_unix + (5_000.0 if row.canary else 0.0)) for row in rows]
    assert beside(late, 0.5).verdict == beside(rows, 0.5).verdict == "worse"


@pytest.mark.parametrize(("share", "quality", "spread"), [(0.1, 0.8, 0.0), (0.5, 0.6, 0.0), (0.1, 0.6, 0.35)])
def test_a_canary_that_is_not_worse_is_called_so_in_at_most_a_twentieth_of_runs_over_200_looks(
    share: float, quality: float, spread: float
) -> None:
    runs = 200
    wrong = sum(
        ever_worse(differences(served(seed, 3_000, share, quality, quality, spread), share)) for seed in range(runs)
    )
    assert wrong <= 0.05 * runs


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_canary_that_is_ten_points_worse_is_found_within_the_stated_number_of_labels(share: float) -> None:
    runs, missed = 100, 0
    for seed in range(runs):
        rows = served(seed, int(1.3 * TEN_POINTS_WITHIN[share] / share), share, 0.8, 0.7)
        canary = np.cumsum([row.canary for row in rows])
        missed += not ever_worse(differences(rows[: int(np.searchsorted(canary, TEN_POINTS_WITHIN[share])) + 1], share))
    assert missed <= runs // 20


def test_what_was_promoted_whole_falls_below_what_was_expected_only_where_it_does() -> None:
    for quality, most, least in ((0.8, 2, 0), (0.7, 40, 38)):
        fell = 0
        for seed in range(40):
            rows = served(seed, 1_500, 0.0, quality, quality)
            fell += any(held(rows[: 150 * look], 0.8, "all labels").fell for look in range(1, 11))
        assert least <= fell <= most


def test_one_conversation_counts_once_however_much_is_said_in_it() -> None:
    rows = served(1, 400, 0.5, 0.9, 0.9)
    angry = [Scored(1_000.0 + at, "one", True, 0.0) for at in range(500)]
    before, after = beside(rows, 0.5), beside([*rows, *angry], 0.5)
    assert after.n_canary == before.n_canary + 1
    assert before.verdict == after.verdict != "worse"


def test_what_users_say_is_not_held_against_what_audits_made_expected() -> None:
    thumbs = served(7, 1_000, 0.0, 0.2, 0.2)
    assert held(thumbs, 0.9, "all labels").fell
    assert held(thumbs, 0.9, "audits").n == 0 and not held(thumbs, 0.9, "audits").fell


def test_audits_are_preferred_where_there_are_enough() -> None:
    rows = served(2, 400, 0.5, 0.8, 0.8)
    few = [Scored(row.at_unix, row.conversation, row.canary, row.score, audited=0.5) for row in rows[:40]]
    assert beside([*few, *rows[40:]], 0.5).basis == "all labels"
    all_of_them = [Scored(row.at_unix, row.conversation, row.canary, row.score, audited=0.5) for row in rows]
    told = beside(all_of_them, 0.5)
    assert told.basis == "audits"
    assert told.canary.value == told.control.value == 0.5


def test_a_canary_is_not_worse_only_with_the_labels_that_are_wanted() -> None:
    rows = served(3, 20_000, 0.1, 0.8, 0.85)
    told = beside(rows, 0.1)
    assert told.verdict == "not worse" and told.n_canary >= WANTED
    assert told.difference.low is not None and told.difference.low > -NOT_WORSE
    assert beside(rows, 0.1, wanted=1_000_000).verdict == "open"


def test_the_intervals_hold_what_is_so_and_are_told_with_the_costs() -> None:
    rows = [
        Scored(row.at_unix, row.conversation, row.canary, row.score, cost_usd=0.02 if row.canary else None)
        for row in served(4, 3_000, 0.3, 0.8, 0.7)
    ]
    told = beside(rows, 0.3)
    for figure, so in ((told.canary, 0.7), (told.control, 0.8), (told.difference, -0.1)):
        assert figure.low is not None and figure.high is not None and figure.low <= so <= figure.high
    assert (told.canary_usd, told.control_usd) == (pytest.approx(0.02), None)
    assert told.verdict == "worse"


def test_without_labels_nothing_is_said() -> None:
    told = beside([], 0.1)
    assert (told.n_canary, told.canary.value, told.difference.value, told.verdict) == (0, None, None, "open")
    assert not held([], 0.9, "audits").fell
    few = [Scored(float(at), str(at), at % 2 == 0, float(at % 2)) for at in range(LEAST)]
    assert beside(few, 0.5).verdict == "open"
