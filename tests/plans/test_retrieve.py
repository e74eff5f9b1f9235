"""`retrieve` through the running gateway: passages before the ask, then one model, which streams at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from router.upstream.standin import Fault, Reply
from tests.plans.houses import RETRIEVER_PRICE, approx, house, text_of
from tests.plans.little_retriever import LittleRetriever
from tests.running import chat_body

RULE = "{name: by topic, select: {by: embedding, among: [staff], threshold: 0}, fallback: [b]}"
QUESTION = "How many days of leave do staff have?"
BROKEN = Reply("", fault=Fault("status", 500))


@pytest.mark.parametrize("stream", [False, True])
async def test_the_model_is_given_the_passages_and_its_answer_goes_out(tmp_path: Path, stream: bool) -> None:
    handbook = LittleRetriever({"results": [{"content": "30 days a year.", "title": "Leave", "url": "http://x/1"}]})
    async with house(tmp_path, RULE, {"a": Reply("30 days.", gap_seconds=0.02)}, handbook=handbook) as it:
        answer = await it.ask(QUESTION, stream=stream)
        assert text_of(answer) == "30 days."
        assert answer.headers["x-signalbox-model"] == "a"
        assert handbook.asked == [{"query": QUESTION, "top_k": 4}]
        [quoted, ask] = it.body("a")["messages"]
        assert (
            '<passage number="1" title="Leave" source="http://x/1">\n30 days a year.\n</passage>' in quoted["content"]
        )
        assert (quoted["role"], ask) == ("user", {"role": "user", "content": QUESTION})
        told = await it.ledger()
        assert (told.row["plan"], told.row["model"], told.row["outcome"]) == ("retrieve", "a", "ok")
        assert told.purposes == [("retrieve", "handbook")]
        assert told.inner[0]["cost_usd"] == RETRIEVER_PRICE
        assert told.cost_usd == approx(it.billed_usd)
        if not stream:
            assert float(answer.headers["x-signalbox-cost-usd"]) == approx(it.billed_usd)


async def test_every_other_byte_of_the_request_is_the_callers(tmp_path: Path) -> None:
    raw = (
        b'{ "model":"auto",\t"messages": [ {"role":"system","content":"Be brief \\u00e4"} , '
        b'{"role":"user","content":"How many days of leave?"} ], "temperature":0.70, "seed":1e3 }'
    )
    async with house(tmp_path, RULE, {"a": "30"}) as it:
        await it.gateway.post("/v1/chat/completions", raw)
        sent = it.models["a"].journal[0].body
        at = sent.index(b'{"role":"user","content":"Passages')
        end = at + len(json.dumps(json.loads(sent)["messages"][1], ensure_ascii=False, separators=(",", ":"))) + 1
        assert sent[:at] + sent[end:] == raw.replace(b'"auto"', b'"standin-a"')


async def test_the_first_word_waits_for_the_passages_alone(tmp_path: Path) -> None:
    slow = Reply("one two three four five", pieces=10, gap_seconds=0.05)
    async with house(tmp_path, RULE, {"a": slow}, handbook=LittleRetriever(delay_seconds=1)) as it:
        await it.ask(QUESTION, stream=True)
        told = await it.ledger()
        assert 1000 <= told.row["ttft_ms"] < told.row["latency_ms"] - 200
        assert told.row["overhead_ms"] < 900, "waiting for a retriever is not the gateway's doing"


@pytest.mark.parametrize(
    ("handbook", "status", "code", "cost"),
    [
        (LittleRetriever(status=500), 500, "upstream_broken", 0.0),
        (LittleRetriever(b"<html>"), 200, "upstream_broken", RETRIEVER_PRICE),
        (LittleRetriever({"passages": []}), 200, None, RETRIEVER_PRICE),
        (LittleRetriever(delay_seconds=30), 504, "upstream_timeout", RETRIEVER_PRICE),
    ],
)
async def test_a_lost_retriever_does_not_fail_the_request_and_the_row_says_why(
    tmp_path: Path, handbook: LittleRetriever, status: int, code: str | None, cost: float
) -> None:
    async with house(tmp_path, RULE, {"a": "I do not have the handbook."}, handbook=handbook) as it:
        answer = await it.ask(QUESTION)
        assert (answer.status_code, text_of(answer)) == (200, "I do not have the handbook.")
        assert it.body("a")["messages"] == chat_body(QUESTION)["messages"]
        told = await it.ledger()
        [call] = told.inner
        assert (call["purpose"], call["model"]) == ("retrieve", "handbook")
        assert (call["status"], call["error_code"], call["cost_usd"]) == (status, code, cost)
        assert "no passages from handbook" in told.told


async def test_the_fallback_is_given_the_same_passages(tmp_path: Path) -> None:
    async with house(tmp_path, RULE, {"a": BROKEN, "b": "30 days."}) as it:
        assert text_of(await it.ask(QUESTION)) == "30 days."
        assert it.body("b")["messages"] == it.body("a")["messages"]
        assert len(it.handbook.asked) == 1
        told = await it.ledger()
        assert told.purposes == [("attempt", "a"), ("retrieve", "handbook")]
        assert told.cost_usd == approx(it.billed_usd)


async def test_where_nobody_answers_the_last_error_does(tmp_path: Path) -> None:
    async with house(tmp_path, RULE, {"a": BROKEN, "b": BROKEN}) as it:
        answer = await it.ask(QUESTION)
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_broken")
        assert (await it.ledger()).purposes == [("attempt", "a"), ("attempt", "b"), ("retrieve", "handbook")]


async def test_a_small_model_is_given_no_more_than_it_has_room_for(tmp_path: Path) -> None:
    handbook = LittleRetriever(["leave " * 3000, "travel " * 3000])
    more = {"a": "max_output: 500"}
    async with house(tmp_path, RULE, {"a": "ok"}, handbook=handbook, more=more) as it:
        await it.ask(QUESTION, max_tokens=100)
        quoted = it.body("a")["messages"][0]["content"]
        assert len(quoted) <= 24_000 and quoted.count("<passage ") == 2


async def test_a_stream_that_breaks_off_is_paid_for_with_its_passages(tmp_path: Path) -> None:
    dies = Reply("one two three four", pieces=4, fault=Fault("close_after", after=3))
    async with house(tmp_path, RULE, {"a": dies}, handbook=LittleRetriever(["leave " * 500])) as it:
        answer = await it.ask(QUESTION, stream=True)
        assert '"error"' in answer.text
        told = await it.ledger()
        assert told.row["usage_estimated"] and told.row["input_tokens"] > 700
        assert told.cost_usd == pytest.approx(it.billed_usd, rel=0.05)


@pytest.mark.parametrize("stream", [False, True])
async def test_whoever_leaves_during_the_retrieval_breaks_it_off(tmp_path: Path, stream: bool) -> None:
    handbook = LittleRetriever(delay_seconds=30)
    async with house(tmp_path, RULE, {}, handbook=handbook) as it:
        await it.leave_during(QUESTION, lambda: bool(handbook.asked), stream=stream)
        told = await it.only_row()
        assert told.row["outcome"] == "client_closed" and told.row["cost_usd"] == 0
        [call] = told.inner
        assert (call["purpose"], call["status"], call["cost_usd"]) == ("retrieve", 499, RETRIEVER_PRICE)
        assert not it.calls()


async def test_whoever_leaves_during_the_answer_pays_for_both(tmp_path: Path) -> None:
    async with house(tmp_path, RULE, {"a": Reply("x", latency_seconds=20)}) as it:
        await it.leave_during(QUESTION, lambda: bool(it.calls()))
        await it.nobody_is_busy()
        told = await it.only_row()
        assert (told.row["outcome"], told.row["model"]) == ("client_closed", "a")
        assert told.row["cost_usd"] > 0 and told.purposes == [("retrieve", "handbook")]


async def test_a_cascade_may_end_with_the_model_that_it_began_with_without_the_passages(tmp_path: Path) -> None:
    rule = "{name: x, cascade: {first: staff, then: a, checks: [empty]}}"
    async with house(tmp_path, rule, {"a": "By heart: 30."}) as it:
        it.models["a"].script.append(Reply(""))
        assert text_of(await it.ask(QUESTION)) == "By heart: 30."
        assert [len(it.body("a", number)["messages"]) for number in (1, 2)] == [2, 1]
        told = await it.ledger()
        assert told.purposes == [("draft", "a"), ("retrieve", "handbook")]
        assert told.cost_usd == approx(it.billed_usd)
