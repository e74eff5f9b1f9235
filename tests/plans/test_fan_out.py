"""`fan_out` through the running gateway: models and data sources at once, and one answer made of theirs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from router.upstream.standin import Fault, Reply, ToolCall
from tests.plans.houses import House, approx, chunks_of, house, text_of
from tests.plans.little_retriever import LittleRetriever

QUESTION = "What is the capital of France?"
BROKEN = Reply("", fault=Fault("status", 500))
IN_WORDS = {"large": "supports: [tools]"}
"""A stand-in that is given a schema answers by it, whatever it would say; this one is given none."""
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}


def rule(combine: str, ask: str = "a, b, c", judge: str = "large", more: str = "") -> str:
    judged = f", judge: {judge}" if combine != "vote" else ""
    return f"{{name: all we know, {more}fan_out: {{ask: [{ask}], combine: {combine}{judged}}}}}"


def picks(name: str) -> Any:
    """A judge that picks the answer in which this name stands."""

    def reply(question: str) -> str:
        [number] = [
            part.split('"')[1] for part in question.split("<answer number=")[1:] if name in part.split("</answer>")[0]
        ]
        return f'{{"why": "it names {name}", "best": {number}}}'

    return reply


async def test_a_model_and_a_retriever_are_fused_into_one_answer_and_every_call_is_costed(tmp_path: Path) -> None:
    says = {"a": "30 days, says the handbook.", "b": "Perhaps 25 days.", "large": "You have 30 days of leave."}
    async with house(tmp_path, rule("fuse", "staff, b"), says) as it:
        answer = await it.ask("How much leave do I have?")
        assert text_of(answer) == "You have 30 days of leave."
        assert answer.headers["x-signalbox-model"] == "large"
        assert it.handbook.queries == ["How much leave do I have?"]
        [quoted, ask] = it.body("a")["messages"]
        assert "Staff have 30 days of leave a year." in quoted["content"]
        assert ask["content"] == "How much leave do I have?"
        [ask, told] = it.body("large")["messages"]
        assert ask["content"] == "How much leave do I have?"
        assert "30 days, says the handbook." in told["content"] and "Perhaps 25 days." in told["content"]
        row = await it.ledger()
        assert (row.row["model"], row.row["plan"], row.row["purpose"]) == ("large", "fan_out", "chat")
        assert row.purposes == [("part", "a"), ("part", "b"), ("retrieve", "handbook")]
        assert {call["model"]: call["cost_usd"] for call in row.inner}["handbook"] == 0.0005
        assert row.cost_usd == approx(it.billed_usd)
        assert float(answer.headers["x-signalbox-cost-usd"]) == approx(it.billed_usd)
        costs = (await it.gateway.get("/api/costs?by=model&since=1h"))["total"]
        assert costs["spend_usd"] == approx(it.billed_usd)


async def test_what_the_judge_writes_streams_straight_through(tmp_path: Path) -> None:
    says = {"a": "one", "b": "two", "c": "three", "large": Reply("four five six seven", pieces=8, gap_seconds=0.02)}
    async with house(tmp_path, rule("fuse"), says) as it:
        answer = await it.ask(QUESTION, stream=True, stream_options={"include_usage": True})
        assert text_of(answer) == "four five six seven"
        chunks = list(chunks_of(answer))
        assert len(chunks) > 8 and chunks[-1]["usage"]["completion_tokens"] == 5
        row = await it.ledger()
        assert row.row["ttft_ms"] < row.row["latency_ms"] - 80, "it came piece by piece"
        assert row.cost_usd == approx(it.billed_usd)


async def test_fusing_keeps_tools_schema_and_every_other_member_for_parts_and_judge(tmp_path: Path) -> None:
    says = {"a": "one", "b": "two", "c": "three", "large": "four"}
    shape = {"type": "object", "properties": {"said": {"type": "string"}}}
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": shape}}
    async with house(tmp_path, rule("fuse"), says) as it:
        answer = await it.ask("hi", tools=[TOOL], response_format=schema, temperature=0.5, metadata={"a": "b"})
        assert text_of(answer) == '{"said": "four"}'
        for name in ("a", "b", "c", "large"):
            sent = it.body(name)
            assert (sent["tools"], sent["response_format"], sent["temperature"]) == ([TOOL], schema, 0.5)


@pytest.mark.parametrize("stream", [False, True])
async def test_where_the_judge_cannot_write_the_best_part_there_is_goes_out(tmp_path: Path, stream: bool) -> None:
    for broken in (BROKEN, Reply("", fault=Fault("status", 400)), Reply("", fault=Fault("close_before"))):
        async with house(
            tmp_path / str(id(broken)), rule("fuse"), {"a": "Lyon", "b": "Paris", "c": "Paris", "large": broken}
        ) as it:
            answer = await it.ask(QUESTION, stream=stream)
            assert (answer.status_code, text_of(answer)) == (200, "Paris")
            row = await it.ledger()
            assert row.row["model"] == "b"
            tried = {("attempt", "large"), ("combine", "large")} & set(row.purposes)
            assert len(tried) == 1
            assert set(row.purposes) - tried == {("part", "a"), ("part", "c")}
            assert row.cost_usd == approx(it.billed_usd)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_judge_that_dies_in_mid_answer_is_told_to_the_caller_and_every_call_is_paid_for(
    tmp_path: Path, stream: bool
) -> None:
    dies = Reply("four five six seven", pieces=8, fault=Fault("close_after", after=5))
    async with house(tmp_path, rule("fuse"), {"a": "one", "b": "two", "c": "three", "large": dies}) as it:
        answer = await it.ask(QUESTION, stream=stream)
        row = await it.ledger()
        if stream:
            assert '"error"' in answer.text and "[DONE]" not in answer.text
            assert (row.row["model"], row.row["outcome"]) == ("large", "upstream_error")
            assert row.purposes == [("part", "a"), ("part", "b"), ("part", "c")]
            assert row.cost_usd >= it.billed_usd - 1e-9
        else:  # nothing went out yet, so what the others said does
            assert text_of(answer) == "one"


async def test_a_vote_sends_what_most_agree_on(tmp_path: Path) -> None:
    says = {"a": "Lyon", "b": "It's Paris.", "c": Reply("Paris", latency_seconds=0.1)}
    async with house(tmp_path, rule("vote"), says) as it:
        assert text_of(await it.ask(QUESTION)) == "It's Paris."
        row = await it.ledger()
        assert (row.row["model"], row.purposes) == ("b", [("part", "a"), ("part", "c")])
        assert "b, c agree" in row.told
        assert row.cost_usd == approx(it.billed_usd)


async def test_a_vote_that_is_decided_waits_for_nobody(tmp_path: Path) -> None:
    says = {"a": "Paris", "b": "Paris", "c": Reply("Lyon", latency_seconds=20)}
    async with house(tmp_path, rule("vote"), says) as it:
        answer = await it.ask(QUESTION)
        assert text_of(answer) == "Paris" and answer.elapsed.total_seconds() < 5
        await it.nobody_is_busy()
        assert it.models["c"].journal[0].left.is_set()


@pytest.mark.parametrize("stream", [False, True])
async def test_without_a_majority_or_short_answers_a_vote_sends_the_first(tmp_path: Path, stream: bool) -> None:
    long = "There is a lot to be said about that, and I shall say it all, one thing after the other, says "
    for said in (("Lyon", "Paris", "Nice"), tuple(long + name for name in "abc")):
        says = dict(zip("abc", said, strict=True))
        says["a"] = Reply(says["a"], latency_seconds=0.1)  # type: ignore[assignment]
        async with house(tmp_path / said[0][:4], rule("vote"), says) as it:
            assert text_of(await it.ask(QUESTION, stream=stream)) == said[0]


@pytest.mark.parametrize("stream", [False, True])
async def test_the_best_of_them_is_the_judges_to_pick_and_goes_out_as_it_came(tmp_path: Path, stream: bool) -> None:
    says = {"a": "Lyon", "b": "Nice it is", "c": "Paris", "large": picks("Nice")}
    async with house(tmp_path, rule("best_of"), says, more=IN_WORDS) as it:
        answer = await it.ask(QUESTION, stream=stream)
        assert text_of(answer) == "Nice it is"
        assert answer.headers["x-signalbox-model"] == "b"
        row = await it.ledger()
        assert row.purposes == [("combine", "large"), ("part", "a"), ("part", "c")]
        assert row.cost_usd == approx(it.billed_usd)
        asked = it.body("large")
        assert asked.get("stream", False) is False
        assert QUESTION in asked["messages"][1]["content"]
        assert "response_format" not in asked


async def test_a_judge_that_takes_a_schema_answers_by_one(tmp_path: Path) -> None:
    says = {"a": "Lyon", "b": "Nice", "c": "Paris", "large": "since I say so"}
    async with house(tmp_path, rule("best_of"), says) as it:
        answer = await it.ask(QUESTION)
        asked = it.body("large")
        assert asked["response_format"]["json_schema"]["schema"]["required"] == ["why", "best"]
        first = asked["messages"][1]["content"].split('<answer number="1">')[1].split("</answer>")[0].strip()
        assert text_of(answer) == first, "the stand-in names the first number that the schema allows"


@pytest.mark.parametrize(
    "judge",
    [
        "I like them all.",
        '{"best": 7}',
        Reply("", fault=Fault("status", 400)),
        BROKEN,
    ],
)
async def test_a_judge_that_picks_none_leaves_it_to_the_vote(tmp_path: Path, judge: Any) -> None:
    says = {"a": "Lyon", "b": "Paris", "c": "Paris", "large": judge}
    async with house(tmp_path, rule("best_of"), says, more=IN_WORDS) as it:
        assert text_of(await it.ask(QUESTION)) == "Paris"
        row = await it.ledger()
        assert row.row["model"] == "b"
        assert {("combine", "large"), ("attempt", "large")} & set(row.purposes)
        assert row.cost_usd == approx(it.billed_usd)


async def test_the_order_in_which_answers_are_judged_is_not_the_policys(tmp_path: Path) -> None:
    says = {"a": "Lyon", "b": "Nice", "c": "Paris", "large": '{"best": 1}'}
    async with house(tmp_path, rule("best_of"), says) as it:
        orders = set()
        for seed in range(12):
            await it.ask(QUESTION, seed=seed)
            told = it.body("large", seed + 1)["messages"][1]["content"]
            orders.add(tuple(sorted(("Lyon", "Nice", "Paris"), key=told.index)))
        assert len(orders) > 1


async def test_where_all_say_the_same_nobody_has_to_judge(tmp_path: Path) -> None:
    async with house(tmp_path, rule("best_of"), dict.fromkeys("abc", "Paris")) as it:
        assert text_of(await it.ask(QUESTION)) == "Paris"
        assert "large" not in it.calls()


@pytest.mark.parametrize("combine", ["vote", "best_of", "fuse"])
async def test_parts_that_fail_are_left_out_and_the_last_one_left_goes_out_alone(tmp_path: Path, combine: str) -> None:
    says = {"a": BROKEN, "b": Reply("x", fault=Fault("close_before")), "c": "Paris"}
    async with house(tmp_path, rule(combine), says) as it:
        assert text_of(await it.ask(QUESTION)) == "Paris"
        row = await it.ledger()
        assert row.purposes == [("attempt", "a"), ("attempt", "b")]
        assert "only c answered" in row.told
        assert row.cost_usd == approx(it.billed_usd)


@pytest.mark.parametrize("combine", ["vote", "best_of", "fuse"])
async def test_where_all_fail_the_fallback_answers_or_the_last_ones_error_does(tmp_path: Path, combine: str) -> None:
    says = {"a": BROKEN, "b": BROKEN, "c": Reply("", fault=Fault("status", 429, retry_after="7")), "large": "Here."}
    async with house(tmp_path / "1", rule(combine), says) as it:
        answer = await it.ask(QUESTION)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
        assert (await it.ledger()).purposes == [("attempt", "a"), ("attempt", "b"), ("attempt", "c")]
    async with house(tmp_path / "2", rule(combine, more="fallback: [large], "), says) as it:
        assert text_of(await it.ask(QUESTION)) == "Here."
    refused = dict.fromkeys("abc", Reply("", fault=Fault("status", 422)))
    async with house(tmp_path / "3", rule(combine), refused) as it:
        answer = await it.ask(QUESTION)
        assert answer.status_code == 422 and answer.headers["x-signalbox-fault"] == "caller"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_part_killed_in_mid_answer_is_left_out(tmp_path: Path, stream: bool) -> None:
    killed = Reply("Paris " * 50, pieces=10, fault=Fault("close_after", after=6))
    says = {"a": killed, "b": "Lyon", "c": "Nice", "large": "Paris"}
    async with house(tmp_path, rule("fuse"), says) as it:
        assert text_of(await it.ask(QUESTION, stream=stream)) == "Paris"
        told = it.body("large")["messages"][1]["content"]
        assert "Lyon" in told and "Nice" in told and told.count("<answer ") == 2
        row = await it.ledger()
        assert row.purposes == [("attempt", "a"), ("part", "b"), ("part", "c")]


async def test_tool_calls_are_put_to_the_vote_and_else_the_first_part_goes_out(tmp_path: Path) -> None:
    def calling(**arguments: Any) -> Reply:
        return Reply("", tool_calls=(ToolCall("look_up", arguments),))

    says = {"a": calling(x=1), "b": calling(x=2, y=3), "c": calling(y=3, x=2)}
    for combine in ("vote", "best_of", "fuse"):
        async with house(tmp_path / combine, rule(combine), says) as it:
            answer = await it.ask("hi", tools=[TOOL])
            [call] = answer.json()["choices"][0]["message"]["tool_calls"]
            assert json.loads(call["function"]["arguments"]) == {"x": 2, "y": 3}
            assert answer.headers["x-signalbox-model"] == "b"
            assert "large" not in it.calls()
    async with house(tmp_path / "apart", rule("fuse"), {**says, "c": "in words"}) as it:
        answer = await it.ask("hi", tools=[TOOL])
        assert answer.headers["x-signalbox-model"] == "a"


async def test_a_retriever_that_is_lost_leaves_its_model_to_answer_without(tmp_path: Path) -> None:
    handbook = LittleRetriever(status=503)
    async with house(
        tmp_path, rule("fuse", "staff, b"), {"a": "one", "b": "two", "large": "x"}, handbook=handbook
    ) as it:
        assert text_of(await it.ask(QUESTION)) == "x"
        assert len(it.body("a")["messages"]) == 1
        row = await it.ledger()
        assert row.purposes == [("part", "a"), ("part", "b"), ("retrieve", "handbook")]
        [call] = [call for call in row.inner if call["purpose"] == "retrieve"]
        assert (call["status"], call["outcome"], call["cost_usd"]) == (503, "upstream_error", 0)
        assert "no passages from handbook: upstream_broken" in row.told


@pytest.mark.parametrize("more", [{"n": 2}, {"modalities": ["audio"], "audio": {"voice": "x"}}])
async def test_what_cannot_be_combined_goes_to_the_first_part_alone(tmp_path: Path, more: dict[str, Any]) -> None:
    async with house(tmp_path, rule("fuse", "staff, b"), {"a": "Paris"}) as it:
        assert text_of(await it.ask(QUESTION, **more)) == "Paris"
        assert it.calls() == {"a": 1}
        assert len(it.body("a")["messages"]) == 2, "with its passages"


def waits_at(stage: str, it: House) -> Any:
    return {
        "retriever": lambda: bool(it.handbook.asked),
        "parts": lambda: "b" in it.calls() and "a" in it.calls(),
        "judge": lambda: "large" in it.calls(),
    }[stage]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("stage", ["retriever", "parts", "judge"])
async def test_whoever_leaves_breaks_everything_off_and_what_was_asked_is_written_down(
    tmp_path: Path, stage: str, stream: bool
) -> None:
    slow = 20.0
    handbook = LittleRetriever(delay_seconds=slow if stage == "retriever" else 0)
    says = {
        "a": Reply("one", latency_seconds=slow if stage == "parts" else 0),
        "b": "two",
        "large": Reply("three", latency_seconds=slow),
    }
    async with house(tmp_path, rule("fuse", "staff, b").replace("timeout: 2s", ""), says, handbook=handbook) as it:
        await it.leave_during(QUESTION, waits_at(stage, it), stream=stream)
        await it.nobody_is_busy()
        told = await it.only_row()
        assert told.row["outcome"] == "client_closed"
        expected = {
            "retriever": {("retrieve", "handbook")},
            "parts": {("retrieve", "handbook"), ("part", "a")},
            "judge": {("retrieve", "handbook"), ("part", "a"), ("part", "b")},
        }[stage]
        assert expected <= set(told.purposes) <= expected | {("part", "b")}
        assert all(call["cost_usd"] > 0 for call in told.inner)
        if stage == "judge":
            assert told.row["model"] == "large" and told.row["cost_usd"] > 0


async def test_a_best_of_that_is_left_while_it_is_judged_pays_for_the_judge(tmp_path: Path) -> None:
    says = {"a": "one", "b": "two", "c": "three", "large": Reply("x", latency_seconds=20)}
    async with house(tmp_path, rule("best_of"), says) as it:
        await it.leave_during(QUESTION, lambda: "large" in it.calls())
        await it.nobody_is_busy()
        told = await it.only_row()
        assert told.purposes == [("combine", "large"), ("part", "a"), ("part", "b"), ("part", "c")]


async def test_a_stream_that_waits_is_held_with_comments(tmp_path: Path) -> None:
    says = {"a": Reply("one", latency_seconds=2.6), "b": "two", "c": "three", "large": "four"}
    async with house(tmp_path, rule("fuse"), says) as it:
        answer = await it.ask(QUESTION, stream=True)
        assert answer.text.startswith(": ")
        assert text_of(answer) == "four"
        row = await it.ledger()
        assert row.row["model"] == "large" and row.cost_usd == approx(it.billed_usd)


@pytest.mark.parametrize("combine", ["vote", "best_of", "fuse"])
async def test_empty_answers_and_refusals_are_nobodys_to_weigh(tmp_path: Path, combine: str) -> None:
    says = {"a": "I'm sorry, but I can't help with that.", "b": "Paris, on the Seine.", "c": "", "large": "unasked"}
    async with house(tmp_path, rule(combine), says) as it:
        answer = await it.ask(QUESTION)
        assert text_of(answer) == "Paris, on the Seine."
        row = await it.ledger()
        assert row.purposes == [("part", "a"), ("part", "c")]
        assert row.cost_usd == approx(it.billed_usd)


async def test_where_all_refuse_the_fallback_is_asked(tmp_path: Path) -> None:
    no = "I cannot assist with that request."
    written = rule("fuse").removesuffix("}") + ", fallback: [large]}"
    async with house(tmp_path, written, {"a": no, "b": no, "c": no, "large": "Paris"}) as it:
        assert text_of(await it.ask(QUESTION)) == "Paris"
        row = await it.ledger()
        assert row.purposes == [("part", "a"), ("part", "b"), ("part", "c")]
        assert row.cost_usd == approx(it.billed_usd)
