"""The selector by likeness: what it keeps, what it leaves out, and what it does when it breaks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.artefact import load_default
from classifiers.contract import AskText, Assessment
from classifiers.heuristic import HeuristicClassifier
from classifiers.learned import LearnedClassifier
from classifiers.vectors import WordVectors
from router.domain import Ask
from router.policy.compiled import Facts, Policy
from router.policy.decide import SelectionNeeded, decide
from router.policy.load import parse_policy
from router.selection.by_embedding import KEPT, ByEmbedding, shipped_vectors, texts_of, vectors_of
from tests.judge.encoders import Raises
from tests.selection.conftest import policy_text

POLICY = parse_policy(policy_text("http://r.test", "http://e.test", "http://c.test"))
LEAVE = "how many days of leave do I have"


def needed(text: str, policy: Policy = POLICY, facts: Facts | None = None, route: str = "auto") -> SelectionNeeded:
    unsure = Assessment(0.5, {}, 0.0, 0.0, "unknown", "und", "none")
    with pytest.raises(SelectionNeeded) as raised:
        decide(policy, policy.routes[route], ask(text), unsure, facts or Facts())
    return raised.value


def ask(text: str) -> Ask:
    return Ask(AskText(text), 10, 100, len(text), 1)


@pytest.fixture(scope="module")
def selector() -> ByEmbedding:
    return ByEmbedding()


def test_a_set_of_options_is_worked_out_once(selector: ByEmbedding) -> None:
    options = needed(LEAVE).select.among
    assert selector.matcher(options) is selector.matcher(tuple(options))
    again = parse_policy(policy_text("http://other.test", "http://e.test", "http://c.test"))
    assert selector.matcher(needed(LEAVE, again).select.among) is selector.matcher(options), "a reload changes nothing"


def test_sets_that_are_no_longer_in_use_are_forgotten(selector: ByEmbedding) -> None:
    first = needed(LEAVE).select.among
    made = selector.matcher(first)
    for number in range(KEPT):
        selector.matcher((replace(first[0], description=f"code {number}"), first[1]))
    assert selector.matcher(first) is not made


def test_a_threshold_of_the_policy_takes_the_place_of_the_calibrated_one(selector: ByEmbedding) -> None:
    text = "who pays for my train"
    [(name, score)] = selector.select(needed(text), ask(text)).options
    assert name == "staff" and 0.5 <= score < 0.99
    for threshold, abstains in ((score - 0.005, False), (score + 0.005, True)):
        written = policy_text("http://r.test", "http://e.test", "http://c.test")
        policy = parse_policy(written.replace("threshold: 0.9}", f"threshold: {threshold:.4f}}}"))
        chosen = selector.select(needed(text, policy, route="both"), ask(text))
        assert chosen.abstained is abstains
        assert f"{threshold:.2f}" in chosen.why


def test_an_option_whose_model_is_unwell_is_not_offered_and_the_trace_says_so(selector: ByEmbedding) -> None:
    without = selector.select(needed(LEAVE, facts=Facts(unhealthy={"clerk": "5 failures"})), ask(LEAVE))
    assert "staff" not in dict(without.options)
    assert "staff: unhealthy: 5 failures" in without.why
    nobody = selector.select(needed(LEAVE, facts=Facts(unhealthy={"clerk": "x", "expert": "y"})), ask(LEAVE))
    assert nobody.abstained and nobody.why.startswith("none of the options may serve")


def test_tags_are_read_with_the_description() -> None:
    option = POLICY.options["code"]
    assert texts_of(option).description == f"{option.description} dev"


def test_vectors_of_the_judge_are_shared_and_the_shipped_ones_stand_in() -> None:
    judge = LearnedClassifier(load_default())
    assert vectors_of(judge)() is judge.artefact.featurise.vectors
    assert vectors_of(HeuristicClassifier()) is shipped_vectors


def no_vectors() -> WordVectors:
    raise OSError("the table of words is gone")


async def test_a_selector_that_is_broken_abstains_and_says_so() -> None:
    for broken in (ByEmbedding(no_vectors), ByEmbedding(embedder=Raises())):
        await broken.prepare(POLICY)
        chosen = await broken.wait(needed(LEAVE), ask(LEAVE))
        assert chosen.abstained and chosen.why == "likeness could not be worked out"


@given(st.text(max_size=200))
def test_every_ask_gets_a_selection_of_known_options_with_scores_above_the_threshold(text: str) -> None:
    chosen = _SELECTOR.select(needed(text), ask(text))
    assert all(name in POLICY.options and 0.5 <= score <= 1.0 for name, score in chosen.options)
    assert len(chosen.options) <= 1 and chosen.why


_SELECTOR = ByEmbedding()
