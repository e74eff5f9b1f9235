"""A conversation through the running gateway: it keeps its model, and headers, rows and `/v1/route` say so."""

from __future__ import annotations

from pathlib import Path

from router.upstream.standin import StandIn
from tests.running import POLICY, running

KEEPING = POLICY.replace("    baseline: large\n", "    baseline: large\n    conversation: {{margin: 0.05, ttl: 1h}}\n")
HARD = "Prove that every finite-dimensional real division algebra has dimension 1, 2, 4 or 8."


async def test_thanks_does_not_send_a_conversation_to_another_model_and_two_easy_turns_do(tmp_path: Path) -> None:
    small, large = StandIn("small", lambda text: "small"), StandIn("large", lambda text: "large")
    async with small.serve() as small_url, large.serve() as large_url:
        async with running(tmp_path, KEEPING.format(small=small_url, large=large_url)) as gateway:
            turns = [{"role": "user", "content": HARD}]
            seen = []
            for text in ("thanks!", "hi", "hello again"):
                told = (await gateway.post("/v1/route", {"model": "auto", "messages": turns})).json()
                answer = await gateway.post("/v1/chat/completions", {"model": "auto", "messages": turns})
                assert told["decision"]["rule"] == answer.headers["x-signalbox-rule"]
                seen.append((answer.headers["x-signalbox-model"], answer.headers["x-signalbox-rule"]))
                said = answer.json()["choices"][0]["message"]["content"]
                turns += [{"role": "assistant", "content": said}, {"role": "user", "content": text}]
            assert seen[0] == ("large", "hard")
            assert seen[1] == ("large", "conversation")
            assert seen[2] == ("small", "easy")
            rows = await gateway.rows(3)
            assert [row["rule"] for row in rows] == ["hard", "conversation", "easy"]


async def test_many_conversations_that_begin_alike_begin_anew(tmp_path: Path) -> None:
    small, large = StandIn("small", lambda text: "small"), StandIn("large", lambda text: "large")
    async with small.serve() as small_url, large.serve() as large_url:
        policy = KEEPING.replace('"complexity < 0.35"', "\"metadata.go == 'small'\"")
        async with running(tmp_path, policy.format(small=small_url, large=large_url)) as gateway:
            for seed, go in enumerate(("large", "small", "large", "small")):  # the seed keeps the cache out
                answer = await gateway.chat("hi", metadata={"go": go}, seed=seed)
                assert answer.headers["x-signalbox-model"] == go
            named = {"x-signalbox-conversation": "c1"}
            for go, kept in (("large", "large"), ("small", "large")):
                body = {"model": "auto", "messages": [{"role": "user", "content": f"hi {go}"}], "metadata": {"go": go}}
                answer = await gateway.post("/v1/chat/completions", body, **named)
                assert answer.headers["x-signalbox-model"] == kept
