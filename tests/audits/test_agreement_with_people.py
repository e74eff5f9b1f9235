"""The command that asks how a judge agrees with people: its arithmetic, on judges whose bias is known."""

from __future__ import annotations

import pytest

from bench.judge_agreement import Pair, figures, run
from router.audits.weighing import Scores

PAIRS = [
    Pair("x", "q", "long answer", "short", "A"),
    Pair("x", "q", "s", "much longer", "B"),
    Pair("y", "q", "a", "b", "tie"),
]
GOOD, BAD = 0.9, 0.2


def test_a_judge_that_sees_what_people_see_agrees_and_has_no_bias() -> None:
    seen = [
        (Scores(GOOD, BAD), Scores(BAD, GOOD)),
        (Scores(BAD, GOOD), Scores(GOOD, BAD)),
        (Scores(0.5, 0.5), Scores(0.5, 0.5)),
    ]
    found = figures(PAIRS, seen)
    assert found["agrees_both_orders"]["value"] == 1.0
    assert found["orders_agree"] == 1.0
    assert found["prefers_first"] == found["prefers_second"] == pytest.approx(1 / 3)


def test_a_judge_that_takes_the_first_is_found_out() -> None:
    found = figures(PAIRS, [(Scores(GOOD, BAD), Scores(GOOD, BAD))] * 3)
    assert found["prefers_first"] == 1.0 and found["prefers_second"] == 0.0
    assert found["orders_agree"] == 0.0
    assert found["agrees_one_order"]["value"] == 0.5
    assert found["agrees_both_orders"]["value"] == 0.0


def test_what_cannot_be_read_is_counted() -> None:
    found = figures(PAIRS, [(None, Scores(GOOD, BAD)), (None, None), (Scores(GOOD, BAD), Scores(BAD, GOOD))])
    assert found["unread"] == 2


async def test_without_a_model_the_stand_in_judges_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SIGNALBOX_JUDGE_MODEL", raising=False)
    found = await run(PAIRS)
    assert found["simulated"] is True and found["unread"] == 0
