"""A small model first: its answer goes out where it can be trusted, byte for byte, and else the next one's does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from router.upstream.standin import Fault, Reply, StandIn
from tests.plans.models import Plant, ledger_usd, plant, purposes, whys
from tests.running import chat_body, client_of

ROUTES = """
routes:
  auto:
    baseline: large
    rules: [{name: small first, cascade: {first: small, then: large}, fallback: [third]}]
  sure:
    baseline: large
    rules: [{name: when sure, cascade: {first: small, then: large, trust: 0.8}}]
  kept:
    baseline: large
    rules: [{name: small first, cascade: {first: small, then: large}}]
    cache: {exact: {ttl: 1h}}
  surest:
    baseline: large
    rules: [{name: never sure, cascade: {first: small, then: large, trust: 1}}]
"""
HARD = "Prove that every bounded sequence of reals has a convergent subsequence."
REFUSAL = "I'm sorry, but I can't help with that."
BOTH = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])


@pytest.fixture
async def models(tmp_path: Path) -> AsyncIterator[Plant]:
    async with plant(tmp_path, ROUTES) as made:
        yield made


def text_of(answer: httpx.Response, stream: bool) -> str:
    if not stream:
        return answer.json()["choices"][0]["message"]["content"]
    events = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    chunks = [json.loads(event) for event in events[:-1]]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


async def straight(model: StandIn, /, **body: Any) -> bytes:
    """What a stand-in answers to its first request, when nobody stands between."""
    twin = StandIn(model.name, lambda text: f"{model.name} says: {text}")
    twin.script.extend(model.script)
    async with twin.serve() as url, httpx.AsyncClient(base_url=url) as client:
        return (await client.post("/v1/chat/completions", json=body)).content


@BOTH
async def test_a_sound_answer_of_the_first_goes_out_byte_for_byte(models: Plant, stream: bool) -> None:
    more = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    expected = await straight(models.small, **{**chat_body("hello", **more), "model": "m-small"})
    answer = await models.gateway.chat("hello", **more)
    assert answer.content == expected
    assert answer.headers["x-signalbox-model"] == "small"
    assert answer.headers["x-signalbox-rule"] == "small first"
    told = await models.story()
    assert (told["outcome"]["model"], purposes(told), len(models.large.journal)) == ("small", [], 0)
    assert whys(told)[-1] == "accepted: the checks hold"
    assert ledger_usd(told) == pytest.approx(models.billed_usd, rel=1e-9)


@BOTH
async def test_a_refusal_is_escalated_and_both_calls_are_in_the_ledger(models: Plant, stream: bool) -> None:
    models.small.script.append(Reply(REFUSAL))
    answer = await models.gateway.chat("hello", stream=stream)
    assert text_of(answer, stream) == "large says: hello"
    assert answer.headers["x-signalbox-model"] == "large"
    told = await models.story()
    assert purposes(told) == [("draft", "small", 200)]
    assert whys(told)[-1] == "escalated to large: refusal: the answer begins as refusals do"
    assert ledger_usd(told) == pytest.approx(models.billed_usd, rel=1e-9)
    assert await models.spent_usd() == pytest.approx(models.billed_usd, rel=1e-6)
    if not stream:
        assert float(answer.headers["x-signalbox-cost-usd"]) == pytest.approx(models.billed_usd, rel=1e-6)


async def test_what_is_escalated_streams_straight_through(models: Plant) -> None:
    models.small.script.append(Reply(""))
    models.large.script.append(Reply("one two three four", gap_seconds=0.4))
    seen: list[str] = []
    body = chat_body("hello", stream=True)
    async with (
        client_of(models.gateway.url) as client,
        client.stream("POST", "/v1/chat/completions", json=body) as answer,
    ):
        async for line in answer.aiter_lines():
            seen.append(line)
            if "one" in line:
                assert not models.large.journal[0].ended.is_set()
    assert seen[-2] == "data: [DONE]"


REASONS = {
    "empty": (Reply(""), {}, "empty"),
    "truncated": (Reply("and then", finish="length"), {}, "truncated"),
    "open code": (Reply("```python\nprint(1)"), {}, "truncated"),
    "code": (Reply("```python\nprint(1\n```"), {}, "code"),
    "sum": (Reply("12 * 7 = 85"), {}, "units"),
    "schema": (Reply("no JSON"), {"response_format": {"type": "json_object"}}, "schema"),
}


@pytest.mark.parametrize(("reply", "more", "check"), REASONS.values(), ids=REASONS)
async def test_the_trace_says_which_check_failed(models: Plant, reply: Reply, more: Any, check: str) -> None:
    models.small.script.append(reply)
    answer = await models.gateway.chat("hello", **more)
    assert answer.headers["x-signalbox-model"] == "large"
    assert whys(await models.story())[-1].startswith(f"escalated to large: {check}: ")


@BOTH
async def test_tools_and_a_schema_go_through_whole(models: Plant, stream: bool) -> None:
    tool = {"type": "function", "function": {"name": "weather", "parameters": PLACE}}
    more = {"tools": [tool], "tool_choice": "required", "stream": stream}
    models.small.script.append(Reply("", tool_calls=()))  # it does not call what it had to
    answer = await models.gateway.chat("weather?", **more)
    asked = [json.loads(model.journal[0].body) for model in (models.small, models.large)]
    sent = chat_body("weather?", **more)
    for body, model in zip(asked, ("m-small", "m-large"), strict=True):
        assert {**body, "stream_options": None} == {**sent, "model": model, "stream_options": None}
    expected = await straight(models.large, **{**sent, "model": "m-large"})
    assert answer.content == expected
    shaped = {"type": "json_schema", "json_schema": {"name": "place", "schema": PLACE}}
    answer = await models.gateway.chat("where?", response_format=shaped, stream=stream)
    assert (answer.headers["x-signalbox-model"], json.loads(text_of(answer, stream))) == (
        "small",
        {"city": "small says: where?"},
    )


PLACE = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@BOTH
async def test_a_first_model_that_dies_in_mid_answer_is_an_attempt_and_paid_for(models: Plant, stream: bool) -> None:
    models.small.script.append(Reply("half of this " * 200, pieces=8, fault=Fault("close_after", after=5)))
    answer = await models.gateway.chat("hello", stream=stream)
    assert text_of(answer, stream) == "large says: hello"
    told = await models.story()
    [broken] = told["outcome"]["attempts"]
    assert (broken["purpose"], broken["model"], broken["error_code"]) == ("attempt", "small", "upstream_broken")
    assert broken["tokens"]["estimated"]
    billed = models.small.journal[0].cost_usd
    assert billed > 0 and broken["cost_usd"] == pytest.approx(billed, rel=0.6)
    assert told["outcome"]["cost_usd"] == pytest.approx(models.large.journal[0].cost_usd, rel=1e-9)
    assert await models.spent_usd() == pytest.approx(ledger_usd(told), rel=1e-6)


@BOTH
async def test_where_nobody_else_answers_the_first_answer_goes_out_after_all(models: Plant, stream: bool) -> None:
    models.small.script.append(Reply("12 * 7 = 85"))
    for model in (models.large, models.third):
        model.script.append(Fault("status", status=503))
    answer = await models.gateway.chat("hello", stream=stream)
    assert (answer.status_code, text_of(answer, stream)) == (200, "12 * 7 = 85")
    assert answer.headers["x-signalbox-model"] == "small"
    told = await models.story()
    assert purposes(told) == [("attempt", "large", 502), ("attempt", "third", 502)]
    assert whys(told)[-1] == "the first answer went out after all: nobody else answered"
    assert ledger_usd(told) == pytest.approx(models.billed_usd, rel=1e-9)


@BOTH
async def test_a_refusal_does_not_go_out_even_then(models: Plant, stream: bool) -> None:
    models.small.script.append(Reply(REFUSAL))
    for model in (models.large, models.third):
        model.script.append(Fault("status", status=503))
    answer = await models.gateway.chat("hello", stream=stream)
    assert answer.status_code == 502
    told = await models.story()
    assert purposes(told)[-1] == ("draft", "small", 200)
    assert ledger_usd(told) == pytest.approx(models.billed_usd, rel=1e-9)


@BOTH
async def test_the_next_model_dying_before_content_is_replaced_by_the_fallback(models: Plant, stream: bool) -> None:
    models.small.script.append(Reply(REFUSAL))
    models.large.script.append(Fault("close_before"))
    answer = await models.gateway.chat("hello", stream=stream)
    assert text_of(answer, stream) == "third says: hello"
    told = await models.story()
    assert purposes(told) == [("attempt", "large", 502), ("draft", "small", 200)]
    assert ledger_usd(told) == pytest.approx(models.billed_usd, rel=1e-9)


async def test_the_next_model_dying_in_mid_stream_ends_the_answer_as_any_stream(models: Plant) -> None:
    models.small.script.append(Reply(REFUSAL))
    models.large.script.append(Reply("half of this " * 200, pieces=8, fault=Fault("close_after", after=5)))
    answer = await models.gateway.chat("hello", stream=True)
    assert '"code":"upstream_broken"' in answer.text and "[DONE]" not in answer.text
    told = await models.story()
    assert (told["outcome"]["outcome"], told["outcome"]["model"]) == ("upstream_error", "large")
    assert purposes(told) == [("draft", "small", 200)]
    assert ledger_usd(told) == pytest.approx(models.billed_usd, rel=0.5)


async def test_the_next_models_own_refusal_of_the_request_passes_through(models: Plant) -> None:
    models.small.script.append(Fault("status", status=400))
    models.large.script.append(Fault("status", status=400))
    answer = await models.gateway.chat("hello")
    assert (answer.status_code, answer.headers["x-signalbox-fault"]) == (400, "caller")
    assert answer.json()["error"]["message"] == "This fault was asked for."
    told = await models.story()
    assert purposes(told) == [("draft", "small", 400)]
    assert "the upstream refused with 400" in whys(told)[-1]
    assert ledger_usd(told) == models.billed_usd == 0


STAGES = {
    "before the first answers": ("small", Reply("never heard", latency_seconds=30)),
    "in the first's answer": ("small", Reply("on and on " * 50, pieces=100, gap_seconds=0.1)),
    "before the next answers": ("large", Reply("never heard", latency_seconds=30)),
    "in the next's answer": ("large", Reply("on and on " * 50, pieces=100, gap_seconds=0.1)),
}


@BOTH
@pytest.mark.parametrize(("who", "reply"), STAGES.values(), ids=STAGES)
async def test_a_caller_who_leaves_ends_every_call_within_a_second_and_all_is_counted(
    models: Plant, who: str, reply: Reply, stream: bool
) -> None:
    slow = models.small if who == "small" else models.large
    if slow is models.large:
        models.small.script.append(Reply(REFUSAL))
    slow.script.append(reply if stream or reply.latency_seconds else Reply("half", fault=Fault("stall_after")))
    asking = asyncio.create_task(models.gateway.chat("hello", stream=stream))
    received = await slow.received(1)
    await asyncio.sleep(0.35)
    asking.cancel()
    await asyncio.wait_for(received.left.wait(), 1)
    told = await models.story()
    assert told["outcome"]["outcome"] == "client_closed"
    if slow is models.small:
        assert purposes(told) == [("draft", "small", 499)]
        assert told["outcome"]["cost_usd"] == 0
        assert not models.large.journal
    else:
        assert purposes(told) == [("draft", "small", 200)]
        assert told["outcome"]["model"] == "large"
    assert ledger_usd(told) > 0
    assert await models.spent_usd() == pytest.approx(ledger_usd(told), rel=1e-6)


@BOTH
async def test_log_probabilities_that_only_we_asked_for_stay_with_us(models: Plant, stream: bool) -> None:
    more = (
        {"model": "sure", "stream": stream, "stream_options": {"include_usage": True}} if stream else {"model": "sure"}
    )
    expected = await straight(models.small, **{**chat_body("hello", **more), "model": "m-small"})
    answer = await models.gateway.chat("hello", **more)
    assert json.loads(models.small.journal[0].body)["logprobs"] is True
    assert answer.content == expected
    told = await models.story()
    assert "accepted: the checks hold, trust " in whys(told)[-1]
    assert ledger_usd(told) == pytest.approx(models.billed_usd, rel=1e-9)


@BOTH
async def test_log_probabilities_that_the_caller_asked_for_are_theirs(models: Plant, stream: bool) -> None:
    answer = await models.gateway.chat("hello", model="sure", stream=stream, logprobs=True)
    assert '"logprob":-0.01' in answer.text


@BOTH
async def test_a_model_that_is_unsure_of_its_tokens_is_not_trusted(models: Plant, stream: bool) -> None:
    models.small.script.append(Reply("it may be so", logprob=-3.0))
    answer = await models.gateway.chat(HARD, model="sure", stream=stream)
    assert text_of(answer, stream) == f"large says: {HARD}"
    told = await models.story()
    assert purposes(told) == [("draft", "small", 200)]
    assert "escalated to large: trust 0." in whys(told)[-1] and "0.8 wanted" in whys(told)[-1]


async def test_where_no_answer_could_be_trusted_enough_the_first_is_not_asked(models: Plant) -> None:
    answer = await models.gateway.chat("hello", model="surest")
    assert answer.headers["x-signalbox-model"] == "large"
    told = await models.story()
    assert (purposes(told), len(models.small.journal)) == ([], 0)
    assert "large at once: trust" in whys(told)[-1]


async def test_a_held_stream_is_kept_open_with_comments_that_clients_pass_over(models: Plant) -> None:
    models.small.script.append(Reply(REFUSAL, latency_seconds=2.3))
    raw = (await models.gateway.chat("hello", stream=True)).text
    assert raw.startswith(": waiting\n\n") and text_of(httpx.Response(200, text=raw), True) == "large says: hello"
    told = await models.story()
    outcome = told["outcome"]
    assert (outcome["model"], outcome["upstream_calls"], purposes(told)) == ("large", 1, [("draft", "small", 200)])
    assert outcome["ttft_ms"] > 2200 and outcome["overhead_ms"] < 500
    assert ledger_usd(told) == pytest.approx(models.billed_usd, rel=1e-9)

    models.small.script.append(Reply("slow but sound", latency_seconds=2.3))
    async with openai.AsyncOpenAI(base_url=f"{models.gateway.url}/v1", api_key="none") as client:
        chunks = await client.chat.completions.create(
            model="auto", messages=[{"role": "user", "content": "hello"}], stream=True
        )
        said = [choice.delta.content or "" async for chunk in chunks for choice in chunk.choices]
    assert "".join(said) == "slow but sound"


async def test_a_caller_who_leaves_a_held_stream_ends_it_and_is_counted(models: Plant) -> None:
    models.small.script.append(Reply("never heard", latency_seconds=30))
    body = chat_body("hello", stream=True)
    async with (
        client_of(models.gateway.url, timeout=20) as client,
        client.stream("POST", "/v1/chat/completions", json=body) as answer,
    ):
        async for line in answer.aiter_lines():
            assert line == ": waiting"
            break
    await asyncio.wait_for(models.small.journal[0].left.wait(), 1)
    told = await models.story()
    assert (told["outcome"]["outcome"], told["outcome"]["status"]) == ("client_closed", 200)
    assert (told["outcome"]["model"], told["outcome"]["cost_usd"]) == (None, 0)
    assert purposes(told) == [("draft", "small", 499)]


async def test_a_held_stream_that_nobody_answers_ends_with_an_error_event(models: Plant) -> None:
    models.small.script.append(Reply(REFUSAL, latency_seconds=2.2))
    for model in (models.large, models.third):
        model.script.append(Fault("status", status=503))
    answer = await models.gateway.chat("hello", stream=True)
    assert answer.status_code == 200 and '"code":"upstream_broken"' in answer.text and "[DONE]" not in answer.text
    told = await models.story()
    assert (told["outcome"]["outcome"], told["outcome"]["model"]) == ("upstream_error", None)
    assert purposes(told) == [("attempt", "large", 502), ("attempt", "third", 502), ("draft", "small", 200)]
    assert ledger_usd(told) == pytest.approx(models.billed_usd, rel=1e-9)


async def test_a_held_stream_tells_a_refused_request_as_an_event(models: Plant) -> None:
    models.small.script.append(Reply(REFUSAL, latency_seconds=2.2))
    models.large.script.append(Fault("status", status=400))
    answer = await models.gateway.chat("hello", stream=True)
    assert '"message":"This fault was asked for."' in answer.text
    told = await models.story()
    assert (told["outcome"]["outcome"], told["outcome"]["fault"]) == ("caller_error", "caller")


async def test_a_held_answer_is_cached_under_who_gave_it(models: Plant) -> None:
    models.small.script.append(Reply(REFUSAL, latency_seconds=2.2))
    first = await models.gateway.chat("hello", model="kept", stream=True)
    assert first.headers["x-signalbox-model"] == "small"  # who was expected
    await models.gateway.rows(1)
    again = await models.gateway.chat("hello", model="kept")
    assert (again.headers["x-signalbox-cache"], again.headers["x-signalbox-model"]) == ("hit", "large")
    assert text_of(again, False) == "large says: hello"
