"""One request's way through a whole gateway: judged, decided, answered or cached, logged, costed."""

from __future__ import annotations

import json

import pytest

from router.upstream.standin import Fault
from tests.gateway.conftest import House
from tests.running import chat_body

EASY = "hi"
HARD = (
    "Prove that every finite-dimensional real division algebra has dimension 1, 2, 4 or 8, and explain which step "
    "fails over the rationals."
)
PRIVATE = "My e-mail is jo.doe@example.com. Derive the Black-Scholes formula rigorously from no-arbitrage."


async def test_an_easy_ask_goes_to_the_small_model_and_a_hard_one_to_the_large(house: House) -> None:
    easy, hard = await house.gateway.chat(EASY), await house.gateway.chat(HARD)
    assert easy.headers["x-signalbox-model"] == "small"
    assert hard.headers["x-signalbox-model"] == "large"
    assert float(easy.headers["x-signalbox-complexity"]) < 0.35 <= float(hard.headers["x-signalbox-complexity"])
    assert (easy.headers["x-signalbox-rule"], hard.headers["x-signalbox-rule"]) == ("easy", "hard")
    assert easy.headers["x-signalbox-route"] == "auto"
    assert easy.headers["x-request-id"].startswith("req_")


async def test_a_private_ask_stays_with_the_private_model_and_out_of_the_cache(house: House) -> None:
    for _ in range(2):
        answer = await house.gateway.chat(PRIVATE)
        assert answer.headers["x-signalbox-model"] == "small"
        assert answer.headers["x-signalbox-cache"] == "bypass"
    assert not house.large.journal


async def test_the_upstream_receives_the_callers_bytes_but_for_the_model(house: House) -> None:
    raw = b'{ "messages":[{"role":"user","content":"hi \\u00e9 \xc3\xa9"}],"seed":123456789012345678901234567890, "model" : "auto","x":{"y":[1.0]}}'  # noqa: E501
    answer = await house.gateway.post("/v1/chat/completions", raw)
    assert answer.status_code == 200
    assert house.small.journal[0].body == raw.replace(b'"auto"', b'"standin-small"')


async def test_the_answer_is_the_upstreams_byte_for_byte(house: House) -> None:
    through = await house.gateway.chat(EASY)
    sent = json.dumps({**chat_body(EASY), "model": "standin-small"}).encode()
    async with house.small.serve() as url:
        direct = await house.gateway.post(f"{url}/v1/chat/completions", sent)
    assert {**through.json(), "id": 0} == {**direct.json(), "id": 0}
    assert "server" not in through.headers


@pytest.mark.parametrize("first_streamed", [True, False])
async def test_streamed_and_plain_answers_serve_each_other_from_the_cache(house: House, first_streamed: bool) -> None:
    first = await house.gateway.chat(EASY, stream=first_streamed)
    second = await house.gateway.chat(EASY, stream=not first_streamed)
    third = await house.gateway.chat(EASY, stream=first_streamed)
    assert [answer.headers["x-signalbox-cache"] for answer in (first, second, third)] == ["miss", "hit", "hit"]
    assert second.headers["x-signalbox-rule"] == "cache"
    assert second.headers["x-signalbox-model"] == "small"
    assert second.headers["x-signalbox-complexity"] == first.headers["x-signalbox-complexity"]
    plain = second if first_streamed else third
    text = plain.json()["choices"][0]["message"]["content"]
    assert text == f"small says: {EASY}"
    assert len(house.small.journal) == 1


async def test_cache_control_is_honoured(house: House) -> None:
    chat = chat_body(EASY)
    for directive, expected in (("no-store", "bypass"), ("no-cache", "bypass")):
        answer = await house.gateway.post("/v1/chat/completions", chat, **{"cache-control": directive})
        assert answer.headers["x-signalbox-cache"] == expected
    assert (await house.gateway.chat(EASY)).headers["x-signalbox-cache"] == "hit"


async def test_usage_is_asked_for_and_taken_out_again(house: House) -> None:
    answer = await house.gateway.chat(EASY, stream=True)
    assert json.loads(house.small.journal[0].body)["stream_options"] == {"include_usage": True}
    assert '"usage"' not in answer.text
    assert answer.text.endswith("data: [DONE]\n\n")
    wanted = await house.gateway.chat("hello", stream=True, stream_options={"include_usage": True})
    assert '"usage":{' in wanted.text.replace(" ", "")
    [row, _] = await house.gateway.rows(2)
    assert row["input_tokens"] > 0
    told = await house.gateway.get(f"/v1/decisions/{row['request_id']}")
    assert not told["outcome"]["tokens"]["estimated"]


