"""Votes counted, answers checked and plans carried out on outcomes that hold answers."""

from __future__ import annotations

import numpy as np
import pytest

from classifiers.errors import TrainingError
from classifiers.training import agreement
from classifiers.training.agreement import NOT_READ
from classifiers.training.dataset import OutcomeRow
from classifiers.trust import agreed

VOTERS = ("a", "b", "c")


def row(*answers: str | None, right: str = "A") -> OutcomeRow:
    scores = {name: float(answer == right) for name, answer in zip(VOTERS, answers, strict=True)}
    none: dict[str, float | None] = dict.fromkeys(scores)
    return OutcomeRow("q", "d", "Which?", scores, none, none, dict(zip(VOTERS, answers, strict=True)))


def test_most_votes_win_and_ties_go_to_the_first() -> None:
    polled = agreement.poll([row("A", "B", "B"), row("A", "B", "C"), row("A", "A", "A")], VOTERS)
    assert polled.votes.tolist() == [2, 1, 3]
    assert polled.score.tolist() == [0.0, 1.0, 1.0]
    assert polled.dissent.tolist() == [1, 2, 0]


def test_an_answer_that_cannot_be_read_is_no_vote_and_no_dissent() -> None:
    polled = agreement.poll([row(None, "B", "A"), row(None, None, "A"), row(None, None, None)], VOTERS)
    assert polled.votes.tolist() == [1, 1, 0]
    assert polled.dissent.tolist() == [1, 0, 0]
    assert polled.score.tolist() == [0.0, 1.0, 0.0]


def test_trust_is_what_serves() -> None:
    rows, quality = [row("A", "B", "B"), row(None, "A", "A")], np.array([0.3, 0.8])
    plan = agreement.agreeing(agreement.poll(rows, VOTERS), quality, np.ones(2), np.ones(2), np.ones(2))
    assert plan.trust.tolist() == [agreed(2, 3, 0.3, 1), agreed(2, 3, 0.8, 0)]
    assert plan.ceiling.tolist() == [agreed(3, 3, 0.3), agreed(3, 3, 0.8)]
    assert (plan.ceiling >= plan.trust).all()


def test_where_nobody_gave_an_answer_the_large_model_answers_at_every_threshold() -> None:
    polled = agreement.poll([row(None, None, None)], VOTERS)
    plan = agreement.agreeing(polled, np.ones(1), np.ones(1), np.ones(1), np.ones(1))
    assert plan.trust.tolist() == [NOT_READ]
    assert plan.quality(0.0).tolist() == [1.0]


def test_a_cascade_keeps_what_can_be_read_and_trusted() -> None:
    rows = [row("A", None, "A"), row(None, None, "A"), row("B", None, "A")]
    plan = agreement.cascading(rows, "a", np.array([0.9, 0.9, 0.2]), np.ones(3), np.full(3, 0.1), np.ones(3))
    assert plan.quality(0.5).tolist() == [1.0, 1.0, 1.0]
    assert plan.cost(0.5).tolist() == [0.1, 1.1, 1.0]
    assert plan.calls(0.0) == pytest.approx(1 / 3)


def test_without_answers_nothing_is_made_up() -> None:
    bare = OutcomeRow("q7", "d", "Which?", {"a": 1.0, "b": 0.0}, {}, {})
    with pytest.raises(TrainingError, match=r"q7: no `answer` of a, b"):
        agreement.poll([bare], ("a", "b"))
    with pytest.raises(TrainingError, match=r"q7: no `answer` of a"):
        agreement.cascading([bare], "a", np.ones(1), np.ones(1), np.ones(1), np.ones(1))


def test_apgr_counts_from_the_small_model_and_shares_ties() -> None:
    kept, large, small = np.array([1.0, 0.0, 1.0, 0.0]), np.ones(4), np.array([1.0, 0.0, 0.0, 0.0])
    told_apart = agreement.before_asking(kept, kept, large, kept, large)
    blind = agreement.before_asking(np.zeros(4), kept, large, kept, large)
    assert agreement.apgr(told_apart, kept) == pytest.approx(0.75)
    assert agreement.apgr(blind, kept) == pytest.approx(0.5)
    # The plan's own answers are better than the small model's, so PGR begins above 0.
    assert agreement.apgr(blind, small) == pytest.approx(1 / 3 + 2 / 3 * 0.5)
    assert agreement.apgr(blind, large) is None
