"""Whatever tenants ask, in whatever order: none is served, told or credited with what belongs to another."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from typing import Any

import httpx
import hypothesis
from hypothesis import strategies as st

from router.upstream.standin import StandIn
from tests.running import POLICY, chat_body, client_of, running

KEYS = {"one": "acme", "two": "acme", "three": "beta", "four": "gamma"}
"""Two keys of one tenant, who share, and two tenants more."""

STEPS = st.lists(
    st.tuples(
        st.sampled_from(list(KEYS)),
        st.sampled_from(["hi", "hello", "what is 2 + 2?"]),
        st.booleans(),
        st.sampled_from(["auto", "small"]),
        st.sampled_from([{}, {"user": "x"}, {"metadata": {"conversation_id": "c"}}, {"temperature": 0}]),
        st.sampled_from(["up", "down"]),
    ),
    min_size=2,
    max_size=5,
)


class Answers:
    """Of one run: who asked what, and the id of each answer."""

    def __init__(self, client: httpx.AsyncClient, model: StandIn):
        self.client, self.model = client, model
        self.seen: set[tuple[Any, ...]] = set()
        self.asked: list[tuple[str, str]] = []

    async def ask(self, key: str, text: str, stream: bool, name: str, more: dict[str, Any]) -> None:
        body = {**chat_body(text, stream=stream), **more, "model": name}
        before = len(self.model.journal)
        answer = await self.client.post("/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"})
        assert answer.status_code == 200, answer.text
        called = len(self.model.journal) - before
        verdict = answer.headers["x-signalbox-cache"]
        own = (KEYS[key], name, text, more.get("temperature"))
        assert (verdict == "hit") is (called == 0)
        if verdict == "hit":
            assert own in self.seen, "served from what this tenant never asked"
        self.seen.add(own)
        self.asked.append((KEYS[key], answer.headers["x-request-id"]))

    async def compare(self, thumb: str) -> None:
        """Each answer can be looked up and judged by its tenant alone."""
        tenant, request_id = self.asked[-1]

        async def look(key: str, other: str) -> None:
            headers = {"authorization": f"Bearer {key}"}
            opinion = {"request_id": request_id, "thumb": thumb}
            story, label = await asyncio.gather(  # what is not theirs is looked for, for a second
                self.client.get(f"/v1/decisions/{request_id}", headers=headers),
                self.client.post("/v1/feedback", json=opinion, headers=headers),
            )
            expected = (200, 202) if other == tenant else (404, 404)
            assert (story.status_code, label.status_code) == expected

        await asyncio.gather(*(look(key, other) for key, other in KEYS.items()))

    async def look_through(self) -> None:
        """The ledger files each answer under its tenant, and under nobody else."""
        for tenant in set(KEYS.values()):
            page = await self.client.get(
                f"/api/requests?since=1h&limit=500&tenant={tenant}", headers={"authorization": "Bearer boss"}
            )
            rows = page.json()["rows"]
            assert {row["tenant"] for row in rows} <= {tenant}
            filed = {row["request_id"] for row in rows}
            for asker, request_id in self.asked:
                assert (request_id in filed) is (asker == tenant)


async def test_tenants_share_nothing(tmp_path: Path) -> None:
    model = StandIn("m", lambda text: f"heard {text}")
    keys = ",".join(f"{tenant}:{key}" for key, tenant in KEYS.items())
    async with model.serve() as url:
        policy = POLICY.format(small=url, large=url)
        async with running(tmp_path, policy, api_keys=keys, admin_key="boss") as gateway:
            loop, runs = asyncio.get_running_loop(), itertools.count()
            async with client_of(gateway.url, timeout=10) as client:

                async def run(steps: list[tuple[Any, ...]]) -> None:
                    answers, number = Answers(client, model), next(runs)
                    for key, text, stream, name, more, _ in steps:
                        await answers.ask(key, f"{text} ({number})", stream, name, more)
                    await answers.compare(steps[0][-1])
                    await answers.look_through()

                @hypothesis.settings(max_examples=8, deadline=None, database=None)
                @hypothesis.given(STEPS)
                def law(steps: list[tuple[Any, ...]]) -> None:
                    asyncio.run_coroutine_threadsafe(run(steps), loop).result(60)

                await asyncio.to_thread(law)
