"""The demo's claims fail when what they promise did not happen, and the printout stays short and honest."""

from dataclasses import replace

import pytest

from router.cli.demo import most_dollars
from router.demo import questions
from router.demo.asking import Reply
from router.demo.claims import claims
from router.demo.printout import MOST_LINES, lines
from router.demo.questions import Question
from router.demo.standins import SMALL_IS_RIGHT, large_answer, small_answer, small_is_right
from router.demo.story import Relearned, Story
from router.domain import Price


def reply(number: int, question: Question, *, cache: str | None = None) -> Reply:
    to_small = question.kind == "private" or not question.demanding
    text = small_answer(question) if to_small else large_answer(question)
    cache = cache or ("bypass" if question.kind == "private" else "miss")
    model, rule = ("small", "easy") if to_small else ("large", "keep the promise")
    return Reply(question, number % 2 == 0, text, f"req_{number}", model, rule, cache, 0.5 + number / 1000)


def document(answer: Reply) -> dict:
    return {
        "request_id": answer.request_id,
        "decision": {"model": answer.model, "rule": answer.rule},
        "assessment": {"complexity": 0.2},
        "rules": [{"name": answer.rule, "matched": True, "why": "complexity 0.20 < 0.35"}],
    }


@pytest.fixture
def story() -> Story:
    asked = questions.load()
    first = tuple(reply(number, question) for number, question in enumerate(asked))
    again = tuple(reply(1000 + n, q, cache="hit") for n, q in enumerate(q for q in asked if q.repeat))
    before = {answer.question.text: answer.model for answer in first}
    total = {"requests": len(first) + len(again), "errors": 0, "unpriced": 0, "spend_usd": 0.2, "baseline_usd": 0.5}
    return Story(
        first=first,
        again=again,
        explained=tuple(document(answer) for answer in first[:3]),
        costs={"rows": [], "total": total},
        policy="demo@123",
        up=200,
        down=63,
        relearned=Relearned("fast@a", "fast@b", before, {**before, asked[0].text: "large"}),
        seconds=20.0,
    )


def failed(story: Story) -> list[str]:
    return [claim.name for claim in claims(story) if not claim.kept]


def with_total(story: Story, **changes: object) -> Story:
    return replace(story, costs={**story.costs, "total": {**story.costs["total"], **changes}})


def test_a_run_in_which_all_of_it_happened_keeps_every_claim(story):
    assert failed(story) == []


def test_repeats_that_miss_the_cache_break_the_cache_claim(story):
    assert failed(replace(story, again=tuple(replace(r, cache="miss") for r in story.again))) == ["repeat -> cache"]


def test_one_private_question_that_leaves_breaks_the_privacy_claim(story):
    leak = next(n for n, r in enumerate(story.first) if r.question.kind == "private")
    first = (*story.first[:leak], replace(story.first[leak], model="large"), *story.first[leak + 1 :])
    assert failed(replace(story, first=first)) == ["private -> local"]


def test_sending_everything_to_large_breaks_the_claims_about_small_privacy_and_cost(story):
    first = tuple(replace(r, model="large") for r in story.first)
    everything = with_total(replace(story, first=first), spend_usd=0.5)
    assert failed(everything) == ["easy -> small", "private -> local", "cheaper"]


def test_sending_everything_to_small_breaks_the_claim_about_large(story):
    assert failed(replace(story, first=tuple(replace(r, model="small") for r in story.first))) == ["hard -> large"]


def test_costs_that_could_not_be_priced_are_no_saving(story):
    assert failed(with_total(story, unpriced=3)) == ["cheaper"]


def test_a_row_lost_by_the_ledger_is_noticed(story):
    assert failed(with_total(story, requests=len(story.first))) == ["answered"]


def test_a_decision_without_a_reason_is_not_explained(story):
    silent = {**story.explained[0], "rules": []}
    assert failed(replace(story, explained=(silent, *story.explained[1:]))) == ["explained"]


def test_a_retraining_that_changes_no_route_has_moved_nothing(story):
    still = replace(story.relearned, after=story.relearned.before)
    assert failed(replace(story, relearned=still)) == ["moved"]


def test_a_gateway_that_keeps_its_old_judge_was_not_retrained(story):
    assert failed(replace(story, relearned=replace(story.relearned, judge_after="fast@a"))) == ["retrained"]


def test_the_printout_is_at_most_forty_lines_and_says_what_is_simulated(story):
    printed = lines(story, claims(story), "http://127.0.0.1:1", stays=True)
    assert len(printed) <= MOST_LINES == 40
    assert sum("SIMULATED" in line for line in printed) >= 3
    assert any(line.startswith("curl http://127.0.0.1:1/v1/chat/completions") for line in printed)
    assert any("http://127.0.0.1:1/dashboard" in line for line in printed)


def test_a_failed_claim_is_named_in_the_printout(story):
    broken = replace(story, again=tuple(replace(r, cache="miss") for r in story.again))
    printed = lines(broken, claims(broken), "http://127.0.0.1:1", stays=False)
    assert [line.split()[1:4] for line in printed if line.startswith("FAILED")] == [["repeat", "->", "cache"]]


def test_with_real_models_nothing_is_graded_and_nothing_is_called_simulated(story):
    real = replace(story, relearned=None, up=0, down=0)
    assert {claim.name for claim in claims(real)} == {"repeat -> cache", "explained", "answered", "overhead"}
    assert not any("SIMULATED" in line for line in lines(real, claims(real), "http://127.0.0.1:1", stays=False))


def test_the_small_stand_in_is_right_about_as_often_as_its_level_table_says():
    asked = questions.load()
    for level, expected in SMALL_IS_RIGHT.items():
        of_level = [q for q in asked if q.level == level]
        right = sum(small_is_right(q) for q in of_level) / len(of_level)
        assert abs(right - expected) <= 0.15


def test_a_bound_on_what_real_models_cost_is_only_given_where_every_price_is_known():
    assert most_dollars([Price(0, 0), Price(3, 15)]) == "that costs at most about $0.15"
    assert "not known" in most_dollars([Price(0, 0), None])
