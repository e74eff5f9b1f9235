"""`agree` through the running gateway: short answers that agree go out as they came, all else is the next model's."""

from __future__ import annotations

from pathlib import Path

import pytest

from router.upstream.standin import Fault, Reply, ToolCall
from tests.plans.houses import approx, house, text_of

RULE = "{name: short answers, agree: {ask: [a, b, c], then: large, trust: 0.4}}"
PAIR = "{name: short answers, agree: {ask: [a, b], then: large, trust: 0.5}}"
QUESTION = "What is the capital of France?"
SLOW = Reply("Lyon", latency_seconds=20)
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}


@pytest.mark.parametrize("stream", [False, True])
async def test_what_two_agree_on_goes_out_as_the_first_of_them_said_it(tmp_path: Path, stream: bool) -> None:
    says = {"a": "Lyon", "b": "The capital of France is Paris.", "c": Reply("paris", latency_seconds=0.05)}
    async with house(tmp_path, RULE, says) as it:
        answer = await it.ask(QUESTION, stream=stream)
        assert answer.status_code == 200
        assert text_of(answer) == "The capital of France is Paris."
        assert answer.headers["x-signalbox-model"] == "b"
        told = await it.ledger()
        assert (told.row["model"], told.row["plan"], told.row["outcome"]) == ("b", "agree", "ok")
        assert told.purposes == [("vote", "a"), ("vote", "c")]
        assert "b, c agree" in told.told
        assert "paris" not in told.told.lower().replace("capital of france", "")
        assert told.cost_usd == approx(it.billed_usd)
        assert it.calls() == {"a": 1, "b": 1, "c": 1}


async def test_a_plain_answer_goes_out_byte_for_byte(tmp_path: Path) -> None:
    async with house(tmp_path, RULE, {"a": "Paris", "b": "Paris", "c": "Paris"}) as it:
        answer = await it.ask(QUESTION)
        alone = await it.gateway.post(
            "/v1/chat/completions", {"model": "a", "messages": [{"role": "user", "content": QUESTION}]}
        )
        assert answer.json() | {"id": ""} == alone.json() | {"id": ""}
        assert answer.content.replace(answer.json()["id"].encode(), b"") == alone.content.replace(
            alone.json()["id"].encode(), b""
        )
        assert float(answer.headers["x-signalbox-cost-usd"]) == approx((await it.ledger()).cost_usd)


async def test_two_that_agree_are_enough_and_the_third_is_broken_off(tmp_path: Path) -> None:
    async with house(tmp_path, RULE, {"a": "Paris", "b": "paris.", "c": SLOW}) as it:
        answer = await it.ask(QUESTION)
        assert text_of(answer) == "Paris"
        assert answer.elapsed.total_seconds() < 5
        await it.nobody_is_busy()
        assert it.models["c"].journal[0].left.is_set()
        told = await it.ledger()
        assert told.purposes == [("vote", "b"), ("vote", "c")]
        [cut] = [call for call in told.inner if call["model"] == "c"]
        assert (cut["status"], cut["outcome"], cut["usage_estimated"]) == (499, "client_closed", True)
        assert cut["input_tokens"] > 0 and cut["cost_usd"] > 0


@pytest.mark.parametrize("stream", [False, True])
async def test_where_they_do_not_agree_the_next_model_answers(tmp_path: Path, stream: bool) -> None:
    says = {"a": "Lyon", "b": "Paris", "c": "Nice", "large": "It is Paris, of course."}
    async with house(tmp_path, RULE, says) as it:
        answer = await it.ask(QUESTION, stream=stream)
        assert text_of(answer) == "It is Paris, of course."
        assert answer.headers["x-signalbox-model"] == "large"
        told = await it.ledger()
        assert told.purposes == [("vote", "a"), ("vote", "b"), ("vote", "c")]
        assert "escalated to large" in told.told
        assert told.cost_usd == approx(it.billed_usd)


async def test_it_escalates_as_soon_as_agreement_is_out_of_reach(tmp_path: Path) -> None:
    rule = RULE.replace("0.4", "0.7")  # all three must agree
    async with house(tmp_path, rule, {"a": "Lyon", "b": "Paris", "c": SLOW, "large": "Paris"}) as it:
        answer = await it.ask(QUESTION)
        assert text_of(answer) == "Paris" and answer.headers["x-signalbox-model"] == "large"
        assert answer.elapsed.total_seconds() < 5
        await it.nobody_is_busy()
        assert it.models["c"].journal[0].left.is_set()


