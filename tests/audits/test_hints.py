"""Implicit labels: what the next turn, a hang-up, a cut and a refusal say of an answer, and what they do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from classifiers.contract import AskText
from router.audits.hints import MOST_WAITING, REMEMBERED_SECONDS, Hints, complains
from router.domain import Ask, Outcome
from router.errors import StoreAway
from router.ledger.contract import NewLabel


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Kept:
    """Labels as a store would be given them. away: refuses them."""

    def __init__(self) -> None:
        self.given: list[tuple[str, float, str]] = []
        self.transactions: list[tuple[str, int]] = []
        self.away = False

    async def add_labels(self, tenant: str, given: Sequence[NewLabel]) -> None:
        if self.away:
            raise StoreAway("no database")
        self.transactions.append((tenant, len(given)))
        for label in given:
            assert (label.source, label.key, label.weight) == ("implicit", "implicit", 1.0)
            self.given.append((label.request_id, label.score, label.comment or ""))


class Talk:
    """One gateway's hints, and a way to tell them of requests."""

    def __init__(self) -> None:
        self.kept, self.clock = Kept(), Clock()
        self.hints = Hints(self.kept, self.clock)
        self._number = 0

    def turn(self, text: str, turns: int = 2, *, completion=None, ask: dict | None = None, **row: Any) -> str:
        self._number += 1
        outcome = Outcome(f"r{self._number}", 0.0, "t", "k", route="auto", model="m", conversation="c1")
        for name, value in row.items():
            setattr(outcome, name, value)
        asked = Ask(AskText(text), 10, 100, len(text), turns, **(ask or {}))
        self.hints.notice(outcome, asked, completion)
        return outcome.request_id

    async def labels(self) -> list[tuple[str, float, str]]:
        await self.hints.poll()
        return self.kept.given


async def test_being_told_that_it_is_wrong_labels_the_answer_before() -> None:
    talk = Talk()
    first = talk.turn("How many legs has a spider?")
    talk.turn("no, that's wrong. count again")
    assert await talk.labels() == [(first, 0.0, "told that it was wrong")]


async def test_the_same_ask_again_labels_the_answer_before() -> None:
    talk = Talk()
    first = talk.turn("Name a river.")
    talk.turn("Name a river.")
    talk.turn("Name a lake.")
    assert await talk.labels() == [(first, 0.3, "asked again")]


async def test_conversations_and_tenants_are_kept_apart() -> None:
    talk = Talk()
    talk.turn("Name a river.")
    talk.turn("Name a river.", conversation="c2")
    talk.turn("that's wrong", tenant="other")
    assert await talk.labels() == []


async def test_first_turns_that_begin_alike_say_nothing_of_each_other() -> None:
    talk = Talk()
    for _ in range(3):
        talk.turn("hi", 1, conversation="fp_abc")
    assert await talk.labels() == []


async def test_a_conversation_is_forgotten_after_half_an_hour() -> None:
    talk = Talk()
    talk.turn("Name a river.")
    talk.clock.now += REMEMBERED_SECONDS + 1
    talk.turn("that's wrong")
    assert await talk.labels() == []


@pytest.mark.parametrize(
    ("row", "ask", "label"),
    [
        ({"outcome": "client_closed", "stream": True, "ttft_ms": 9.0}, {}, (0.3, "abandoned")),
        ({"finish_reason": "length"}, {"output_assumed": True}, (0.3, "truncated")),
    ],
)
async def test_how_an_answer_ended_says_something_of_it(row: dict, ask: dict, label: tuple[float, str]) -> None:
    talk = Talk()
    request = talk.turn("Name a river.", ask=ask, **row)
    assert await talk.labels() == [(request, *label)]


async def test_a_refusal_says_something_of_a_plain_answer() -> None:
    talk = Talk()
    completion = {"choices": [{"message": {"content": "I'm sorry, but I can't help with that."}}]}
    request = talk.turn("Name a river.", completion=completion)
    assert await talk.labels() == [(request, 0.1, "refused")]


@pytest.mark.parametrize(
    ("row", "ask"),
    [
        ({"outcome": "client_closed", "stream": True}, {}),  # left before anything came: it says nothing of the answer
        ({"finish_reason": "length"}, {"output_assumed": False}),  # cut where the caller said so
        ({"finish_reason": "length", "rule": "pinned"}, {"output_assumed": True}),
        ({"finish_reason": "length"}, {"output_assumed": True, "private": ("email",)}),
        ({"finish_reason": "length"}, {"output_assumed": True, "housekeeping": True}),
        ({"finish_reason": "length", "cache": "hit"}, {"output_assumed": True}),
        ({"outcome": "upstream_error"}, {}),
    ],
)
async def test_what_says_nothing_is_no_label(row: dict, ask: dict) -> None:
    talk = Talk()
    talk.turn("Name a river.", ask=ask, **row)
    assert await talk.labels() == []


async def test_what_overflows_is_counted() -> None:
    talk = Talk()
    for number in range(MOST_WAITING + 5):
        talk.turn(f"Name river {number}.", finish_reason="length", ask={"output_assumed": True})
    assert (talk.hints.waiting, talk.hints.overflowed) == (MOST_WAITING, 5)


@pytest.mark.parametrize(
    "text",
    ["That's wrong.", "that is not correct, it has eight", "No, you're wrong", "wrong!", "Hmm, that isn't what I asked",
     "Das stimmt nicht", "Das ist falsch.", "c'est faux", "Está mal, son ocho", "è sbagliato", "isso está errado",
     "dat klopt niet", "to nieprawda", "det är fel", "Это неверно", "不对，是八条", "違います", "틀렸어요", "هذا خطأ",
     "यह गलत है", "yanlış", "sai rồi"],
)  # fmt: skip
def test_complaints_are_known_in_many_languages(text: str) -> None:
    assert complains(text)


@pytest.mark.parametrize(
    "text",
    ["What is wrong with this code?", "thanks, that's right", "Is it wrong to lie?", "That's great", "no", "", "stimmt",
     "wrong answers only: name a river", "correct", "not bad",
     "It is false that the earth is flat, they said; explain " + "why " * 100],
)  # fmt: skip
def test_what_is_no_complaint(text: str) -> None:
    assert not complains(text)


async def test_labels_are_written_many_at_a_time_and_a_tenant_at_a_time() -> None:
    talk = Talk()
    for _ in range(301):
        talk.turn("Name a river.")
    for _ in range(4):
        talk.turn("Name a river.", tenant="other")
    assert len(await talk.labels()) == 303
    assert talk.kept.transactions == [("t", 200), ("t", 100), ("other", 3)]
    assert talk.hints.waiting == 0


async def test_labels_that_the_store_did_not_take_wait_for_the_next_time() -> None:
    talk = Talk()
    first = talk.turn("Name a river.")
    talk.turn("Name a river.")
    talk.kept.away = True
    with pytest.raises(StoreAway):
        await talk.labels()
    assert talk.hints.waiting == 1
    talk.kept.away = False
    assert await talk.labels() == [(first, 0.3, "asked again")]