async def test_every_request_has_a_row_with_its_cost(house: House) -> None:
    easy, hard = await house.gateway.chat(EASY), await house.gateway.chat(HARD)
    await house.gateway.chat(EASY)
    rows = await house.gateway.rows(3)
    assert [row["model"] for row in rows] == ["small", "large", "small"]
    assert [row["cache"] for row in rows] == ["miss", "miss", "hit"]
    usage = hard.json()["usage"]
    assert rows[1]["cost_usd"] == pytest.approx((usage["prompt_tokens"] * 3 + usage["completion_tokens"] * 15) / 1e6)
    assert float(easy.headers["x-signalbox-cost-usd"]) == pytest.approx(rows[0]["cost_usd"])
    costs = (await house.gateway.get("/api/costs?by=model&since=1h"))["total"]
    assert costs["requests"] == 3
    assert costs["spend_usd"] == pytest.approx(sum(row["cost_usd"] for row in rows))
    assert costs["cache_hits"] == 1
    assert costs["saved_usd"] > 0


async def test_a_failing_model_is_replaced_before_the_first_byte(house: House) -> None:
    house.small.script.append(Fault("status", status=500))
    answer = await house.gateway.chat(EASY)
    assert answer.status_code == 200
    assert answer.headers["x-signalbox-model"] == "large"
    [row] = await house.gateway.rows(1)
    assert row["attempts"] == 2


async def test_when_every_model_fails_the_caller_reads_whose_fault_it_is(house: House) -> None:
    house.small.script.append(Fault("status", status=500))
    house.large.script.append(Fault("status", status=401))
    answer = await house.gateway.chat(EASY)
    assert answer.status_code == 502
    assert answer.headers["x-signalbox-fault"] == "upstream"
    assert answer.headers["x-should-retry"] == "false"
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


async def test_a_stream_that_breaks_off_ends_with_an_error_event_and_no_done(house: House) -> None:
    house.small.script.append(Fault("close_after", after=3))
    answer = await house.gateway.chat(EASY, stream=True)
    last = answer.text.strip().split("\n\n")[-1]
    assert "error" in json.loads(last.removeprefix("data: "))
    assert "[DONE]" not in answer.text
    [row] = await house.gateway.rows(1)
    assert row["outcome"] == "upstream_error"


async def test_the_route_endpoint_decides_without_calling_or_recording(house: House) -> None:
    answer = await house.gateway.post("/v1/route", chat_body(HARD))
    told = answer.json()
    assert told["decision"]["model"] == "large"
    assert set(told) >= {"request_id", "route", "policy", "ask", "assessment", "eligible", "rules", "decision"}
    assert not house.large.journal
    assert (await house.gateway.get("/api/requests?since=1h"))["total"] == 0


async def test_a_model_named_outright_is_pinned(house: House) -> None:
    answer = await house.gateway.chat(EASY, model="large")
    assert answer.headers["x-signalbox-model"] == "large"
    assert answer.headers["x-signalbox-rule"] == "pinned"
    assert "x-signalbox-route" not in answer.headers


async def test_a_decision_can_be_read_back_with_its_outcome(house: House) -> None:
    answer = await house.gateway.chat(HARD)
    told = await house.gateway.get(f"/v1/decisions/{answer.headers['x-request-id']}")
    assert told["decision"]["model"] == "large"
    assert told["outcome"]["status"] == 200
    assert told["outcome"]["cost_usd"] > 0
    assert any(rule["matched"] for rule in told["rules"])


async def test_feedback_becomes_a_label(house: House) -> None:
    answer = await house.gateway.chat(EASY)
    request_id = answer.headers["x-request-id"]
    for opinion in ({"thumb": "down"}, {"score": 0.75, "comment": "fine"}):
        taken = await house.gateway.post("/v1/feedback", {"request_id": request_id, **opinion})
        assert taken.status_code == 202
    told = await house.gateway.get(f"/v1/decisions/{request_id}")
    assert [label["score"] for label in told["outcome"]["labels"]] == [0.75]


async def test_the_gateway_says_how_it_is(house: House) -> None:
    assert (await house.gateway.get("/healthz"))["status"] == "ok"
    ready = await house.gateway.get("/readyz")
    assert ready["status"] == "ok"
    assert ready["redis"] == "off"
    assert ready["classifier"].startswith("fast@")
    models = await house.gateway.get("/v1/models")
    assert {model["id"] for model in models["data"]} == {"auto", "small", "large"}
