"""The encoder tier through a whole gateway: it answers, or fast does and says why; no chat waits, fails or is lost."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from classifiers.artefact import DEFAULT_FOLDER, save_artefact
from classifiers.contract import Embedder
from router.app import create_app
from router.aside import Aside
from router.errors import SettingsError
from router.settings import Settings
from router.upstream.standin import StandIn
from tests.gateway.conftest import House, make_house
from tests.gateway.test_journey import PRIVATE
from tests.judge.encoders import Held, Letters, Raises, encoder_artefact
from tests.running import POLICY, Running, chat_body, client_of, running

EASY = "hi"
ENCODER = encoder_artefact()
NAME = f"encoder@{ENCODER.digest}"
"""Of an encoder that finds everything hard."""


@asynccontextmanager
async def judged_by(embedder: Embedder, folder: Path, budget_seconds: float = 5.0) -> AsyncIterator[House]:
    aside = Aside(ENCODER, lambda weights: embedder, budget_seconds=budget_seconds)
    await aside.start()
    async with make_house(folder) as house:
        house.gateway.gateway.judge.aside = aside
        yield house


async def who_judged(gateway: Running, answer: httpx.Response) -> str:
    told = await gateway.get(f"/v1/decisions/{answer.headers['x-request-id']}")
    return str(told["assessment"]["classifier"])


async def test_chats_are_judged_by_the_encoder_and_logged_with_its_features(tmp_path: Path) -> None:
    async with judged_by(Letters(), tmp_path) as house:
        answer = await house.gateway.chat(EASY)
        assert (answer.status_code, answer.headers["x-signalbox-model"]) == (200, "large")
        ready = await house.gateway.get("/readyz")
        assert (ready["status"], ready["classifier"]) == ("ok", NAME)
        tried = await house.gateway.post("/v1/route", chat_body(EASY))
        assert tried.json()["assessment"]["classifier"] == NAME
        assert await who_judged(house.gateway, answer) == NAME
        async with client_of(house.gateway.url) as client:
            page = (await client.get("/metrics")).text
        assert 'signalbox_encoder_asks_total{result="answered"} 2.0' in page
        assert f'signalbox_classifier_info{{classifier="{NAME}"}} 1.0' in page
        assert 'signalbox_part_well{part="classifier"} 1.0' in page


@pytest.mark.parametrize(
    ("make", "why"), [(lambda: Letters(0.5), "late"), (Raises, "failed")], ids=["late", "raises"]
)  # fmt: skip
async def test_where_it_does_not_answer_fast_does_and_says_why(
    tmp_path: Path, make: Callable[[], Letters], why: str
) -> None:
    async with judged_by(make(), tmp_path, budget_seconds=0.03) as house:
        fast = house.gateway.gateway.judge.classifier
        answer = await house.gateway.chat(EASY)
        assert (answer.status_code, answer.headers["x-signalbox-model"]) == (200, "small"), "as fast has it"
        assert float(answer.headers["x-signalbox-overhead-ms"]) < 400.0
        assert await who_judged(house.gateway, answer) == f"{fast.name} (encoder {why})"
        async with client_of(house.gateway.url) as client:
            assert f'signalbox_encoder_asks_total{{result="{why}"}} 1.0' in (await client.get("/metrics")).text


async def test_features_are_kept_under_the_digest_of_whoever_made_them(tmp_path: Path) -> None:
    held = Held()
    async with judged_by(held, tmp_path, budget_seconds=0.03) as house:
        judge, kept = house.gateway.gateway.judge, []
        record = house.gateway.gateway.pipeline._record
        house.gateway.gateway.pipeline._record = lambda row: (kept.append(row), record(row))[1]
        await house.gateway.chat("late")
        held.go.set()
        await house.gateway.rows(1)
        assert judge.aside is not None
        judge.aside._budget_seconds = 5.0
        await house.gateway.chat("in time")
        await house.gateway.chat(PRIVATE)
        await house.gateway.rows(3)
    assert [row.features_digest for row in kept] == [judge.classifier.features_digest, ENCODER.featurise.digest, None]
    assert [None if row.features is None else len(row.features) for row in kept][1:] == [ENCODER.featurise.size, None]


async def test_many_chats_at_once_share_batches(tmp_path: Path) -> None:
    letters = Letters(0.02)
    async with judged_by(letters, tmp_path) as house:
        answers = await asyncio.gather(*(house.gateway.chat(f"question {number}") for number in range(24)))
    assert {answer.status_code for answer in answers} == {200}
    assert sum(map(len, letters.batches)) == 24
    assert len(letters.batches) < 16


async def test_who_leaves_while_the_encoder_thinks_is_counted_and_costs_no_upstream_call(tmp_path: Path) -> None:
    held = Held()
    async with judged_by(held, tmp_path) as house:
        with pytest.raises(httpx.ReadTimeout):
            async with client_of(house.gateway.url, timeout=0.3) as client:
                await client.post("/v1/chat/completions", json=chat_body("never mind"))
        [row] = await house.gateway.rows(1)
        held.go.set()
        assert (row["outcome"], row["status"]) == ("client_closed", 499)
        assert not house.small.journal and not house.large.journal


async def test_the_event_loop_goes_on_while_the_encoder_thinks(tmp_path: Path) -> None:
    held = Held()
    async with judged_by(held, tmp_path) as house:
        waits = asyncio.create_task(house.gateway.chat("a hard one"))
        assert await asyncio.to_thread(held.began.wait, 10)
        began = time.monotonic()
        assert (await house.gateway.get("/healthz"))["status"] == "ok"
        assert time.monotonic() - began < 2.0
        held.go.set()
        assert (await waits).status_code == 200


async def test_an_encoder_that_cannot_be_loaded_costs_no_chat(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = given_encoder(tmp_path) | {"encoder_model": str(tmp_path / "nowhere")}
    async with make_model() as url:
        with caplog.at_level(logging.ERROR, "router.aside"):
            async with running(tmp_path, POLICY.format(small=url, large=url), **settings) as gateway:
                ready = await gateway.get("/readyz")
                fast = gateway.gateway.judge.classifier.name
                assert (ready["status"], ready["classifier"]) == ("degraded", f"{fast} (encoder missing)")
                answer = await gateway.chat(EASY)
                assert answer.headers["x-signalbox-model"] == "small"
                assert await who_judged(gateway, answer) == f"{fast} (encoder missing)"
    assert "the fast judge answers for it" in caplog.text


async def test_stopping_leaves_no_thread_of_the_encoder(tmp_path: Path) -> None:
    async with judged_by(Letters(), tmp_path) as house:
        await house.gateway.chat(EASY)
    assert not [thread for thread in threading.enumerate() if thread.name == "signalbox-encoder"]


@asynccontextmanager
async def make_model() -> AsyncIterator[str]:
    async with StandIn("m", lambda text: f"heard {text}").serve() as url:
        yield url


def given_encoder(folder: Path) -> dict[str, Any]:
    """Settings that choose the encoder tier with an artefact made up."""
    save_artefact(ENCODER, folder / "artefact", {}, {})
    return {"classifier": "encoder", "artefact": folder / "artefact"}


@pytest.mark.parametrize("tier", ["fast", "encoder"])
def test_an_artefact_of_one_tier_is_not_judged_with_as_another(tmp_path: Path, tier: str) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY.format(small="http://127.0.0.1:1", large="http://127.0.0.1:1"))
    other = {"encoder": DEFAULT_FOLDER, "fast": given_encoder(tmp_path)["artefact"]}[tier]
    with pytest.raises(SettingsError, match=f"and {tier} was asked for"):
        create_app(Settings(policy=tmp_path / "policy.yaml", data_dir=tmp_path, classifier=tier, artefact=other))


def test_a_tier_there_is_not_is_refused_with_those_there_are(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY.format(small="http://127.0.0.1:1", large="http://127.0.0.1:1"))
    with pytest.raises(SettingsError, match="'deep' is none of fast, heuristic, encoder"):
        create_app(Settings(policy=tmp_path / "policy.yaml", data_dir=tmp_path, classifier="deep"))