async def test_where_not_even_all_would_be_trusted_nobody_is_asked_in_vain(tmp_path: Path) -> None:
    async with house(tmp_path, RULE.replace("0.4", "1"), {"large": "Paris"}) as it:
        answer = await it.ask(QUESTION)
        assert text_of(answer) == "Paris"
        assert it.calls() == {"large": 1}
        told = await it.ledger()
        assert not told.inner
        assert "at most, 1 wanted" in told.told


async def test_one_that_fails_is_one_that_does_not_agree(tmp_path: Path) -> None:
    says = {"a": Reply("", fault=Fault("status", 500)), "b": "Paris", "c": "Paris", "large": "Paris!"}
    async with house(tmp_path, RULE, says) as it:
        assert text_of(await it.ask(QUESTION)) == "Paris"
        told = await it.ledger()
        assert told.row["model"] == "b"
        assert told.purposes == [("attempt", "a"), ("vote", "c")]
        assert told.cost_usd == approx(it.billed_usd)
    async with house(tmp_path, PAIR, says) as it:
        assert text_of(await it.ask(QUESTION)) == "Paris!"
        assert (await it.ledger()).purposes == [("attempt", "a"), ("vote", "b")]


@pytest.mark.parametrize("stream", [False, True])
async def test_one_that_is_killed_in_mid_answer_counts_as_failed_and_is_paid_for(tmp_path: Path, stream: bool) -> None:
    broken = Reply("Paris " * 50, pieces=10, fault=Fault("close_after", after=6))
    says = {"a": broken, "b": "Paris", "c": Reply("Paris", latency_seconds=0.3)}
    async with house(tmp_path, RULE, says) as it:
        assert text_of(await it.ask(QUESTION, stream=stream)) == "Paris"
        told = await it.ledger()
        assert told.purposes == [("attempt", "a"), ("vote", "c")]
        [broken] = [call for call in told.inner if call["model"] == "a"]
        assert broken["outcome"] == "upstream_error"
        if stream:
            assert broken["cost_usd"] > 0, "what had come of it was billed"


async def test_an_upstream_that_refuses_the_request_does_not_agree_either(tmp_path: Path) -> None:
    late = Reply("Paris", latency_seconds=0.5)  # or the vote is over before the refusal is heard
    says = {"a": Reply("", fault=Fault("status", 400)), "b": late, "c": late}
    async with house(tmp_path, RULE, says) as it:
        assert text_of(await it.ask(QUESTION)) == "Paris"
        told = await it.ledger()
        assert [(call["purpose"], call["status"]) for call in told.inner if call["model"] == "a"] == [("vote", 400)]


@pytest.mark.parametrize("said", ["I'm sorry, but I can't help with that.", "I don't know", ""])
async def test_refusals_and_empty_answers_agree_on_nothing(tmp_path: Path, said: str) -> None:
    async with house(tmp_path, RULE, {"a": said, "b": said, "c": said, "large": "Paris"}) as it:
        assert text_of(await it.ask(QUESTION)) == "Paris"


LONG = "There is a lot to be said about that, and I shall say all of it, one thing after the other, until I am done."


async def test_long_answers_go_by_the_predicted_quality(tmp_path: Path) -> None:
    says = {"a": Reply(LONG, latency_seconds=0.1), "b": LONG, "c": LONG, "large": "Much better."}
    async with house(tmp_path, RULE, says) as it:
        answer = await it.ask("Tell me about it")
        quality = (await it.ledger()).row["quality"]["a"]
        assert quality > 0.4, "an easy one, or this test shows nothing"
        assert text_of(answer) == LONG and answer.headers["x-signalbox-model"] == "a"
        assert "no short answers" in (await it.ledger()).told
    hard = "Prove that every finite-dimensional real division algebra has dimension 1, 2, 4 or 8."
    async with house(tmp_path, RULE.replace("0.4", "0.65"), says) as it:
        answer = await it.ask(hard)
        assert (await it.ledger()).row["quality"]["a"] < 0.65
        assert text_of(answer) == "Much better."


async def test_tool_calls_go_by_the_predicted_quality_too_and_tools_and_schema_go_whole(tmp_path: Path) -> None:
    calls = Reply("", tool_calls=(ToolCall("look_up", {}),))
    async with house(tmp_path, RULE, {"a": calls, "b": calls, "c": calls, "large": calls}) as it:
        schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
        answer = await it.ask("Look up hi", tools=[TOOL], response_format=schema, seed=7, stream=True)
        assert '"name":"look_up"' in answer.text
        for name in it.calls():
            sent = it.body(name)
            assert (sent["tools"], sent["response_format"], sent["seed"]) == ([TOOL], schema, 7)


@pytest.mark.parametrize("more", [{"n": 2}, {"modalities": ["text", "audio"], "audio": {"voice": "x"}}])
async def test_what_cannot_be_compared_goes_to_the_next_model_alone(tmp_path: Path, more: dict[str, object]) -> None:
    async with house(tmp_path, RULE, {"large": "Paris"}) as it:
        assert text_of(await it.ask(QUESTION, **more)) == "Paris"
        assert it.calls() == {"large": 1}
        assert "cannot be compared" in (await it.ledger()).told


async def test_json_that_was_asked_for_is_compared_as_json(tmp_path: Path) -> None:
    says = {"a": '{"city": "Lyon"}', "b": '{"city": "Paris", "n": 1}', "c": '{"n": 1.0, "city": "paris"}'}
    async with house(tmp_path, RULE, says) as it:
        answer = await it.ask(QUESTION, response_format={"type": "json_object"})
        assert text_of(answer) == says["b"]


async def test_when_the_next_model_fails_a_sound_answer_goes_out_after_all(tmp_path: Path) -> None:
    broken = Reply("", fault=Fault("status", 500))
    says = {"a": broken, "b": "Paris", "c": "Nice", "large": broken}
    async with house(tmp_path, RULE, says) as it:
        answer = await it.ask(QUESTION)
        assert (answer.status_code, text_of(answer)) == (200, "Paris")
        told = await it.ledger()
        assert told.row["model"] == "b"
        assert told.purposes == [("attempt", "a"), ("attempt", "large"), ("vote", "c")]
        assert told.cost_usd == approx(it.billed_usd)
    async with house(tmp_path, RULE, dict.fromkeys(("a", "b", "c", "large"), broken)) as it:
        answer = await it.ask(QUESTION)
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_broken")
        assert len((await it.ledger()).inner) == 4


async def test_the_fallback_stands_by_for_the_next_model(tmp_path: Path) -> None:
    rule = "{name: x, fallback: [c], agree: {ask: [a, b], then: large, trust: 0.5}}"
    says = {"a": "Lyon", "b": "Paris", "large": Reply("", fault=Fault("status", 500)), "c": "Paris, I am told."}
    async with house(tmp_path, rule, says) as it:
        assert text_of(await it.ask(QUESTION)) == "Paris, I am told."


@pytest.mark.parametrize("stream", [False, True])
async def test_whoever_leaves_while_they_are_asked_has_all_of_them_broken_off(tmp_path: Path, stream: bool) -> None:
    async with house(tmp_path, RULE, {"a": SLOW, "b": SLOW, "c": SLOW}) as it:
        await it.leave_during(QUESTION, lambda: len(it.calls()) == 3, stream=stream)
        await it.nobody_is_busy()
        assert all(model.journal[0].left.is_set() for model in it.models.values() if model.journal)
        told = await it.only_row()
        assert told.row["outcome"] == "client_closed"
        assert told.purposes == [("vote", "a"), ("vote", "b"), ("vote", "c")]
        assert all(call["cost_usd"] > 0 and call["status"] == 499 for call in told.inner)
        assert told.row["cost_usd"] == 0


async def test_whoever_leaves_while_the_next_model_is_asked_pays_for_the_votes_too(tmp_path: Path) -> None:
    says = {"a": "Lyon", "b": "Paris", "c": "Nice", "large": Reply("x", latency_seconds=20)}
    async with house(tmp_path, RULE, says) as it:
        await it.leave_during(QUESTION, lambda: "large" in it.calls())
        await it.nobody_is_busy()
        told = await it.only_row()
        assert (told.row["outcome"], told.row["model"]) == ("client_closed", "large")
        assert told.row["cost_usd"] > 0
        assert told.purposes == [("vote", "a"), ("vote", "b"), ("vote", "c")]


async def test_a_part_may_have_a_retriever(tmp_path: Path) -> None:
    rule = "{name: x, agree: {ask: [staff, b], then: large, trust: 0.5}}"
    async with house(tmp_path, rule, {"a": "30", "b": "30 days"}) as it:
        assert text_of(await it.ask("How many days of leave do I have?")) == "30"
        assert "30 days of leave a year" in it.body("a")["messages"][0]["content"]
        assert len(it.body("b")["messages"]) == 1
        told = await it.ledger()
        assert told.purposes == [("retrieve", "handbook"), ("vote", "b")]
        assert told.cost_usd == approx(it.billed_usd)
